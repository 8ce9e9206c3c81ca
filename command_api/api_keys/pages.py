"""Pages of the lists of API keys: where the next one starts, signed as every cursor is (decision 0051)."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from starlette.requests import Request

from command_api.state import state_of
from infra.http.cursors import RowKey, purpose
from infra.security.api_keys import KeyRecord, KeyVisibility

CURSOR: Final = "cursor"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NO_ID: Final = UUID(int=0)


def key_before(request: Request, visibility: KeyVisibility, values: dict[str, str]) -> tuple[datetime, str] | None:
    """Return when the key was made after which a page of keys starts, and its id; None for the first page.

    Raises:
        Problem: 422; the cursor was not given for this list, asker and filters.
    """
    row = _read(request, visibility, values)
    if row is None:
        return None
    return _EPOCH + row.number * _MICROSECOND, row.id.bytes.lstrip(b"\0").decode("ascii")


def cursor_of_key(request: Request, visibility: KeyVisibility, values: dict[str, str], last: KeyRecord) -> str:
    """Return the cursor of the page that follows this key."""
    row_id = UUID(bytes=last.key_id.encode("ascii").rjust(16, b"\0"))
    return _issue(request, visibility, values, RowKey((last.created_at - _EPOCH) // _MICROSECOND, row_id))


def event_before(request: Request, visibility: KeyVisibility, values: dict[str, str]) -> int:
    """Return the number of the event after which a page of a history starts; raises as `key_before`."""
    row = _read(request, visibility, values)
    return 0 if row is None else row.number


def cursor_of_event(request: Request, visibility: KeyVisibility, values: dict[str, str], number: int) -> str:
    """Return the cursor of the page that follows this event."""
    return _issue(request, visibility, values, RowKey(number, _NO_ID))


def _read(request: Request, visibility: KeyVisibility, values: dict[str, str]) -> RowKey | None:
    text = values.get(CURSOR)
    return None if text is None else state_of(request)["cursors"].read(_purpose(request, visibility, values), text)


def _issue(request: Request, visibility: KeyVisibility, values: dict[str, str], row: RowKey) -> str:
    return state_of(request)["cursors"].issue(_purpose(request, visibility, values), row)


def _purpose(request: Request, visibility: KeyVisibility, values: dict[str, str]) -> str:
    return purpose(request.scope["path"], visibility.partner_id, visibility.livemode, values)
