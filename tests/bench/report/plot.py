"""Line plots as SVG: logarithmic axes, whiskers from the lowest to the highest run, names at the ends of lines. Pure.

White ground and dark text, so that they read the same on light and dark pages; the colours of Okabe and Ito, which
people with colour-blindness tell apart, and a marker of its own for each line.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

from tests.bench.report.stats import Spread

WIDTH: Final = 760
HEIGHT: Final = 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 216, 44, 54
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#555555", "#e69f00")
_LABEL_GAP: Final = 15
_MARKERS: Final = (
    '<circle r="4.5"/>',
    '<rect x="-4" y="-4" width="8" height="8"/>',
    '<path d="M0 -5l5 9h-10z"/>',
    '<path d="M0 -5.5l5.5 5.5l-5.5 5.5l-5.5 -5.5z"/>',
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its name and its points (x, spread of y), x ascending.

    `mark` is the number of its colour and marker, the same for the same thing in every plot; 0 is drawn thicker.
    """

    name: str
    points: tuple[tuple[float, Spread], ...]
    mark: int


@dataclass(frozen=True, slots=True)
class Plot:
    """What a plot shows; both axes are logarithmic, so every value is above 0."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class _Axis:
    """Where values lie between `begin` and `end` of the page."""

    ticks: tuple[float, ...]
    begin: float
    end: float

    def at(self, value: float) -> float:
        low, high = math.log(self.ticks[0]), math.log(self.ticks[-1])
        share = (math.log(value) - low) / (high - low) if high > low else 0.5
        return self.begin + share * (self.end - self.begin)


def svg(plot: Plot) -> str:
    """Return the plot; there is at least one point."""
    spreads = [value for line in plot.lines for _, value in line.points]
    x_axis = _Axis(tuple(sorted({x for line in plot.lines for x, _ in line.points})), _LEFT, WIDTH - _RIGHT)
    y_ticks = ticks(min(value.low for value in spreads), max(value.high for value in spreads))
    y_axis = _Axis(tuple(y_ticks), HEIGHT - _BOTTOM, _TOP)
    style = 'font-family="system-ui, sans-serif" font-size="12" fill="#222222"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {style} role="img">',
        f"<title>{escape(plot.title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="24" font-size="15" font-weight="600">{escape(plot.title)}</text>',
        *_grid(plot, x_axis, y_axis),
    ]
    ends = _label_heights([y_axis.at(line.points[-1][1].median) for line in plot.lines])
    for line, end in zip(plot.lines, ends, strict=True):
        parts += _line(line, x_axis, y_axis, end)
    return "\n".join([*parts, "</svg>", ""])


def ticks(low: float, high: float) -> list[float]:
    """Return round values (1, 2, 5 times a power of ten) that enclose `low` to `high`; powers alone when many."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 2 else (1,)
    values = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    below = max((value for value in values if value <= low * 1.0001), default=values[0])
    above = min((value for value in values if value >= high * 0.9999), default=values[-1])
    return [value for value in values if below <= value <= above]


def _grid(plot: Plot, x_axis: _Axis, y_axis: _Axis) -> Iterator[str]:
    left, right, bottom, top = x_axis.begin, x_axis.end, y_axis.begin, y_axis.end
    for value in y_axis.ticks:
        y = y_axis.at(value)
        yield f'<path d="M{left} {y:.1f}H{right}" stroke="#e2e2e2"/>'
        yield f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{value:,g}</text>'
    for value in x_axis.ticks:
        x = x_axis.at(value)
        yield f'<path d="M{x:.1f} {bottom}v5" stroke="#888888"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 19}" text-anchor="middle">{value:,g}</text>'
    yield f'<path d="M{left} {bottom}H{right}" stroke="#888888"/>'
    x, y = (left + right) / 2, (top + bottom) / 2
    yield f'<text x="{x}" y="{HEIGHT - 12}" text-anchor="middle">{escape(plot.x_label)}</text>'
    turned = f'text-anchor="middle" transform="rotate(-90 18 {y})"'
    yield f'<text x="18" y="{y}" {turned}>{escape(plot.y_label)}</text>'


def _line(line: Line, x_axis: _Axis, y_axis: _Axis, label_y: float) -> Iterator[str]:
    colour = _COLOURS[line.mark % len(_COLOURS)]
    places = [(x_axis.at(x), y_axis.at(value.median), value) for x, value in line.points]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
    width, weight = (3, 600) if line.mark == 0 else (1.8, 400)
    yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>'
    for x, y, value in places:
        if value.high > value.low:
            high, low = y_axis.at(value.high), y_axis.at(value.low)
            yield f'<path d="M{x:.1f} {high:.1f}V{low:.1f}" stroke="{colour}" stroke-width="1.2" opacity="0.7"/>'
        yield f'<g transform="translate({x:.1f} {y:.1f})" fill="{colour}">{_MARKERS[line.mark % len(_MARKERS)]}</g>'
    end_x, end_y, _ = places[-1]
    label_x = x_axis.end + 18
    yield f'<path d="M{end_x + 6:.1f} {end_y:.1f}L{label_x - 4} {label_y:.1f}" stroke="{colour}" opacity="0.5"/>'
    text = f'<text x="{label_x}" y="{label_y + 4:.1f}" fill="{colour}" font-weight="{weight}">'
    yield f"{text}{escape(line.name)}</text>"


def _label_heights(wanted: Sequence[float]) -> list[float]:
    """Return for each name a height near the end of its line, none on top of another."""
    heights = list(wanted)
    order = sorted(range(len(wanted)), key=lambda number: wanted[number])
    for above, below in pairwise(order):
        heights[below] = max(heights[below], heights[above] + _LABEL_GAP)
    overhang = max([*heights, 0.0]) - (HEIGHT - _BOTTOM)
    return [height - overhang for height in heights] if overhang > 0 else heights
