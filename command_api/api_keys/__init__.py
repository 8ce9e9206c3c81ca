"""API keys, over HTTP and on the command line."""
