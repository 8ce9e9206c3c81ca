"""Ports for servers that tests start, and start again: nobody else gets one of them before or meanwhile.

A port that the kernel gives for the asking is free only until it gives it to the next who asks, or to a connection that
somebody opens. These lie below the ports that Linux gives by itself, and each is reserved for as long as this process
lives, by a name that only one process can hold (unix(7), abstract sockets).
"""

import secrets
import socket
import sys
from typing import Final

from infra.local.ports import is_port_free

_FIRST: Final = 10_000
_END: Final = 32_000


def free_port() -> int:
    """Return a loopback TCP port that nothing listens on and that no other of these tests is given."""
    while True:
        port = _FIRST + secrets.randbelow(_END - _FIRST)
        if reserve(port) and is_port_free(port):
            return port


def reserve(port: int) -> bool:
    """Reserve a port until this process ends; tell whether nobody had done so."""
    if sys.platform != "linux":
        return True  # no such names: it is as free as any
    with socket.socket(socket.AF_UNIX) as reservation:
        try:
            reservation.bind(f"\0harbor-tests-port-{port}")
        except OSError:
            return False
        reservation.detach()  # stays open; no child inherits it
    return True
