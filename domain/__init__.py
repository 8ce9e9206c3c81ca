"""The rules of orders: pure, without clock, I/O or framework."""
