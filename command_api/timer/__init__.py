"""The timer: lets orders expire whose time has run out. A process of its own, `python -m command_api expire`."""
