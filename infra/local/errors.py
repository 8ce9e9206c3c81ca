"""What stops the local stack and a person can fix."""


class LocalError(Exception):
    """Something a person can fix; the message says what and how, and is all that is shown."""


class AlreadyRunsError(LocalError):
    """Another supervisor holds this home."""
