"""Logs, health and metrics of every process."""
