"""Examples of responses that fit the examples of their requests; what the schemas alone give shows any order."""

from collections.abc import Mapping
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]
ResponseExamples: TypeAlias = Mapping[str, Mapping[str, Json]]
"""By operation id, and there by the name of the request's example; "" where that has no name."""


def show(document: Json, examples: ResponseExamples) -> Json:
    """Return the document with these examples at the successful responses; it is changed in place."""
    for methods in document["paths"].values():
        for operation in methods.values():
            if operation["operationId"] in examples:
                _show(operation, examples[operation["operationId"]])
    return document


def _show(operation: Json, examples: Mapping[str, Json]) -> None:
    [success] = [response for status, response in operation["responses"].items() if status < "300"]
    media = success["content"]["application/json"]
    media.pop("example", None)
    if "" in examples:
        media["example"] = examples[""]
        return
    sent = operation["requestBody"]["content"]["application/json"]["examples"]
    media["examples"] = {
        name: {"summary": sent[name]["summary"], "value": response} for name, response in examples.items()
    }
