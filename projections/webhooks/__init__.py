"""Webhooks: fan-out, queue, signing, sending."""
