"""The one shape of a list: `{data, has_more, next_cursor}` and a Link header (RFC 8288) to the next page."""

from collections.abc import Sequence
from urllib.parse import urlencode

import orjson
from starlette.responses import Response

from infra.http.cursors import RowKey, purpose
from query_api.parameters import Parameters
from query_api.reading import ReadContext

CURSOR = "cursor"


def cursor_of(read: ReadContext, parameters: Parameters) -> RowKey | None:
    """Return the row after which the page starts, or None for the first page.

    Raises:
        Problem: 422; the cursor was not given for this list, asker and filters.
    """
    text = parameters.values.get(CURSOR)
    return None if text is None else read.state["cursors"].read(_purpose(read, parameters), text)


def page(read: ReadContext, parameters: Parameters, items: Sequence[bytes], after: RowKey | None) -> Response:
    """Return the answer: items as they are, and where the next page starts, if `after` says that there is one."""
    headers: dict[str, str] = {}
    next_cursor = None
    if after is not None:
        next_cursor = read.state["cursors"].issue(_purpose(read, parameters), after)
        query = urlencode({**parameters.values, CURSOR: next_cursor})
        headers["link"] = f'<{read.request.scope["path"]}?{query}>; rel="next"'
    body = b'{"data":[%b],"has_more":%b,"next_cursor":%b}' % (
        b",".join(items),
        b"false" if after is None else b"true",
        orjson.dumps(next_cursor),
    )
    return read.answer(body, headers)


def _purpose(read: ReadContext, parameters: Parameters) -> str:
    return purpose(read.request.scope["path"], read.visibility.partner_id, read.visibility.livemode, parameters.values)
