"""Reading orders: one, many, their timeline and notes."""
