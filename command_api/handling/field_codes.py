"""Codes inside the `errors` of a `validation_failed`, with what each means. Append only, as every published code."""

from typing import Final

from infra.http.query_string import PARAMETER_CODES
from infra.http.server.raw_route import NOT_TAKEN_CODES
from infra.http.validation import BODY_CODES

FIELD_CODES: Final = {
    **BODY_CODES,
    **NOT_TAKEN_CODES,
    **PARAMETER_CODES,
    "lines_required": "Send at least one line.",
    "too_many_lines": "An order has at most 1,000 lines.",
    "idempotency_key_invalid": "An idempotency key is 1 to 255 visible ASCII characters, bare or in double quotes.",
    "orders_required": "A batch has at least one order.",
    "too_many_orders": "A batch has at most 500 orders.",
    "changes_required": "An amendment has at least one change.",
    "too_many_changes": "An amendment has at most 1,000 changes.",
    "op_unknown": "A change is add, remove, set_quantity or set_price.",
    "amount_or_lines": "A capture names an amount or lines, not both.",
    "visibility_unknown": "A note is internal or partner.",
    "date_malformed": "Not a day such as 2026-11-25.",
    "date_out_of_range": "The day is more than 3,660 days ago or more than 366 days ahead.",
    "line_unknown": "The order has no line of this id, or the request names it twice.",
    "quantity_exceeds_line": "The quantity is more than is left of the line.",
    "quantity_out_of_range": "A quantity is a whole number from 1 to 999.",
    "money_must_be_string": 'An amount is a decimal string such as "19.99", never a number or null.',
    "amount_malformed": "An amount is ASCII digits with an optional point: no sign, exponent, space or leading zero.",
    "amount_too_large": "An amount or a sum is above 10^15 minor units; the detail says how much that is.",
    "amount_zero": "An amount is more than zero.",
    "currency_unknown": "The currency is not an active ISO 4217 code in upper case.",
    "currency_precision": "The amount has more decimals than its currency.",
    "email_malformed": "Not an email address such as buyer@example.com.",
    "metadata_too_many": "Metadata holds at most 50 entries.",
    "metadata_key": "A metadata key is 1-40 of A-Z a-z 0-9 _ . -",
    "status_unknown": "Not a status of an order.",
    "text_empty": "A text must not be empty.",
    "text_blank": "Nothing in the text can be seen: only spaces, line breaks, invisible characters and bare marks.",
    "text_too_long": "A text is longer than its field takes.",
    "text_character": "A text holds a control, format, invisible, private or unassigned character. Texts that people "
    "read (notes, reasons, descriptions, values of metadata) take line feeds, tabs, joiners and flags of regions; "
    "names do not.",
    "text_marks": "A text starts with a combining mark or has too many in a row.",
    "text_spaces": "A text starts or ends with a space, or holds a space other than U+0020.",
    "url_too_long": "A URL has at most 2,048 characters.",
    "url_malformed": "A URL is https://host[:port]/path in plain ASCII, without backslash, space or control character.",
    "scheme_not_allowed": "The scheme must be https.",
    "userinfo_not_allowed": "A URL carries no user name or password.",
    "fragment_not_allowed": "A URL has no fragment.",
    "hostname_invalid": "The host is not a plain domain name.",
    "host_not_public": "The host is not a public name: it does not end in a top-level domain that exists.",
    "ip_literal_not_allowed": "Live endpoints are named, not numbered.",
    "port_not_allowed": "The port must be 443 or 8443.",
    "address_denied": "The address is not one that webhooks may be sent to.",
    "event_type_unknown": "A filter is an event type, a prefix with a star (order.*), or *; it must match some event.",
    "event_types_count": "An endpoint has 1 to 32 filters.",
    "payload_unknown": "A payload is snapshot or thin.",
}
"""Codes inside the `errors` of a `validation_failed`."""
