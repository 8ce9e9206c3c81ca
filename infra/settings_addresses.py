"""Addresses in settings, brought to the form that clients send: one that is written otherwise would never match."""

import re
from contextlib import suppress
from typing import Annotated, Final

from pydantic import AfterValidator
from pydantic_core import Url

_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST: Final = rf"({_LABEL}(\.{_LABEL})*\.?|\[[0-9a-f:.]+\])"
_ADDRESS: Final = re.compile(rf"https?://{_HOST}(:[1-9][0-9]{{0,4}})?", re.IGNORECASE)
_NAME: Final = re.compile(rf"(\*\.)?{_HOST}")


def as_browsers_send(text: str) -> str:
    """Return an address (scheme, host, perhaps a port) in lower case, without the port that its scheme implies.

    Raises:
        ValueError: it is none; empty stays empty.
    """
    if not text:
        return text
    if _ADDRESS.fullmatch(text):
        with suppress(ValueError):  # a port beyond 65535, an IP address that is none
            return str(Url(text)).removesuffix("/")
    raise ValueError("write scheme and host, with the port if there is one, and no more: https://app.example.com")


def as_compared(text: str) -> str:
    """Return a host, or `*.` before a domain, in lower case and without the dot that may end it.

    Raises:
        ValueError: it is none, or there is no name below it, as below an IP address.
    """
    name = text.lower()
    if _NAME.fullmatch(name):
        below, domain = name.startswith("*."), name.removeprefix("*.").removesuffix(".")
        with suppress(ValueError):  # an IP address that is none
            host = Url(f"http://{domain}").host or ""
            is_ip = host.startswith("[") or host.rpartition(".")[2].isdigit()
            if not (below and is_ip):
                return f"*.{host}" if below else host
    raise ValueError("write a host without scheme and port: orders.example.com, or *.example.com for all below it")


Address = Annotated[str, AfterValidator(as_browsers_send)]
HostName = Annotated[str, AfterValidator(as_compared)]
