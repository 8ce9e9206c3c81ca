"""Servers and processes that tests start, and clients that call them."""
