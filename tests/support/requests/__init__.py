"""Requests for tests: those that must be refused, and those that are generated."""
