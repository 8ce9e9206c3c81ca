"""What each process of the stack waits for: asked of /readyz, and said while the stack starts, as it changes.

A process that waits is never given up: what it waits for may need the others (a remedy that needs the broker, say).
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from infra import clock
from infra.local.errors import LocalError
from infra.local.probe import response
from infra.local.processes.supervisor import PROGRESS_S, Say, Supervised, tail
from infra.observability.health import MEANINGS
from infra.settings import EXIT_STATUS

PATIENCE_S = 90.0
STEADY_S: Final = 2.0
"""A state is said when it has lasted this long: on a good start there is nothing to say."""
_POLL_S = 0.2
_ASK_S = 5.0
_STARTING = "starting"
_BAD_SETTINGS = f"exit {EXIT_STATUS}"

Address = tuple[str, int]


async def waits_for(address: Address, timeout_s: float) -> tuple[str, ...] | None:
    """Return the codes a process waits for, none when it is ready; None without an answer in `timeout_s` seconds."""
    found = await response(address, "/readyz", timeout_s)
    return codes_of(found[1]) if found else None


def codes_of(body: bytes) -> tuple[str, ...] | None:
    """Return the codes in a response to /readyz; None for anything else."""
    try:
        document: dict[str, Any] = json.loads(body)
        return () if document["status"] == "ready" else tuple(map(str, document["waiting_for"]))
    except (ValueError, LookupError, TypeError):
        return None


def explained(codes: tuple[str, ...]) -> str:
    """Return the codes, each with its meaning."""
    meanings: Mapping[str, str] = {str(code): meaning for code, meaning in MEANINGS.items()}
    return "; ".join(f"{code} ({meanings.get(code, 'see the log').rstrip('.')})" for code in codes)


class Starting:
    """Follows processes until all are ready for the first time."""

    def __init__(
        self, supervised: Mapping[str, Supervised], addresses: Mapping[str, Address], say: Say, patience_s: float
    ) -> None:
        self._supervised = supervised
        self._addresses = addresses
        self._say = say
        self._patience_s = patience_s
        self._since_s: dict[str, float] = {}
        self._states: dict[str, str] = {}
        self._said: dict[str, str] = {}

    async def until_ready(self, late: Callable[[], None]) -> None:
        """Return when all are ready; call `late` once, after what waits for what was said, if that takes too long.

        Raises:
            LocalError: a process refuses its settings; waiting would not help.
        """
        began_s = said_s = clock.monotonic_s()
        is_late = False
        while waiting := await self._waiting():
            now_s = clock.monotonic_s()
            if self._say_changes(now_s):
                said_s = now_s
            if not is_late and now_s - began_s > self._patience_s:
                is_late = True
                self._say(f"not ready after {now_s - began_s:.0f} s, and everything keeps running:")
                for name, state in waiting.items():
                    self._say(f"  {name}: {state}")
                late()
            elif not is_late and now_s - said_s > PROGRESS_S:
                said_s = now_s
                self._say(f"waiting for {', '.join(waiting)} ({now_s - began_s:.0f} s)")
            await asyncio.sleep(_POLL_S)

    async def _waiting(self) -> dict[str, str]:
        states = dict(zip(self._addresses, await asyncio.gather(*map(self._state, self._addresses)), strict=True))
        for name, state in states.items():
            if state != self._states.get(name):
                self._since_s[name] = clock.monotonic_s()
        self._states = states
        return {name: state for name, state in states.items() if state}

    async def _state(self, name: str) -> str:
        """Return what the process waits for, as text; empty: it is ready."""
        each = self._supervised[name]
        if each.failures >= 3:  # noqa: PLR2004  # the third end in a row is no accident
            text = f"ends again and again ({each.last_end}). Its log is {each.program.log} and ends:\n"
            text += tail(each.program.log)
            if each.last_end == _BAD_SETTINGS:
                raise LocalError(f"{name}: {text}")
            return text
        codes = await waits_for(self._addresses[name], _ASK_S) if each.process else None
        if codes is None or codes == (_STARTING,):
            return _STARTING
        return f"waits for {explained(codes)}" if codes else ""

    def _say_changes(self, now_s: float) -> bool:
        """Say each state that has lasted and was not said; return whether there was one."""
        has_said = False
        for name, state in self._states.items():
            if state == self._said.get(name, _STARTING) or now_s - self._since_s[name] < STEADY_S:
                continue
            if state or name in self._said:
                self._say(f"{name}: {state or 'ready'}")
                has_said = True
            self._said[name] = state
        return has_said
