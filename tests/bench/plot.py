"""Line plots as SVG: logarithmic axes, whiskers from the lowest to the highest run, names at the ends of lines. Pure.

White ground and dark text of their own, so that they read the same on light and dark pages; colours by Okabe and Ito,
which people with colour-blindness tell apart, and a marker of its own for each line.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

from tests.bench.stats import Spread

WIDTH: Final = 760
HEIGHT: Final = 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 216, 44, 54
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#555555", "#e69f00")
_LABEL_GAP: Final = 15


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


def svg(plot: Plot) -> str:
    """Return the plot; there is at least one point."""
    frame = _frame(plot)
    style = 'font-family="system-ui, sans-serif" font-size="12" fill="#222222"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {style} role="img">',
        f"<title>{escape(plot.title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="24" font-size="15" font-weight="600">{escape(plot.title)}</text>',
        *_grid(plot, frame),
    ]
    ends = _label_heights([frame.y(line.points[-1][1].median) for line in plot.lines])
    for line, end in zip(plot.lines, ends, strict=True):
        parts += _line(line, frame, end)
    return "\n".join([*parts, "</svg>", ""])


def ticks(low: float, high: float) -> list[float]:
    """Return round values (1, 2, 5 times a power of ten) that enclose `low` to `high`; powers alone when many."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 2 else (1,)
    values = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    below = max((value for value in values if value <= low * 1.0001), default=values[0])
    above = min((value for value in values if value >= high * 0.9999), default=values[-1])
    return [value for value in values if below <= value <= above]


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where values lie on the page."""

    x_ticks: tuple[float, ...]
    y_ticks: tuple[float, ...]

    def x(self, value: float) -> float:
        low, high = math.log(self.x_ticks[0]), math.log(self.x_ticks[-1])
        share = (math.log(value) - low) / (high - low) if high > low else 0.5
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = math.log(self.y_ticks[0]), math.log(self.y_ticks[-1])
        share = (math.log(value) - low) / (high - low) if high > low else 0.5
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def _frame(plot: Plot) -> _Frame:
    xs = sorted({x for line in plot.lines for x, _ in line.points})
    lows = [spread.low for line in plot.lines for _, spread in line.points]
    highs = [spread.high for line in plot.lines for _, spread in line.points]
    return _Frame(tuple(xs), tuple(ticks(min(lows), max(highs))))


def _grid(plot: Plot, frame: _Frame) -> list[str]:
    left, right, bottom = _LEFT, WIDTH - _RIGHT, HEIGHT - _BOTTOM
    parts: list[str] = []
    for value in frame.y_ticks:
        y = frame.y(value)
        parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="#e2e2e2"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{value:,g}</text>')
    for value in frame.x_ticks:
        x = frame.x(value)
        parts.append(f'<path d="M{x:.1f} {bottom}v5" stroke="#888888"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 19}" text-anchor="middle">{value:,g}</text>')
    middle = (left + right) / 2
    parts.append(f'<path d="M{left} {bottom}H{right}" stroke="#888888"/>')
    parts.append(f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">{escape(plot.x_label)}</text>')
    height = (_TOP + bottom) / 2
    turned = f'text-anchor="middle" transform="rotate(-90 18 {height})"'
    parts.append(f'<text x="18" y="{height}" {turned}>{escape(plot.y_label)}</text>')
    return parts


def _line(line: Line, frame: _Frame, label_y: float) -> list[str]:
    number = line.mark
    colour = _COLOURS[number % len(_COLOURS)]
    places = [(frame.x(x), frame.y(spread.median), spread) for x, spread in line.points]
    way = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
    width, weight = (3, 600) if number == 0 else (1.8, 400)
    parts = [f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>']
    for x, y, spread in places:
        if spread.high > spread.low:
            high, low = frame.y(spread.high), frame.y(spread.low)
            parts.append(
                f'<path d="M{x:.1f} {high:.1f}V{low:.1f}" stroke="{colour}" stroke-width="1.2" opacity="0.7"/>'
            )
        parts.append(_marker(number, x, y, colour))
    end_x, end_y, _ = places[-1]
    label_x = WIDTH - _RIGHT + 18
    parts.append(
        f'<path d="M{end_x + 6:.1f} {end_y:.1f}L{label_x - 4} {label_y:.1f}" stroke="{colour}" opacity="0.5"/>'
    )
    parts.append(
        f'<text x="{label_x}" y="{label_y + 4:.1f}" fill="{colour}" font-weight="{weight}">{escape(line.name)}</text>'
    )
    return parts


def _marker(number: int, x: float, y: float, colour: str) -> str:
    shapes = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>',
        f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{colour}"/>',
        f'<path d="M{x:.1f} {y - 5:.1f}l5 9h-10z" fill="{colour}"/>',
        f'<path d="M{x:.1f} {y - 5.5:.1f}l5.5 5.5l-5.5 5.5l-5.5 -5.5z" fill="{colour}"/>',
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#ffffff" stroke="{colour}" stroke-width="2"/>',
    )
    return shapes[number % len(shapes)]


def _label_heights(wanted: Sequence[float]) -> list[float]:
    """Return each name a height near the end of its line, none on top of another."""
    heights = list(wanted)
    order = sorted(range(len(wanted)), key=lambda number: wanted[number])
    for above, below in pairwise(order):
        heights[below] = max(heights[below], heights[above] + _LABEL_GAP)
    overhang = max([*heights, 0.0]) - (HEIGHT - _BOTTOM)
    return [height - overhang for height in heights] if overhang > 0 else heights
