"""What a change of an OpenAPI document means to clients, operation by operation. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from docs.contract.schemas import Change, Comparison, Direction, Schema

_METHODS: Final = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
_FIRST_ERROR: Final = "4"
_PROBLEM: Final = "application/problem+json"


def changes(old: Schema, new: Schema) -> list[Change]:
    """Give every difference between two OpenAPI documents that a client could notice, breaking ones first."""
    found = [
        *_of_parts(old, new, "paths", Direction.SENT),
        *_of_parts(old, new, "webhooks", Direction.RECEIVED),
    ]
    return sorted(set(found), key=lambda change: (not change.is_breaking, change.place, change.what))


def _of_parts(old: Schema, new: Schema, part: str, body: Direction) -> Iterator[Change]:
    """Compare operations; `body` says which way request bodies travel: ours go out to webhooks."""
    olds, news = _operations(old, part), _operations(new, part)
    for name in sorted(olds.keys() - news.keys()):
        yield Change(True, name, "operation removed")
    for name in sorted(news.keys() - olds.keys()):
        yield Change(False, name, "operation added")
    for name in sorted(olds.keys() & news.keys()):
        yield from _of_operation(Comparison(old, new), olds[name], news[name], name, body)


def _operations(document: Schema, part: str) -> dict[str, Schema]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document.get(part, {}).items()
        for method, operation in methods.items()
        if method in _METHODS
    }


def _of_operation(compare: Comparison, old: Schema, new: Schema, place: str, body: Direction) -> Iterator[Change]:
    if old.get("operationId") != new.get("operationId"):
        yield Change(True, place, f"operationId {old.get('operationId')} -> {new.get('operationId')}")
    if new.get("deprecated") and not old.get("deprecated"):
        yield Change(False, place, "deprecated")
    yield from _of_scopes(old, new, place)
    yield from _of_parameters(compare, old, new, place, body)
    yield from _of_body(compare, old, new, place, body)
    yield from _of_responses(compare, old, new, place)


def _of_scopes(old: Schema, new: Schema, place: str) -> Iterator[Change]:
    """Any one of the scopes opens a route: one more lets more in, one less turns somebody away."""
    was, now = set(old.get("x-required-scopes", ())), set(new.get("x-required-scopes", ()))
    for scope in sorted(was - now):
        yield Change(True, place, f"scope {scope} no longer opens it")
    for scope in sorted(now - was):
        yield Change(False, place, f"scope {scope} opens it too")


def _of_parameters(compare: Comparison, old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[Change]:
    olds, news = _parameters(old), _parameters(new)
    for key in sorted(olds.keys() - news.keys()):
        yield Change(True, f"{place} {key}", "parameter removed")
    for key in sorted(news.keys() - olds.keys()):
        is_required = bool(news[key].get("required")) and direction is Direction.SENT
        yield Change(is_required, f"{place} {key}", f"{'required ' if is_required else ''}parameter added")
    for key in sorted(olds.keys() & news.keys()):
        was, now = bool(olds[key].get("required")), bool(news[key].get("required"))
        if was is not now:
            what = "parameter became required" if now else "parameter became optional"
            yield Change(now is (direction is Direction.SENT), f"{place} {key}", what)
        yield from compare.changes(olds[key]["schema"], news[key]["schema"], f"{place} {key}", direction)


def _parameters(operation: Schema) -> dict[str, Schema]:
    return {f"{each['in']}:{each['name'].lower()}": each for each in operation.get("parameters", ())}


def _of_body(compare: Comparison, old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[Change]:
    before, after = old.get("requestBody"), new.get("requestBody")
    if after is None:
        if before is not None:
            yield Change(True, f"{place} body", "no longer taken")
        return
    needs = bool(after.get("required"))
    if needs and direction is Direction.SENT and not (before or {}).get("required"):
        yield Change(True, f"{place} body", "became required")
    if before is not None:
        yield from _of_contents(compare, before, after, f"{place} body", direction)


def _of_responses(compare: Comparison, old: Schema, new: Schema, place: str) -> Iterator[Change]:
    olds, news = old.get("responses", {}), new.get("responses", {})
    for status in sorted(olds.keys() - news.keys()):
        yield Change(True, f"{place} {status}", "response removed")
    for status in sorted(news.keys() - olds.keys()):
        is_success = status < _FIRST_ERROR
        yield Change(is_success, f"{place} {status}", "response added")
    for status in sorted(olds.keys() & news.keys()):
        at = f"{place} {status}"
        yield from _of_headers(olds[status], news[status], at)
        yield from _of_contents(compare, olds[status], news[status], at, Direction.RECEIVED)


def _of_headers(old: Schema, new: Schema, place: str) -> Iterator[Change]:
    olds, news = old.get("headers", {}), new.get("headers", {})
    for name in sorted(olds.keys() - news.keys()):
        yield Change(True, f"{place} {name}", "header removed")
    for name in sorted(news.keys() - olds.keys()):
        yield Change(False, f"{place} {name}", "header added")


def _of_contents(compare: Comparison, old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[Change]:
    olds, news = old.get("content", {}), new.get("content", {})
    for kind in sorted(olds.keys() - news.keys()):
        yield Change(True, place, f"content type {kind} removed")
    for kind in sorted(news.keys() - olds.keys()):
        yield Change(direction is Direction.RECEIVED and bool(olds), place, f"content type {kind} added")
    for kind in sorted(olds.keys() & news.keys()):
        if kind == _PROBLEM:
            yield from _of_codes(olds[kind], news[kind], place)
        yield from compare.changes(olds[kind].get("schema", {}), news[kind].get("schema", {}), place, direction)


def _of_codes(old: Mapping[str, Any], new: Mapping[str, Any], place: str) -> Iterator[Change]:
    """Errors are told apart by their codes, which stand as names of examples: one more is news, one less a break."""
    was, now = set(old.get("examples", ())), set(new.get("examples", ()))
    for code in sorted(was - now):
        yield Change(True, place, f"code {code} removed")
    for code in sorted(now - was):
        yield Change(False, place, f"code {code} added")
