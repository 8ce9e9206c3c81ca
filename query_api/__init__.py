"""Answers questions: the FastAPI read service."""
