"""A flame graph as SVG: stacks drawn downwards from the top, as wide as their share of the CPU time. Pure.

Neighbours are merged by name and sorted by it; a frame narrower than a pixel is left out. Hovering shows the name.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Final

from tests.bench.layers import LAYERS, layer_of

WIDTH: Final = 1200
ROW: Final = 17
_CHARACTER: Final = 6.6
_COLOURS: Final = ("#f4a582", "#b8dbe6", "#f6e8a6", "#d9c2e9", "#c7e5be", "#fddbc7", "#cfd8dc", "#e3b7c8", "#d6cf9a")


@dataclass(slots=True)
class Node:
    """A frame with the samples of everything below it."""

    samples: int = 0
    below: "defaultdict[str, Node]" = field(default_factory=lambda: defaultdict(Node))


def tree(samples: Mapping[str, int]) -> Node:
    """Merge stacks (`a;b;c`, outermost first) into a tree."""
    root = Node()
    for stack, count in samples.items():
        node = root
        node.samples += count
        for name in stack.split(";"):
            node = node.below[name]
            node.samples += count
    return root


def flame_graph(samples: Mapping[str, int], title: str) -> str:
    """Return the SVG."""
    root = _trunk(tree(samples))
    rows: list[str] = []
    deepest = _draw(root, rows, depth=0, left=0.0, scale=WIDTH / max(root.samples, 1), path=())
    height = (deepest + 2) * ROW + 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="monospace" '
        f'font-size="11">\n<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n'
        f'<text x="4" y="13" font-size="13">{escape(title)}</text>\n' + "\n".join(rows) + "\n</svg>\n"
    )


def _trunk(root: Node) -> Node:
    """Leave out the frames that every stack has: they start the process and say nothing."""
    while len(root.below) == 1:
        (only,) = root.below.values()
        if only.samples < root.samples:
            break
        root = only
    return root


def _draw(node: Node, rows: list[str], *, depth: int, left: float, scale: float, path: tuple[str, ...]) -> int:
    deepest = depth
    for name, child in sorted(node.below.items()):
        width = child.samples * scale
        here = (*path, name)
        if width >= 1:
            rows.append(_frame(name, left, (depth + 1) * ROW + 4, width, layer_of(here), child.samples))
            deepest = max(deepest, _draw(child, rows, depth=depth + 1, left=left, scale=scale, path=here))
        left += width
    return deepest


def _frame(name: str, left: float, top: float, width: float, layer: str, samples: int) -> str:
    colour = _COLOURS[LAYERS.index(layer) % len(_COLOURS)]
    short = name.rpartition(":")[2]
    room = int((width - 4) / _CHARACTER)
    text = short if len(short) <= room else short[: room - 1] + "…" if room > 2 else ""
    label = f'<text x="{left + 2:.1f}" y="{top + 12:.1f}">{escape(text)}</text>' if text else ""
    return (
        f'<g><title>{escape(name)} ({layer}): {samples} samples</title><rect x="{left:.1f}" y="{top:.1f}" '
        f'width="{max(width - 0.5, 0.5):.1f}" height="{ROW - 1}" fill="{colour}"/>{label}</g>'
    )
