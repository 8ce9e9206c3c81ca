"""Reading webhook deliveries."""
