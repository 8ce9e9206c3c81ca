"""Accepts changes: the FastAPI write service."""
