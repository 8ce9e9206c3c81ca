"""What each command does to an order: pure functions, by what they change."""
