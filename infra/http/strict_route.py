"""A route as the FastAPI documentation shows it, only stricter about what it takes. The signature declares everything.

    router = APIRouter(route_class=StrictRoute)

    @router.post("/api/v1/things", status_code=201)
    async def create(thing: ThingBody, principal: Annotated[Principal, requires("things:write")]) -> Thing: ...

Before FastAPI reads the body or solves a dependency, the route authenticates, counts the request and checks the scope:
a wrong key is refused without `100 Continue`. Then it refuses query parameters that the signature does not have or that
are sent twice, checks the headers, and parses the body by `infra.http.json_body`, or refuses one that the signature
does not have. What does not fit the signature becomes one problem, in `infra.http.validation` (decision 0059).
"""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_params_to_args
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from infra.http.auth import required_scope
from infra.http.json_body import NO_BODY, Json
from infra.http.problems import CURSOR_INVALID, VALIDATION_FAILED, FieldError, Problem, pointer
from infra.http.query_string import read_values
from infra.http.server.raw_route import RawRequest
from infra.http.validation import is_model, value_error, with_dependencies


class StrictRequest(RawRequest):
    """A request whose body FastAPI gets as it was parsed here."""

    async def body(self) -> bytes:
        """Return the canonical bytes of the body; none where a body may be left out and was."""
        parsed = await self.strict_json()
        return b"" if parsed is NO_BODY else parsed.canonical

    async def json(self) -> Json:
        """Return the value of the body."""
        return (await self.strict_json()).value


class StrictRoute(APIRoute):
    """An `APIRoute` for `APIRouter(route_class=StrictRoute)`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what serves a request."""
        serve = super().get_route_handler()
        required, known = required_scope(self), frozenset(_query_parameters(self.dependant))
        headers = [field for each in with_dependencies(self.dependant) for field in each.header_params]
        body = None if self.body_field is None else self.body_field.field_info
        is_body_optional = body is not None and not body.is_required()

        async def serve_strictly(request: Request) -> Response:
            await required(request)
            try:
                read_values(request.scope["query_string"], known)
            except Problem as refused:
                if refused.errors:
                    refused.errors = _with_wrong_values(refused.errors, self.dependant, request)
                raise
            strict = StrictRequest(request.scope, request.receive, is_body_optional=is_body_optional)
            if body is None:
                await strict.refuse_body()
            else:
                _, wrong = request_params_to_args(headers, strict.headers)
                if wrong:
                    raise RequestValidationError(wrong)
                await strict.strict_json()  # here, since FastAPI makes a 400 of its own of what it meets while reading
            try:
                return await serve(strict)
            except Problem as problem:
                if problem.kind is CURSOR_INVALID and (others := _with_wrong_values((), self.dependant, strict)):
                    # A cursor belongs to its filters: whether it is good shows once they are.
                    raise Problem(VALIDATION_FAILED, errors=others) from None
                strict.sort_errors(problem)
                raise

        return serve_strictly


def _with_wrong_values(
    errors: tuple[FieldError, ...], dependant: Dependant, request: Request
) -> tuple[FieldError, ...]:
    """Return errors of parameters that are unknown, repeated or empty with those of the values of the others."""
    found = {each.pointer: each for each in errors}
    for each in with_dependencies(dependant):
        _, wrong = request_params_to_args(each.query_params, request.query_params)
        for error in (value_error(item, item["loc"], None) for item in wrong):
            found.setdefault(error.pointer, error)
    sent = [pointer(("query", name)) for name in request.query_params]
    return tuple(sorted(found.values(), key=lambda each: sent.index(each.pointer) if each.pointer in sent else -1))


def _query_parameters(dependant: Dependant) -> Iterator[str]:
    """Yield the names of all query parameters; those of a model are its fields."""
    for each in with_dependencies(dependant):
        for field in each.query_params:
            model = field.field_info.annotation
            yield from model.model_fields if is_model(model) else (field.alias,)
