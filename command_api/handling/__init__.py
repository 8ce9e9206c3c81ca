"""One command: load, decide, append, respond."""
