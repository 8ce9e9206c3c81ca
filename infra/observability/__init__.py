"""What every process tells: logs, health, metrics."""
