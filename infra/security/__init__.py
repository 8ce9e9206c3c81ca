"""API keys, secrets at rest, and where webhooks may go."""
