"""Signals that end a program which must clean up after itself: SIGTERM and SIGHUP do what Ctrl-C does."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_LIKE_CTRL_C = (signal.SIGTERM, signal.SIGHUP)


def take_signals() -> None:
    """Turn the first SIGTERM or SIGHUP into a SIGINT and drop later ones; call it first thing in a program.

    SIGINT works again where a shell started the program in the background and had it ignored. SIGHUP stays ignored
    where it was (`nohup`).
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in _LIKE_CTRL_C:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore all of these signals, for the time that a cleanup takes."""
    earlier = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, *_LIKE_CTRL_C)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for each in _LIKE_CTRL_C:
        signal.signal(each, signal.SIG_IGN)
    signal.raise_signal(signal.SIGINT)
