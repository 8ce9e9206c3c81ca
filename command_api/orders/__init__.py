"""Orders: create them, edit them, move their money."""
