"""What requests about webhook endpoints look like, and how each value is checked."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from ipaddress import ip_network
from typing import Final

from pydantic import Field

from command_api.errors import invalid_values
from command_api.handling.field_codes import FIELD_CODES
from command_api.webhook_endpoints.store import NewEndpoint
from domain import text
from domain.errors import TextError
from domain.order.events import EVENT_TYPES
from infra.http.problems import FieldError, Problem
from infra.http.validation import RequestBody
from infra.security.net_guard.target import MAX_URL_CHARS, AddressRules, TargetRefusedError, parse_target
from infra.webhook_filters import is_pattern, matches

MAX_FILTERS: Final = 32
PAYLOADS: Final = ("snapshot", "thin")
_MOST_OPEN: Final = AddressRules(livemode=False, allow_networks=(ip_network("0.0.0.0/0"), ip_network("::/0")))


class WebhookEndpointBody(RequestBody):
    """A new endpoint: where webhooks go and which."""

    url: str = Field(
        json_schema_extra={"maxLength": MAX_URL_CHARS, "format": "uri"}, examples=["https://example.com/webhooks"]
    )
    description: str = Field(
        default="", json_schema_extra={"maxLength": text.MAX_DESCRIPTION_CHARS}, examples=["order desk"]
    )
    event_types: list[str] = Field(
        default=["*"],
        description="event types, with a star for all below a name",
        json_schema_extra={"minItems": 1, "maxItems": MAX_FILTERS},
        examples=[["order.*"]],
    )
    payload: str = Field(
        default="snapshot",
        description="both say what happened; `snapshot` carries the whole order, `thin` only its id and version",
        json_schema_extra={"enum": list(PAYLOADS)},
    )

    def value_errors(self, _broken: AbstractSet[str]) -> Sequence[FieldError]:
        """Return what is wrong with the values, whatever addresses are open."""
        try:
            new_endpoint(self, _MOST_OPEN)
        except Problem as problem:
            return problem.errors
        return ()


def new_endpoint(body: WebhookEndpointBody, rules: AddressRules) -> NewEndpoint:
    """Return the endpoint that a body asks for, its URL in canonical form.

    Raises:
        Problem: 422 with one error for each broken value.
    """
    found: list[FieldError] = []
    url = ""
    try:
        url = parse_target(body.url, rules).url
    except TargetRefusedError as refused:
        found.append(FieldError("/url", refused.code, refused.detail))
    description = ""
    try:
        description = text.description(body.description)
    except TextError as broken:
        found.append(FieldError("/description", broken.code, broken.detail))
    if not 1 <= len(body.event_types) <= MAX_FILTERS:
        found.append(_error("/event_types", "event_types_count"))
    else:
        wrong = [index for index, pattern in enumerate(body.event_types) if not _is_known(pattern)]
        found += [_error(f"/event_types/{index}", "event_type_unknown") for index in wrong]
    if body.payload not in PAYLOADS:
        found.append(_error("/payload", "payload_unknown"))
    if found:
        raise invalid_values(found)
    return NewEndpoint(url, description, tuple(dict.fromkeys(body.event_types)), body.payload)


def _is_known(pattern: str) -> bool:
    """Return whether a filter matches any type of event: with a typo in it nothing would ever be sent."""
    return is_pattern(pattern) and any(matches([pattern], kind.type) for kind in EVENT_TYPES)


def _error(pointer: str, code: str) -> FieldError:
    return FieldError(pointer, code, FIELD_CODES[code])
