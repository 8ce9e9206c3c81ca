"""uvicorn, and what a request passes below the middleware."""
