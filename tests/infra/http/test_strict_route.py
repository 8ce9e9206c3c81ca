"""A typed route: who may is settled before anything of a request is read, and whatever does not fit is said at once."""

from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet
from typing import Annotated, NoReturn
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, Body, Depends, Header, Query, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.types import Message

from infra.http.auth import requires
from infra.http.cursors import Page, Paging, RowKey, paging
from infra.http.problems import FieldError, ProblemType
from infra.http.strict_route import StrictRoute
from infra.http.validation import MissingAs, RequestBody, refused_as
from infra.ids import canonical_uuid
from tests.support.services.small_service import SmallService, WithState, client_of, listening, small_service, talk

LIST = "/api/v1/lists"
ONE = f"{LIST}/019a8b5c-0000-7000-8000-000000000000"
OPTIONAL = "/api/v1/optional"
CHECKED = "/api/v1/checked"
STAMP = {"x-stamp": "s"}
STAMP_REQUIRED = ProblemType("stamp_required", 400, "Stamp required", "Send an X-Stamp header.")
GOOD = {"name": "a", "inner": {"count": 1}}


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Inner(Closed):
    count: int


class Thing(Closed):
    name: str
    inner: Inner


class Checked(RequestBody):
    name: str
    sizes: list[int] = Field(examples=[[1]])

    def value_errors(self, broken: AbstractSet[str]) -> list[FieldError]:
        too_large = [FieldError(f"/sizes/{place}", "size_invalid", "") for place, size in enumerate(self.sizes) if size]
        return [*too_large, FieldError("/name", "name_taken", f"beside {sorted(broken)}")]


class Filters(BaseModel):
    size: Annotated[int | None, Field(le=9), refused_as("size_invalid", "A size is at most 9.")] = None


class Numbers(Page[int]):
    """A page of numbers."""


router = APIRouter(route_class=StrictRoute, dependencies=[requires("orders:read")])
Filtered = Annotated[Filters, Query()]
NOTHING = Thing(name="default", inner=Inner(count=0))


@router.get(LIST)
async def numbers(page: Annotated[Paging, Depends(paging)], filters: Filtered) -> Numbers:
    last = filters.size or 7
    rows = range(page.after_number + 1, last + 1)[: page.rows]
    shown, cursor = page.cut(rows, lambda number: RowKey(number, UUID(int=0)))
    return Numbers.of(shown, cursor)


@router.post(LIST + "/{list_id}", status_code=201)
async def add(
    response: Response,
    list_id: Annotated[UUID, BeforeValidator(canonical_uuid)],
    thing: Thing,
    stamp: Annotated[str, Header(alias="X-Stamp"), MissingAs(STAMP_REQUIRED)],
    filters: Filtered,
) -> Thing:
    response.headers["location"] = f"{LIST}/{list_id}?{stamp}{filters.size}"
    return thing


@router.post(OPTIONAL)
async def optional(thing: Annotated[Thing, Body()] = NOTHING) -> Thing:
    return thing


@router.post(CHECKED)
async def checked(body: Checked) -> Checked:
    return body


@pytest.fixture
def service() -> SmallService:
    return small_service(routers=[router])


@pytest.fixture
async def http(service: SmallService) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(service.app, authorization=f"Bearer {service.keys.issue()}") as client:
        yield client


def errors_of(response: httpx.Response) -> list[tuple[str, str]]:
    assert (response.status_code, response.json()["code"]) == (422, "validation_failed")
    return [(error["pointer"], error["code"]) for error in response.json()["errors"]]


async def test_a_request_that_fits_the_signature_is_served(http: httpx.AsyncClient) -> None:
    response = await http.post(f"{ONE}?size=3", json=GOOD, headers=STAMP)

    assert (response.status_code, response.json()) == (201, GOOD)
    assert response.headers["location"] == f"{ONE}?s3"


async def test_unknown_repeated_and_empty_parameters_are_named_at_once(http: httpx.AsyncClient) -> None:
    response = await http.get(f"{LIST}?colour=red&limit=1&limit=2&size=")

    assert errors_of(response) == [
        ("/query/colour", "parameter_unknown"),
        ("/query/limit", "parameter_repeated"),
        ("/query/size", "parameter_empty"),
    ]
    assert response.json()["errors"][0]["detail"] == "This address takes: cursor, limit, size."
    assert "red" not in response.text


async def test_an_unknown_parameter_does_not_hide_a_wrong_value_of_another(http: httpx.AsyncClient) -> None:
    response = await http.get(f"{LIST}?limit=0&colour=red&size=10")

    assert errors_of(response) == [
        ("/query/limit", "limit_invalid"),
        ("/query/colour", "parameter_unknown"),
        ("/query/size", "size_invalid"),
    ]


async def test_a_bad_cursor_does_not_hide_a_wrong_value_of_a_filter(http: httpx.AsyncClient) -> None:
    alone, beside = await http.get(f"{LIST}?cursor=x"), await http.get(f"{LIST}?cursor=x&size=10")

    assert (alone.status_code, alone.json()["code"]) == (422, "cursor_invalid")
    assert errors_of(beside) == [("/query/size", "size_invalid")]


