"""Ask a service whether it is ready, through a bare socket: the supervisor stays small and a health check cheap."""

import asyncio
import sys


async def is_ready(address: tuple[str, int], path: str, timeout_s: float = 2.0) -> bool:
    """Return whether GET `path` at (host, port) gets a 200 within `timeout_s` seconds."""
    found = await response(address, path, timeout_s)
    return found is not None and found[0] == 200  # noqa: PLR2004  # as documented


async def response(address: tuple[str, int], path: str, timeout_s: float) -> tuple[int, bytes] | None:
    """Return status and body of the response to GET `path` at (host, port); None without one in `timeout_s`."""
    host, port = address
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.close()
        return int(head.split(b" ")[1]), body
    except (OSError, TimeoutError, ValueError, IndexError):
        return None


def main() -> None:
    """Exit 0 if /readyz of this container's process returns 200: `python -m infra.local.probe PORT`."""
    sys.exit(0 if asyncio.run(is_ready(("127.0.0.1", int(sys.argv[1])), "/readyz")) else 1)


if __name__ == "__main__":
    main()
