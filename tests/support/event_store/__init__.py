"""What tests of the log need: commands, channels, writers, the cases every store must pass."""
