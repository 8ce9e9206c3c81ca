"""Events that could not be projected."""
