"""A problem of the command service as it was sent, held against the OpenAPI document."""

from typing import Final

import httpx

from tests.support.requests.route_matrix import DOCUMENTS

_COMPONENTS: Final = DOCUMENTS["command"]["components"]
_TYPES: Final[dict[str, type]] = {"string": str, "integer": int, "array": list}


def assert_documented(response: httpx.Response, code: str) -> None:
    """Fail unless the response has this code, the members of its example, and each as the schema describes it."""
    problem, schema = response.json(), _COMPONENTS["schemas"]["Problem"]
    assert problem["code"] == code, problem
    example = _COMPONENTS["examples"][code]["value"]
    assert set(problem) == set(example), "the example has the same members"
    for name, value in problem.items():
        described = schema["properties"][name]
        assert type(value) is _TYPES.get(described["type"], type(value)), name
        assert name in schema["required"] or described["description"], name
