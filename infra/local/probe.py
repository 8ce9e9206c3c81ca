"""Ask a service whether it is ready, with nothing but a socket: the supervisor stays small, a health check cheap."""

import asyncio
import sys


async def answers(address: tuple[str, int], path: str, timeout_s: float = 2.0) -> bool:
    """Tell whether GET `path` at (host, port) is answered 200 within `timeout_s` seconds."""
    host, port = address
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                status = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return False
    return status.split(b" ")[1:2] == [b"200"]


def main() -> None:
    """Exit 0 if /readyz of this container's process answers 200: `python -m infra.local.probe PORT`."""
    sys.exit(0 if asyncio.run(answers(("127.0.0.1", int(sys.argv[1])), "/readyz")) else 1)


if __name__ == "__main__":
    main()
