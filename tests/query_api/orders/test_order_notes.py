"""The texts of notes: read from the events themselves by those who may see them, and gone where they were erased."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from infra.security.api_keys import INSTALLATION_SCOPES
from query_api.orders import responses
from tests.support.event_store.log_filler import fill_log
from tests.support.services.projecting import caught_up, store_worker
from tests.support.services.query_service import ORDERS, QueryService, query_service
from tests.support.services.servers import Database

TEXT = "call before delivery"
INTERNAL = "margin is thin"
SEALED = b'{"scheme":"sealed","key_id":"subject-1","ciphertext":"c2VjcmV0"}'
CLEAR = b'{"scheme":"clear","note":"call before delivery"}'


@dataclass(frozen=True, slots=True)
class Noted:
    """The service; an order of acme with three notes and one with none; one of globex with an internal and a note."""

    service: QueryService
    database: Database
    order_id: UUID
    plain: UUID
    foreign: UUID
    key: dict[str, str]

    async def notes(self, order_id: UUID, query: str = "") -> Any:
        return await self.service.get(f"{ORDERS}/{order_id}/notes{query}", self.key)


@pytest.fixture
async def noted(database: Database) -> AsyncIterator[Noted]:
    (order_id,) = await fill_log(database.command_url, 1, "note", "authorize", "note", "capture", "note")
    (plain,) = await fill_log(database.command_url, 1, "authorize")
    (foreign,) = await fill_log(database.command_url, 1, "note_internal", "note", tenant_id="globex.test")
    async with store_worker(database), query_service(database) as service:
        await caught_up(database)
        await service.rows.execute(
            "INSERT INTO harbor.api_keys (key_id, partner_id, livemode, scopes, hashed, label, created_at)"
            " VALUES ('k3y00001', 'acme', false, '{orders:write}', decode(repeat('00', 32), 'hex'), 'till 7', now())"
        )
        yield Noted(service, database, order_id, plain, foreign, await service.key())


async def test_the_notes_of_an_order_are_listed_with_their_texts_oldest_first(noted: Noted) -> None:
    answer = await noted.notes(noted.order_id)

    page = responses.NotePage.model_validate_json(answer.content)
    events = await noted.database.fetch(
        "SELECT event_id FROM harbor.events WHERE type = 'order.note_added' ORDER BY position"
    )
    assert [(note.event_id, note.sequence, note.note, note.visibility) for note in page.data] == [
        (row["event_id"], sequence, TEXT, "partner") for row, sequence in zip(events, (2, 4, 6), strict=False)
    ]
    assert {note.actor for note in page.data} == {
        responses.Actor(type="api_key", id="acme", key_id="k3y00001", label="till 7")
    }
    assert (page.has_more, page.next_cursor) == (False, None)
    assert {"x-read-position", "x-request-id"} <= set(answer.headers)


async def test_notes_come_in_pages_and_a_cursor_of_another_order_or_list_is_refused(noted: Noted) -> None:
    pages = await noted.service.pages(f"{ORDERS}/{noted.order_id}/notes?limit=2", noted.key)
    cursor = (await noted.notes(noted.order_id, "?limit=1")).json()["next_cursor"]

    assert [[note["sequence"] for note in page] for page in pages] == [[2, 4], [6]]
    for path in (f"{noted.plain}/notes", f"{noted.order_id}/timeline"):
        answer = await noted.service.get(f"{ORDERS}/{path}?limit=1&cursor={cursor}", noted.key)
        assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid")


async def test_an_order_without_notes_has_an_empty_list(noted: Noted) -> None:
    answer = await noted.notes(noted.plain)

    assert (answer.status_code, answer.json()) == (200, {"data": [], "has_more": False, "next_cursor": None})


async def test_a_sealed_or_erased_text_is_null_and_the_note_stays(noted: Noted) -> None:
    await noted.service.admin.execute(
        "UPDATE harbor.events SET payload = replace(encode(payload, 'escape'), $2, $3)::bytea"
        " WHERE stream_id = $1 AND version = 4",
        noted.order_id, CLEAR.decode(), SEALED.decode(),
    )  # fmt: skip

    found = (await noted.notes(noted.order_id)).json()["data"]

    assert [(note["sequence"], note["note"]) for note in found] == [(2, TEXT), (4, None), (6, TEXT)]


async def test_no_read_model_holds_a_second_copy_of_a_text(noted: Noted) -> None:
    tables = await noted.database.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'harbor_read' ORDER BY tablename"
    )
    assert tables
    for table in tables:
        rows = await noted.database.fetch(f"SELECT t::text AS row FROM harbor_read.{table['tablename']} AS t")
        assert rows
        assert not any(TEXT in row["row"] or TEXT.encode().hex() in row["row"] for row in rows), table["tablename"]


async def test_an_internal_note_is_shown_to_keys_of_its_partner(noted: Noted) -> None:
    answer = await noted.service.get(f"{ORDERS}/{noted.foreign}/notes", await noted.service.key("globex"))

    shown = [(note["sequence"], note["visibility"], note["note"]) for note in answer.json()["data"]]
    assert shown == [(2, "internal", INTERNAL), (3, "partner", TEXT)]


@pytest.mark.parametrize("scopes", [["audit:read"], ["dashboard:read"], sorted(INSTALLATION_SCOPES)])
async def test_the_installation_reads_the_notes_for_everybody_alone_and_is_logged(
    noted: Noted, scopes: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    key = await noted.service.key(None, scopes=scopes)

    pages = await noted.service.pages(f"{ORDERS}/{noted.foreign}/notes?limit=1", key)
    timeline = await noted.service.get(f"{ORDERS}/{noted.foreign}/timeline", key)

    assert [[(note["sequence"], note["note"]) for note in page] for page in pages] == [[(3, TEXT)]]
    added = [entry["changes"] for entry in timeline.json()["data"] if entry["type"] == "order.note_added"]
    assert [changes["visibility"] for changes in added] == ["internal", "partner"]
    assert INTERNAL not in timeline.text, "the timeline is complete, and holds no text"
    line = capsys.readouterr().out
    assert ("audit.read" in line, str(noted.foreign) in line, TEXT in line) == (True, True, False)
