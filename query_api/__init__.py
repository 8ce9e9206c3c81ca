"""The FastAPI read service."""
