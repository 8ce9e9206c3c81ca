"""What a change of an OpenAPI document means to clients: operations, what they take and what they respond. Pure."""

from collections.abc import Iterator
from typing import Final

from docs.contract.change import Change, Direction, Json, of_names, of_the_rest
from docs.contract.references import unfolded
from docs.contract.schemas import of_schemas

_METHODS: Final = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
_PROBLEM: Final = "application/problem+json"


def changes(old: Json, new: Json) -> list[Change]:
    """Return every difference between two OpenAPI documents that a client could notice, breaking ones first."""
    old, new = unfolded(old), unfolded(new)
    found = [*_of_documents(old, new)]
    for section, way in (("paths", Direction.SENT), ("webhooks", Direction.RECEIVED)):
        olds, news = _operations(old, section), _operations(new, section)
        found += of_names(olds, news, "", "operation")
        for name in olds.keys() & news.keys():
            found += _of_operations(olds[name], news[name], name, way)
    return sorted(set(found), key=lambda change: (not change.is_breaking, change.place, change.what))


def _of_documents(old: Json, new: Json) -> Iterator[Change]:
    """Compare what stands around the operations; `components` are compared where they are used."""
    yield from of_the_rest(old, new, "document", "info", "paths", "webhooks", "components", "security", "tags")
    yield from of_the_rest(old["info"], new["info"], "document info", "version")
    schemes = [each.get("components", {}).get("securitySchemes", {}) for each in (old, new)]
    yield from of_names(schemes[0], schemes[1], "login ", "security scheme")
    for name in schemes[0].keys() & schemes[1].keys():
        yield from of_the_rest(schemes[0][name], schemes[1][name], f"login {name}")


def _operations(document: Json, section: str) -> dict[str, Json]:
    """Return the operations by name, with the parameters, security and further members of what is around them."""
    return {
        f"{method.upper()} {path}": {
            "security": document.get("security", []),
            **{name: value for name, value in item.items() if name not in {*_METHODS, "parameters"}},
            **operation,
            "parameters": [*item.get("parameters", ()), *operation.get("parameters", ())],
        }
        for path, item in document.get(section, {}).items()
        for method, operation in item.items()
        if method in _METHODS
    }


def _of_operations(old: Json, new: Json, place: str, way: Direction) -> Iterator[Change]:
    yield from _of_parts(_parameters(old), _parameters(new), place, "parameter", way)
    bodies = [{"body": each["requestBody"]} if "requestBody" in each else {} for each in (old, new)]
    yield from _of_parts(bodies[0], bodies[1], place, "request", way)
    olds, news = old.get("responses", {}), new.get("responses", {})
    yield from of_names(olds, news, f"{place} ", "response", {status for status in news if status[0] not in "45"})
    for status in olds.keys() & news.keys():
        before, after, at = olds[status], news[status], f"{place} {status}"
        yield from _of_parts(_headers(before), _headers(after), at, "header", way.flipped)
        yield from _of_contents(before.get("content", {}), after.get("content", {}), at, way.flipped)
        yield from of_the_rest(before, after, at, "headers", "content")
    yield from of_the_rest(old, new, place, "parameters", "requestBody", "responses")


def _parameters(operation: Json) -> dict[str, Json]:
    return {f"{each['in']}:{_caseless(each['name'], each['in'])}": each for each in operation["parameters"]}


def _headers(response: Json) -> dict[str, Json]:
    return {_caseless(name, "header"): header for name, header in response.get("headers", {}).items()}


def _caseless(name: str, place: str) -> str:
    return name.lower() if place == "header" else name


def _of_parts(olds: Json, news: Json, place: str, noun: str, way: Direction) -> Iterator[Change]:
    """Compare parameters, headers or bodies by name."""
    needed = {name for name, each in news.items() if each.get("required") and way is Direction.SENT}
    yield from of_names(olds, news, f"{place} ", noun, needed)
    for name in olds.keys() & news.keys():
        before, after, at = olds[name], news[name], f"{place} {name}"
        was, now = bool(before.get("required")), bool(after.get("required"))
        if was is not now:
            yield way.change(at, f"became {'required' if now else 'optional'}", narrowed=now)
        yield from of_schemas(before.get("schema"), after.get("schema"), at, way)
        yield from _of_contents(before.get("content", {}), after.get("content", {}), at, way)
        yield from of_the_rest(before, after, at, "name", "in", "required", "schema", "content")


def _of_contents(olds: Json, news: Json, place: str, way: Direction) -> Iterator[Change]:
    yield from of_names(olds, news, f"{place} ", "content type", news if way is Direction.RECEIVED else ())
    for kind in olds.keys() & news.keys():
        before, after = olds[kind], news[kind]
        if kind == _PROBLEM:  # errors are told apart by their codes, which are the names of the examples
            yield from of_names(before.get("examples", ()), after.get("examples", ()), f"{place} ", "code")
        yield from of_schemas(before.get("schema"), after.get("schema"), place, way)
        yield from of_the_rest(before, after, f"{place} {kind}", "schema")
