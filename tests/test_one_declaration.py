"""A route is declared once, by the signature that is called: nothing else describes it, and nothing only describes."""

import ast
import inspect
import textwrap
from collections.abc import Iterator

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from tests.support.requests.route_matrix import ROUTERS

ROUTES = [
    route
    for routers in ROUTERS.values()
    for router in routers
    for route in router.routes
    if isinstance(route, APIRoute)
]
EACH = pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{min(route.methods)} {route.path}")
BY_HAND = {"header", "headers", "query_params", "path_params", "cookies", "json", "form"}
"""Attributes of a request that a parameter of the signature stands for."""
OF_REQUESTS = {"request", "context", "request.context", "context_of(request)"}
UNDECLARED = {"state", "path"}
"""Keys of an ASGI scope that no parameter stands for."""


def called(dependant: Dependant) -> Iterator[ast.AsyncFunctionDef | ast.FunctionDef]:
    """Return the endpoint and every dependency below it, as they are written."""
    function = dependant.call if inspect.isroutine(dependant.call) else type(dependant.call).__call__
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(definition, ast.AsyncFunctionDef | ast.FunctionDef)
    yield definition
    for each in dependant.dependencies:
        yield from called(each)


def is_by_hand(node: ast.AST) -> bool:
    """Return whether this reads a part of a request that a parameter can declare."""
    match node:
        case ast.Attribute(value=owner, attr=name):
            return name in BY_HAND and ast.unparse(owner) in OF_REQUESTS
        case ast.Subscript(value=ast.Attribute(attr="scope"), slice=ast.Constant(value=key)):
            return key not in UNDECLARED
    return False


@EACH
def test_openapi_is_made_of_the_signature_that_is_called(route: APIRoute) -> None:
    assert route.dependant.call is route.endpoint
    assert not route.openapi_extra
    assert not route.callbacks


@EACH
def test_no_function_declares_parameters_without_using_them(route: APIRoute) -> None:
    for definition in called(route.dependant):
        names = {node.id for statement in definition.body for node in ast.walk(statement) if isinstance(node, ast.Name)}
        parameters = {each.arg for each in (*definition.args.args, *definition.args.kwonlyargs)}
        # A body that must be empty is checked by its type alone.
        assert parameters - {"self", "_body"} <= names, definition.name


@EACH
def test_no_function_reads_by_hand_what_a_parameter_can_declare(route: APIRoute) -> None:
    for definition in called(route.dependant):
        assert [ast.unparse(node) for node in ast.walk(definition) if is_by_hand(node)] == [], definition.name
