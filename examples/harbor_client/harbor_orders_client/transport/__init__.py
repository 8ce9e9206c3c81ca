"""How requests travel: sending, retrying, reading your own writes."""
