"""/errors and /errors/{code}: what the `type` of a problem leads to.

`errors.json` lists the errors of both services. `docs/generate.py` writes it, because neither service may know the
other's code, and behind one address for both every page is the command service's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from infra.http.pages.page import PageRoute, code, framed, link, respond, table
from infra.http.problems import NOT_FOUND, Member, Problem, ProblemType, type_of

_RETRYABLE: Final = {
    True: "The same request, with the same Idempotency-Key if it had one, may succeed later.",
    False: "The same request will be refused again; change it first.",
}


@dataclass(frozen=True, slots=True)
class Errors:
    """Every error that a service sends: its problems, and the codes inside `errors` with what they mean."""

    problems: Sequence[ProblemType]
    fields: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        """Return them as JSON, problems by status and code."""
        problems = sorted(self.problems, key=lambda each: (each.status, each.code))
        return {"problems": [asdict(each) for each in problems], "fields": dict(sorted(self.fields.items()))}


def read_errors() -> Errors:
    """Return the errors of both services."""
    document = orjson.loads(_TABLE.read_bytes())
    return Errors([_problem_type(**each) for each in document["problems"]], document["fields"])


def _problem_type(*, members: list[dict[str, Any]], **values: Any) -> ProblemType:
    return ProblemType(**values, members=tuple(Member(**each) for each in members))


def error_routes() -> list[BaseRoute]:
    """Return the routes of the list and of each error."""
    errors = read_errors()
    by_code = {each.code: each for each in errors.problems}
    everything = errors.document()
    every_page = _list(errors.problems, errors.fields)

    async def show_all(request: Request) -> Response:
        return respond(request, "Errors", every_page, everything)

    async def show_one(request: Request) -> Response:
        asked = request.path_params["code"]
        kind, meaning = by_code.get(asked), errors.fields.get(asked)
        if kind is None and meaning is None:
            raise Problem(NOT_FOUND, "There is no error with this code; /errors lists them all.")
        parts = [*([_problem(kind)] if kind else ()), *([_field(meaning)] if meaning else ()), _ALL]
        document = (asdict(kind) if kind else {"code": asked}) | ({"in_errors": meaning} if meaning else {})
        return respond(request, kind.title if kind else asked, "\n".join(parts), document)

    return [PageRoute("/errors", show_all), PageRoute("/errors/{code}", show_one)]


def page_of(problem: Problem, request_id: str) -> bytes:
    """Return a problem as a page, for a browser that asked for another one."""
    kind = problem.kind
    parts = [
        f"<p>{escape(problem.detail)}</p>",
        f"<p>{code(str(kind.status))} {link(type_of(kind.code), kind.code)}, request {code(request_id)}</p>",
        f"<p>{link('/', 'The first page')}</p>",
    ]
    return framed(kind.title, "\n".join(parts)).encode()


_TABLE: Final = Path(__file__).with_name("errors.json")
_ALL: Final = f"<p>{link('/errors', 'All errors')}, {link('/', 'the first page')}.</p>"


def _problem(kind: ProblemType) -> str:
    facts = table(
        ("", ""),
        [
            (code("code"), code(kind.code)),
            (code("status"), code(str(kind.status))),
            (code("retryable"), code(str(kind.retryable).lower())),
        ],
    )
    rows = [(code(each.name), escape(each.meaning)) for each in kind.members]
    members = f"\n{table(('Member', 'Meaning'), rows)}" if rows else ""
    return f"<p>{escape(kind.detail)}</p>\n{facts}\n<p>{_RETRYABLE[kind.retryable]}</p>{members}"


def _field(meaning: str) -> str:
    where = f"Inside the {code('errors')} of a {link(type_of('validation_failed'), 'validation_failed')}"
    return f"<p>{where}: {escape(meaning)}</p>"


def _list(problems: Sequence[ProblemType], fields: Mapping[str, str]) -> str:
    rows = [
        (str(each.status), link(type_of(each.code), each.code), escape(each.title), escape(each.detail))
        for each in problems
    ]
    inside = [(link(type_of(name), name), escape(meaning)) for name, meaning in sorted(fields.items())]
    return "\n".join(
        [
            f"<p>Every error is {code('application/problem+json')} (RFC 9457).",
            f"{code('code')} is for programs: it never changes its meaning.</p>",
            table(("Status", "Code", "Title", "Detail"), rows),
            f"<h2>Codes inside {code('errors')}</h2>",
            f"<p>{code('validation_failed')} lists the broken values, each with a JSON pointer to it.</p>",
            table(("Code", "Meaning"), inside),
            f"<p>{link('/', 'The first page')}</p>",
        ]
    )
