"""PostgreSQL: pool, migrations, event store, checkpoints, keys, endpoints."""
