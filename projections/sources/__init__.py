"""Where a worker's events come from: Kafka, or the event store."""
