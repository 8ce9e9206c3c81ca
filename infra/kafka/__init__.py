"""Kafka: topics, records, producer and consumer settings."""
