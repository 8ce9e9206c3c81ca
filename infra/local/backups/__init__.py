"""Backups of a local stack: the database in a directory, and apart from it the secrets without which it is useless."""
