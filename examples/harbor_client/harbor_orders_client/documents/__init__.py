"""JSON documents as frozen dataclasses: what is sent, what is received, and how it is read."""
