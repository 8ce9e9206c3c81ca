"""Many creates in one request."""
