"""What a change of an operation means to clients: who may call it, what it takes, and what it answers. Pure.

A member of the document that no rule here speaks of may not change at all.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from docs.contract.change import NO_RULE, Change, Direction
from docs.contract.references import NOTES, Schema, part, text
from docs.contract.schemas import Comparison

FREE: Final = NOTES | {"deprecated"}
_METHODS: Final = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
_ERRORS: Final = ("4", "5")
_PROBLEM: Final = "application/problem+json"
_OF_OPERATION: Final = FREE | {
    *("operationId", "tags", "security", "x-required-scopes"),
    *("parameters", "requestBody", "responses"),
}


def of_operations(old: Schema, new: Schema, section: str, direction: Direction) -> Iterator[Change]:
    """Compare all operations of a section; `direction` says which way its requests travel: ours go out to webhooks."""
    olds, news = _operations(old, section), _operations(new, section)
    for name in sorted(olds.keys() - news.keys()):
        yield Change(True, name, "operation removed")
    for name in sorted(news.keys() - olds.keys()):
        yield Change(False, name, "operation added")
    for name in sorted(olds.keys() & news.keys()):
        yield from _Operation(old, new, name, direction).changes(olds[name], news[name])
    paths = [{path: part(each, item) for path, item in each.get(section, {}).items()} for each in (old, new)]
    for path in sorted(paths[0].keys() & paths[1].keys()):
        yield from unruled(paths[0][path], paths[1][path], FREE | {*_METHODS, "parameters"}, path)


def unruled(old: Schema, new: Schema, ruled: frozenset[str], place: str) -> Iterator[Change]:
    """Return the differences of all members but those there are rules for, or that are free."""
    for member in sorted((old.keys() | new.keys()) - ruled):
        if text([old[member]] if member in old else []) != text([new[member]] if member in new else []):
            yield Change(True, place, f"{member} {NO_RULE}")


def _operations(document: Schema, section: str) -> dict[str, Schema]:
    """Return the operations by name, each with the parameters and the security that it has from what is around it."""
    return {
        f"{method.upper()} {path}": {
            "security": document.get("security", []),
            **operation,
            "parameters": [*item.get("parameters", ()), *operation.get("parameters", ())],
        }
        for path, reference in document.get(section, {}).items()
        for item in [part(document, reference)]
        for method, operation in item.items()
        if method in _METHODS
    }


class _Operation:
    """Compares one operation of two documents."""

    def __init__(self, old: Schema, new: Schema, place: str, direction: Direction) -> None:
        self._old = old
        self._new = new
        self._place = place
        self._direction = direction
        self._compare = Comparison(old, new)

    def changes(self, old: Schema, new: Schema) -> Iterator[Change]:
        place = self._place
        if old.get("operationId") != new.get("operationId"):
            yield Change(True, place, f"operationId {old.get('operationId')} -> {new.get('operationId')}")
        if sorted(old.get("tags", ())) != sorted(new.get("tags", ())):  # generated clients sort methods by it
            yield Change(True, place, f"tags {NO_RULE}")
        yield from _of_deprecation(old, new, place)
        yield from _of_scopes(old, new, place)
        yield from self._of_security(old["security"], new["security"])
        yield from self._of_parameters(old, new)
        yield from self._of_body(old.get("requestBody"), new.get("requestBody"))
        yield from self._of_responses(old.get("responses", {}), new.get("responses", {}))
        yield from unruled(old, new, _OF_OPERATION, place)

    def _of_security(self, old: list[Schema], new: list[Schema]) -> Iterator[Change]:
        """Any one of the logins opens a route, and none is needed where there are none or an empty one."""
        was, now = ({text(login) for login in logins or [{}]} for logins in (old, new))
        is_open = text({}) in now and self._direction is Direction.SENT
        for login in sorted(was - now):
            what = "no longer asked for" if is_open else "no longer opens it"
            yield Change(not is_open, self._place, f"login {login} {what}")
        for login in sorted(now - was):
            yield Change(self._direction is Direction.RECEIVED, self._place, f"login {login} opens it")

    def _of_parameters(self, old: Schema, new: Schema) -> Iterator[Change]:
        olds, news = _parameters(self._old, old), _parameters(self._new, new)
        for key in sorted(olds.keys() - news.keys()):
            yield Change(True, f"{self._place} {key}", "parameter removed")
        for key in sorted(news.keys() - olds.keys()):
            breaks = bool(news[key].get("required")) and self._direction is Direction.SENT
            yield Change(breaks, f"{self._place} {key}", f"{'required ' if breaks else ''}parameter added")
        for key in sorted(olds.keys() & news.keys()):
            yield from self._of_value(olds[key], news[key], f"{self._place} {key}", "parameter ", self._direction)

    def _of_value(self, old: Schema, new: Schema, place: str, noun: str, direction: Direction) -> Iterator[Change]:
        """Compare parameters or headers of one name."""
        yield from _of_need(old, new, place, noun, direction)
        yield from _of_deprecation(old, new, place)
        yield from self._compare.changes(old.get("schema"), new.get("schema"), place, direction)
        named = FREE | {"name", "in", "required", "schema"}
        yield from unruled(old, new, named, place)

    def _of_body(self, old: Schema | None, new: Schema | None) -> Iterator[Change]:
        place = f"{self._place} body"
        if old is None and new is None:
            return
        before, after = part(self._old, old or {}), part(self._new, new or {})
        if new is None:
            yield Change(True, place, "no longer taken")
            return
        yield from _of_need(before, after, place, "", self._direction)
        if old is None:
            yield Change(False, place, "taken now")
            return
        yield from self._of_contents(before, after, place, self._direction)
        yield from unruled(before, after, FREE | {"required", "content"}, place)

    def _of_responses(self, olds: Schema, news: Schema) -> Iterator[Change]:
        for status in sorted(olds.keys() - news.keys()):
            yield Change(True, f"{self._place} {status}", "response removed")
        for status in sorted(news.keys() - olds.keys()):
            yield Change(not status.startswith(_ERRORS), f"{self._place} {status}", "response added")
        for status in sorted(olds.keys() & news.keys()):
            before, after = part(self._old, olds[status]), part(self._new, news[status])
            place = f"{self._place} {status}"
            yield from self._of_headers(before, after, place)
            yield from self._of_contents(before, after, place, self._direction.flipped)
            yield from unruled(before, after, FREE | {"headers", "content"}, place)

    def _of_headers(self, old: Schema, new: Schema, place: str) -> Iterator[Change]:
        olds, news = _headers(self._old, old), _headers(self._new, new)
        direction = self._direction.flipped
        for name in sorted(olds.keys() - news.keys()):
            yield Change(True, f"{place} {name}", "header removed")
        for name in sorted(news.keys() - olds.keys()):
            breaks = bool(news[name].get("required")) and direction is Direction.SENT
            yield Change(breaks, f"{place} {name}", "header added")
        for name in sorted(olds.keys() & news.keys()):
            yield from self._of_value(olds[name], news[name], f"{place} {name}", "header ", direction)

    def _of_contents(self, old: Schema, new: Schema, place: str, direction: Direction) -> Iterator[Change]:
        olds, news = old.get("content", {}), new.get("content", {})
        for kind in sorted(olds.keys() - news.keys()):
            yield Change(True, place, f"content type {kind} removed")
        for kind in sorted(news.keys() - olds.keys()):
            yield Change(direction is Direction.RECEIVED and bool(olds), place, f"content type {kind} added")
        for kind in sorted(olds.keys() & news.keys()):
            before, after = olds[kind], news[kind]
            if kind == _PROBLEM:
                yield from _of_codes(before, after, place)
            yield from self._compare.changes(before.get("schema"), after.get("schema"), place, direction)
            yield from unruled(before, after, FREE | {"schema"}, f"{place} {kind}")


def _of_deprecation(old: Schema, new: Schema, place: str) -> Iterator[Change]:
    if bool(old.get("deprecated")) is not bool(new.get("deprecated")):
        yield Change(False, place, "deprecated" if new.get("deprecated") else "no longer deprecated")


def _of_need(old: Schema, new: Schema, place: str, noun: str, direction: Direction) -> Iterator[Change]:
    was, now = bool(old.get("required")), bool(new.get("required"))
    if was is not now:
        what = f"{noun}became {'required' if now else 'optional'}"
        yield Change(direction.breaks(narrowed=now), place, what)


def _of_scopes(old: Schema, new: Schema, place: str) -> Iterator[Change]:
    """Any one of the scopes opens a route, and every key one that names none."""
    was, now = set(old.get("x-required-scopes", ())), set(new.get("x-required-scopes", ()))
    for scope in sorted(was - now):
        yield Change(bool(now), place, f"scope {scope} no longer {'opens it' if now else 'asked for'}")
    for scope in sorted(now - was):
        yield Change(not was, place, f"scope {scope} {'opens it too' if was else 'asked for'}")


def _parameters(document: Schema, operation: Schema) -> dict[str, Schema]:
    """Return the parameters by place and name; names of headers have no case."""
    resolved = [part(document, each) for each in operation["parameters"]]
    return {
        f"{each['in']}:{each['name'].lower() if each['in'] == 'header' else each['name']}": each for each in resolved
    }


def _headers(document: Schema, response: Schema) -> dict[str, Schema]:
    """Return the headers of an answer by name, which has no case."""
    return {name.lower(): part(document, header) for name, header in response.get("headers", {}).items()}


def _of_codes(old: Mapping[str, Any], new: Mapping[str, Any], place: str) -> Iterator[Change]:
    """Errors are told apart by their codes, which stand as names of examples: one more is news, one less a break."""
    was, now = set(old.get("examples", ())), set(new.get("examples", ()))
    for code in sorted(was - now):
        yield Change(True, place, f"code {code} removed")
    for code in sorted(now - was):
        yield Change(False, place, f"code {code} added")
