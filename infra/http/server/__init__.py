"""uvicorn, and what a request passes below and around the framework.

uvicorn with httptools serves as its documentation shows, and FastAPI declares the routes. Four things here go round
them, each for a measured reason (decisions 0050 and 0054; us of CPU per create):

- `server.BoundedProtocol` bounds request heads, pipelines and unread responses. No saving: uvicorn has no such bounds.
- `coalescing_transport` writes head and body of a response together (saves 6: one system call, one wake-up).
- `route_table` finds a raw route by one dictionary look-up instead of the framework's chain of patterns (2, not 18).
- `raw_route` serves a declared route without FastAPI's dependency solver (65 to 72 a request, not 144 to 200).

docs/benchmarks.md holds the share of each layer.
"""
