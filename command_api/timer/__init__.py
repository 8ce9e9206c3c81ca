"""The timer: expires the orders whose time has run out. A process of its own, `python -m command_api expire`."""
