"""A route that FastAPI declares and that is served without FastAPI's dependency solver.

The signature of the endpoint says everything: FastAPI makes the OpenAPI document of it, and here it is compiled, once,
into readers of the arguments. The solver and its exit stacks would cost more than everything else in front of an
endpoint together (decision 0040).

A route takes no query parameters: one that is sent is refused as soon as the caller is authenticated. So is a body
where the signature has none.

Arguments are read from left to right: first the dependencies of the decorator, which authenticate, then those of the
signature. A parameter is one of

* the request (`RawRequest`);
* a path parameter or a header: its text, or None when it was not sent, goes to the validators of its type. A header
  with a default takes that when it was not sent;
* `Depends` on an `async def` function or object with such parameters of its own, called once for each request;
* one pydantic model: the body as strict JSON (`infra.http.json_body`). With a default, a request without a body is as
  good as one with `{}`.

Anything else that FastAPI knows is refused when the service starts.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infra.http.auth import required_scope
from infra.http.context import context_of
from infra.http.guards import SENT_ONCE
from infra.http.json_body import JSON_SPACES, NO_BODY, InvalidBodyError, JsonBody, read_bytes, read_json
from infra.http.problems import VALIDATION_FAILED, FieldError, Problem
from infra.http.query_string import read_values
from infra.http.validation import in_body_order

NOT_TAKEN_CODES: Final = {"body_not_taken": "This request takes no body: send none, or {}."}
"""The code inside the `errors` of a `validation_failed` where a route reads no body."""

_LENGTH: Final = b"content-length"
_CODING: Final = b"transfer-encoding"


class ReadyResponse(Response):
    """A response whose header lines are ready: nothing is encoded, copied or guessed. Names are in lower case."""

    def __init__(self, body: bytes, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.body = body
        self.status_code = status
        self.raw_headers = [*headers, (b"content-length", b"%d" % len(body))]
        self.background = None


class RawRequest(Request):
    """A request with its context, whose body is strict JSON; `is_body_optional`: to send none is to send `{}`."""

    def __init__(self, scope: Scope, receive: Receive, *, is_body_optional: bool) -> None:
        super().__init__(scope, receive)
        self.context = context_of(self)
        self._is_body_optional = is_body_optional
        self._parsed: JsonBody | None = None

    @property
    def headers(self) -> Headers:
        """Return the headers, each value without the blanks around it (RFC 9110, 5.5)."""
        if not hasattr(self, "_headers"):
            self._headers = Headers(raw=[(name, value.strip()) for name, value in self.scope["headers"]])
        return self._headers

    async def strict_json(self) -> JsonBody:
        """Return the body, which is read the first time.

        Raises:
            Problem: as `read_json`.
        """
        if self._parsed is None:
            limits = self.scope["state"]["bodies"]
            self._parsed = await read_json(self, limits, is_optional=self._is_body_optional)
        return self._parsed

    async def refuse_body(self) -> None:
        """Refuse a body, in whatever form, where a route takes none; an empty one and `{}` may pass.

        Raises:
            Problem: 422.
        """
        headers = self.context.headers
        if headers.get(_LENGTH, b"0") == b"0" and _CODING not in headers:
            return
        try:
            body = (await read_bytes(self, self.scope["state"]["bodies"])).strip(JSON_SPACES)
        except Problem:  # too large or too slow: no need to see the rest
            body = None
        if body not in {b"", NO_BODY.canonical}:
            errors = tuple(FieldError("", code, detail) for code, detail in NOT_TAKEN_CODES.items())
            raise Problem(VALIDATION_FAILED, errors=errors)

    def sort_errors(self, problem: Problem) -> None:
        """Put the errors of a problem in the order of the body."""
        if self._parsed is not None:
            problem.errors = in_body_order(problem.errors, self._parsed.value)


class RawRoute(APIRoute):
    """An `APIRoute` that calls its endpoint with what the signature declares; the endpoint returns a `Response`."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._required = required_scope(self)
        self._before = [_reader_of_call(each) for each in self.dependant.dependencies if each.name is None]
        self._respond = _reader_of_call(self.dependant)
        self.takes_body = self.body_field is not None
        self._is_body_optional = self.body_field is not None and not self.body_field.field_info.is_required()
        self.app = self._serve

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = RawRequest(scope, receive, is_body_optional=self._is_body_optional)
        if scope["query_string"]:
            await self._required(request)
            read_values(scope["query_string"], frozenset())
        if not self.takes_body and (_LENGTH in request.context.headers or _CODING in request.context.headers):
            await self._required(request)
            await request.refuse_body()
        for dependency in self._before:
            await dependency(request)
        try:
            response: Response = await self._respond(request)
        except Problem as problem:
            request.sort_errors(problem)
            raise
        await response(scope, receive, send)


