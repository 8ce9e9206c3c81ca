"""The log: its contract, the PostgreSQL appender, reads, partitions, and a twin in memory."""
