"""Which layer a sampled stack belongs to, and the picture of the stacks."""

from xml.etree import ElementTree as ET

import pytest

from tests.bench.flame import flame_graph, tree
from tests.bench.layers import EVENT_LOOP, heaviest, layer_of, layers_of

ROUTE = ["uvicorn/server.py:serve", "infra/http/middleware.py:Gate.__call__", "command_api/handling/handle.py:handle"]


@pytest.mark.parametrize(
    ("stack", "layer"),
    [
        (["uvloop/__init__.py:run"], EVENT_LOOP),
        (ROUTE[:1], "HTTP server"),
        (ROUTE[:2], "gate: id, checks, deadline, headers"),
        (ROUTE, "handle: envelope, append command"),
        ([*ROUTE, "domain/codec.py:encode", "pydantic/main.py:BaseModel.model_dump_json"], "encode the event"),
        ([*ROUTE, "domain/order/document.py:render_order", "domain/money.py:amount_text"], "render the answer"),
    ],
)
def test_a_stack_belongs_to_its_innermost_known_frame(stack: list[str], layer: str) -> None:
    assert layer_of(stack) == layer


def test_layers_share_the_samples_and_the_cpu_time() -> None:
    layers = layers_of({";".join(ROUTE): 30, ROUTE[0]: 10}, cpu_us=200.0)
    assert [(layer.name, layer.share, layer.us) for layer in layers] == [
        ("HTTP server", 0.25, 50.0),
        ("handle: envelope, append command", 0.75, 150.0),
    ]


def test_rare_stacks_are_kept_as_one() -> None:
    assert heaviest({"a": 5, "b": 1, "c": 2, "d": 1}, most=2) == {"a": 5, "c": 2, "rare stacks": 2}


def test_stacks_merge_into_a_tree() -> None:
    root = tree({"a;b": 3, "a;c": 2, "a": 1})
    assert root.samples == 6
    assert {name: node.samples for name, node in root.below["a"].below.items()} == {"b": 3, "c": 2}


def test_the_flame_graph_is_well_formed_and_leaves_out_what_every_stack_has() -> None:
    drawn = flame_graph({"main;serve;<lambda>": 3, "main;append": 1}, "CPU & time")
    titles = [title.text or "" for title in ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}title")]  # noqa: S314  # our own
    assert [title.partition(" ")[0] for title in titles] == ["append", "serve", "<lambda>"]
