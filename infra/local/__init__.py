"""The local stack: every server from Python packages, supervised."""
