"""Knows machines and no orders: settings, logs, PostgreSQL, Kafka, Redis, relay, local stack."""
