"""Reacts to facts: read models, webhook fan-out and delivery."""
