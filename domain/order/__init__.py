"""The order aggregate: commands, events, state, decisions."""
