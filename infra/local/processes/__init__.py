"""Processes of the local stack: start, watch, end."""
