"""The errors of the domain, as one tree; every leaf has a stable `code`. Nothing here knows HTTP.

DomainError
├── ValueRefusedError            a single value breaks a rule; `detail` never repeats the value
│   ├── TextError                domain.text
│   └── MoneyError               domain.money
├── CodecError                   domain.codec: bytes that are not one of our events
│   ├── UnknownEventError        no such type, or a schema version newer than this code
│   └── MalformedEventError      the type is known and the document does not fit its schema
└── OrderError                   domain.order.errors: drawn there
"""


class DomainError(Exception):
    """Base of everything the domain refuses."""

    code: str = "domain_error"


class ValueRefusedError(DomainError, ValueError):
    """One value breaks a rule. `code` is stable; `detail` is a sentence and never holds the value itself."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class TextError(ValueRefusedError):
    """A text that its field does not allow."""


class MoneyError(ValueRefusedError):
    """A malformed amount, or an unknown currency."""


class CodecError(DomainError):
    """Bytes that are not one of our events."""


class UnknownEventError(CodecError):
    """No event of this type and schema version is known to this code."""

    code = "unknown_event"

    def __init__(self, event_type: str, schema_version: int) -> None:
        super().__init__(f"unknown event {event_type!r} in schema version {schema_version}")
        self.event_type = event_type
        self.schema_version = schema_version


class MalformedEventError(CodecError):
    """A known event whose document does not fit its schema; `where` names the places, never the values."""

    code = "malformed_event"

    def __init__(self, event_type: str, schema_version: int, where: str) -> None:
        super().__init__(f"{event_type} v{schema_version} does not fit its schema: {where}")
        self.event_type = event_type
        self.schema_version = schema_version
