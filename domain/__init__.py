"""What an order is: pure rules, no clock, no I/O, no framework."""
