"""Every operation of the API as a request. No I/O."""