async def test_everything_that_does_not_fit_is_in_one_problem(http: httpx.AsyncClient) -> None:
    body = {"inner": {"count": True, "canary": 1}, "other": 1}
    response = await http.post(f"{ONE}?size=10", json=body, headers=STAMP)

    assert errors_of(response) == [
        ("/query/size", "size_invalid"),
        ("/inner/count", "wrong_type"),
        ("/inner/canary", "unknown_field"),
        ("/other", "unknown_field"),
        ("/name", "required"),
    ]
    details = [error["detail"] for error in response.json()["errors"]]
    assert details[0] == "A size is at most 9."
    assert [detail.rpartition(": ")[2] for detail in details[1:4]] == ["send a whole number.", "count.", "name, inner."]


async def test_a_wrong_shape_does_not_hide_what_the_body_itself_finds_wrong_with_its_values(
    http: httpx.AsyncClient,
) -> None:
    response = await http.post(CHECKED, json={"x": 1, "sizes": [0, "1", 2], "name": "a"})
    without_sizes = await http.post(CHECKED, json={"name": "a"})
    no_object = await http.post(CHECKED, json=[])

    assert errors_of(response) == [
        ("/x", "unknown_field"),
        ("/sizes/1", "wrong_type"),
        ("/sizes/2", "size_invalid"),
        ("/name", "name_taken"),
    ]
    assert response.json()["errors"][-1]["detail"] == "beside ['/sizes/1']"
    assert errors_of(without_sizes) == [("/name", "name_taken"), ("/sizes", "required")]
    assert errors_of(no_object) == [("", "wrong_type")]


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b'{"name":"a","name":"b"}', "application/json", 400, "duplicate_json_key"),
        (b"", "application/json", 400, "body_empty"),
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"{}", "application/json; charset=latin-1", 415, "unsupported_media_type"),
        (b"null", "application/json", 422, "validation_failed"),
    ],
)
async def test_a_body_is_strict_json(
    http: httpx.AsyncClient, content: bytes, content_type: str, status: int, code: str
) -> None:
    response = await http.post(ONE, content=content, headers=STAMP | {"content-type": content_type})

    assert (response.status_code, response.json()["code"]) == (status, code)


async def test_a_body_with_a_default_may_be_left_out_and_is_as_strict_as_any(http: httpx.AsyncClient) -> None:
    without, given = await http.post(OPTIONAL), await http.post(OPTIONAL, json=GOOD)
    broken = await http.post(OPTIONAL, json={})

    assert [without.json(), given.json()] == [NOTHING.model_dump(), GOOD]
    assert errors_of(broken) == [("/name", "required"), ("/inner", "required")]


async def test_a_missing_header_is_refused_with_the_problem_that_the_signature_names(http: httpx.AsyncClient) -> None:
    response = await http.post(ONE, json=GOOD)

    assert (response.status_code, response.json()["code"]) == (400, "stamp_required")


async def test_an_id_that_is_not_of_the_form_of_ours_is_not_found(http: httpx.AsyncClient) -> None:
    response = await http.post(f"{LIST}/1", json={}, headers=STAMP)

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(("scopes", "status"), [({"orders:read"}, 401), ({"orders:write"}, 403)])
async def test_a_key_that_may_not_is_refused_before_the_body_is_read(
    service: SmallService, scopes: set[str], status: int
) -> None:
    key = service.keys.issue(scopes=scopes)
    service.keys.records = {} if status == 401 else service.keys.records
    sent: list[Message] = []

    async def receive() -> NoReturn:
        raise AssertionError("the body was asked for")

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"h"), (b"authorization", b"Bearer " + key.encode()), (b"content-length", b"2")]
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": ONE, "query_string": b"a=1"}
    async with service.app.router.lifespan_context(service.app) as state:
        await WithState(service.app, state or {})(scope | {"headers": headers}, receive, send)

    assert sent[0]["status"] == status


async def test_a_wrong_key_is_refused_without_100_continue(service: SmallService) -> None:
    head = f"POST {ONE} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer x\r\ncontent-length: 9\r\nexpect: 100-continue\r\n"
    async with listening(service.app) as port:
        response = await talk(port, head.encode() + b"connection: close\r\n\r\n")

    assert response.startswith(b"HTTP/1.1 401")


async def test_a_list_comes_in_linked_pages(http: httpx.AsyncClient) -> None:
    url, pages = f"{LIST}?limit=3&size=8", []
    while url:
        response = await http.get(url)
        pages.append(response.json()["data"])
        url = response.links.get("next", {}).get("url", "")

    assert pages == [[1, 2, 3], [4, 5, 6], [7, 8]]
    assert response.json() == {"data": [7, 8], "has_more": False, "next_cursor": None}


async def test_a_request_is_counted_once_though_several_dependencies_ask_who_sent_it(
    service: SmallService, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []
    monkeypatch.setattr(type(service.keys), "note_use", lambda _keys, key_id: used.append(key_id))

    await http.get(LIST)

    assert len(used) == 1


def test_a_route_that_declares_no_scope_cannot_be_made() -> None:
    async def endpoint() -> None: ...

    with pytest.raises(TypeError, match="declare the scope once"):
        StrictRoute("/api/v1/open", endpoint)
