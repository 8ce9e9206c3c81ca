"""Webhook endpoints and the resending of deliveries."""