_REFUSED: Final = (
    "query_params",
    "cookie_params",
    "websocket_param_name",
    "http_connection_param_name",
    "response_param_name",
    "background_tasks_param_name",
    "security_scopes_param_name",
)


def _reader_of_call(dependant: Dependant) -> Callable[[RawRequest], Awaitable[Any]]:
    """Return what reads the arguments of a function and calls it.

    Raises:
        TypeError: it has a parameter of a kind that is not known here, or is not an `async def`.
    """
    call = dependant.call
    if call is None or not _is_coroutine_function(call):
        raise TypeError(f"{dependant.path}: {call} is not an async def")
    refused = [kind for kind in _REFUSED if getattr(dependant, kind)]
    if refused or len(dependant.body_params) > 1:
        raise TypeError(f"{dependant.path}: {call} takes {refused or 'two bodies'}")
    names = list(inspect.signature(call).parameters)
    if names == [dependant.request_param_name]:
        return call
    awaited = {each.name: _reader_of_call(each) for each in dependant.dependencies}
    awaited |= {each.name: _body_reader(each.field_info) for each in dependant.body_params}
    plain: dict[str | None, Callable[[RawRequest], Any]] = {
        each.name: _path_reader(each.field_info) for each in dependant.path_params
    }
    plain |= {each.name: _header_reader(each.field_info) for each in dependant.header_params}
    plain[dependant.request_param_name] = lambda request: request
    arguments = [(awaited[name], True) if name in awaited else (plain[name], False) for name in names]

    async def read(request: RawRequest) -> Any:
        return await call(*[await read(request) if is_awaited else read(request) for read, is_awaited in arguments])

    return read


def _path_reader(field: FieldInfo) -> Callable[[RawRequest], Any]:
    name, validated = field.alias or "", _validator(field, "path")
    return lambda request: validated(request.scope["path_params"][name])


def _header_reader(field: FieldInfo) -> Callable[[RawRequest], Any]:
    name, validated = (field.alias or "").lower().encode("ascii"), _validator(field, "header")
    if name not in SENT_ONCE:
        raise TypeError(f"the header {field.alias} may be sent several times")
    is_required, default = field.is_required(), field.default

    def read(request: RawRequest) -> Any:
        text = request.context.header(name)
        return default if text is None and not is_required else validated(text)

    return read


def _validator(field: FieldInfo, place: str) -> Callable[[Any], Any]:
    annotation: Any = Annotated[field.annotation, field]
    validate = TypeAdapter(annotation).validator.validate_python

    def validated(text: str | None) -> Any:
        try:
            return validate(text)
        except ValidationError as error:
            raise RequestValidationError(
                [{**each, "loc": (place, field.alias, *each["loc"])} for each in error.errors(include_input=False)]
            ) from None

    return validated


def _body_reader(field: FieldInfo) -> Callable[[RawRequest], Any]:
    model = field.annotation
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise TypeError(f"a body is one pydantic model, not {model}")
    validate = model.__pydantic_validator__.validate_python

    async def read(request: RawRequest) -> Any:
        body = await request.strict_json()
        try:
            return validate(body.value)
        except ValidationError as error:
            raise InvalidBodyError(model, error, body.value) from None

    return read


def _is_coroutine_function(call: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004
