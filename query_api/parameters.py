"""Types of parameters that several routes take. A type says how its value is read and with which code it is refused."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Header, Path
from pydantic import BeforeValidator, Field

from domain.instants import DateAloneError, InstantError, NaiveInstantError, parse_instant
from infra.http.validation import coded
from infra.ids import UUID_PATTERN, canonical_uuid
from query_api.problems import FIELD_CODES


def _instant(value: Any) -> datetime:
    try:
        return parse_instant(value)
    except DateAloneError as error:
        raise coded("timestamp_without_time", str(error)) from None
    except NaiveInstantError:
        raise coded("timestamp_without_offset", FIELD_CODES["timestamp_without_offset"]) from None
    except InstantError as error:
        raise coded("timestamp_invalid", str(error)) from None


Timestamp = Annotated[datetime, BeforeValidator(_instant)]
"""An RFC 3339 instant with an offset; the value is in UTC, cut to microseconds."""

_UUID_TEXT: Final = Annotated[str, Field(pattern=f"^{UUID_PATTERN}$")]

Id = Annotated[UUID, BeforeValidator(canonical_uuid, json_schema_input_type=_UUID_TEXT)]
"""An id."""

PathId = Annotated[UUID, BeforeValidator(canonical_uuid, json_schema_input_type=str)]
"""An id in an address: what is not of the form of ours is not found."""

OrderId = Annotated[PathId, Path(description="Id of the order.", examples=["019a8b5c-0000-7000-8000-000000000000"])]
DeliveryId = Annotated[
    PathId, Path(description="Id of the delivery.", examples=["019a8b5c-0000-7000-8000-000000000001"])
]
ConsistencyToken = Annotated[
    str | None,
    Header(
        description="From the response to a command: the read waits for that change, up to 1 s, else 503.",
        examples=["7.1234"],
    ),
]
