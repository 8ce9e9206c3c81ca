"""The servers of the local stack, from Python packages."""
