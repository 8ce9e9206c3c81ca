"""Orders for tests: builders, strategies, histories, and the walk that looks for floats."""
