"""Redis: rate counters and caches; only what may be lost."""
