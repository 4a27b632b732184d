"""Quality against cost as an SVG drawing: a point with its interval for each run, labelled where there is room."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 14, 14, 46
#: A label's letter, in units of the drawing: enough for most fonts at 12 units.
_LETTER, _LINE = 7.2, 15
_RADIUS = 5


@dataclass(frozen=True, slots=True)
class Point:
    """A run: cost (tokens of a question, above 0), score with its interval (0 to 1). ``label`` stands beside it."""

    name: str
    label: str
    cost: float
    score: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


class _Scale:
    """Where costs (on a logarithmic scale) and scores stand in the drawing."""

    def __init__(self, points: Sequence[Point], width: float, height: float) -> None:
        costs = [point.cost for point in points]
        self.low = math.floor(math.log10(min(costs)) * 2 - 0.1) / 2
        self.high = max(math.ceil(math.log10(max(costs)) * 2 + 0.1) / 2, self.low + 1)
        self.top = min(1.0, max(math.ceil(max(point.high for point in points) * 5 + 0.2) / 5, 0.2))
        self.width, self.height = width, height

    def x(self, cost: float) -> float:
        share = (math.log10(cost) - self.low) / (self.high - self.low)
        return _LEFT + share * (self.width - _LEFT - _RIGHT)

    def y(self, score: float) -> float:
        return self.height - _BOTTOM - score / self.top * (self.height - _TOP - _BOTTOM)


def plot_of(points: Sequence[Point], width: int, height: int, name: str) -> str:
    """The drawing, ``width`` by ``height`` units; empty where there is no point. ``name`` is its class."""
    shown = [point for point in points if point.cost > 0]
    if not shown:
        return ""
    scale = _Scale(shown, width, height)
    parts = [
        f'<svg class="{escape(name)}" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="Score of each run against the tokens of a question">',
        *_axes(scale),
        *(_interval(point, scale) for point in shown),
        *(_dot(point, scale) for point in shown),
        *_labels(shown, scale),
        "</svg>",
    ]
    return "\n".join(parts)


def _axes(scale: _Scale) -> Iterator[str]:
    step = 0.1 if scale.top <= 0.5 else 0.2
    for number in range(round(scale.top / step) + 1):
        y = scale.y(number * step)
        yield f'<line class="grid" x1="{_LEFT}" x2="{scale.width - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number * step * 100:.0f}</text>'
    bottom = scale.height - _BOTTOM
    for cost in _ticks(scale):
        x = scale.x(cost)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}"/>'
        yield f'<text class="tick" x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{_short(cost)}</text>'
    middle = (_LEFT + scale.width - _RIGHT) / 2
    yield f'<text class="axis" x="{middle:.1f}" y="{scale.height - 8}" text-anchor="middle">tokens of a question</text>'


def _ticks(scale: _Scale) -> Iterator[float]:
    steps = (1,) if scale.high - scale.low > 3 else (1, 3)
    for power in range(math.floor(scale.low), math.ceil(scale.high) + 1):
        for step in steps:
            if scale.low <= math.log10(step * 10**power) <= scale.high:
                yield step * 10**power


def _short(cost: float) -> str:
    if cost >= 1e6:
        return f"{cost / 1e6:g}M"
    return f"{cost / 1e3:g}k" if cost >= 1e3 else f"{cost:g}"


def _interval(point: Point, scale: _Scale) -> str:
    x, low, high = scale.x(point.cost), scale.y(point.low), scale.y(point.high)
    return f'<line class="interval" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'


def _dot(point: Point, scale: _Scale) -> str:
    told = f"{point.name}: {100 * point.score:.1f} ({100 * point.low:.1f} to {100 * point.high:.1f}), {point.cost:,.0f}"
    x, y = scale.x(point.cost), scale.y(point.score)
    return f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{_RADIUS}"><title>{escape(told)} tokens</title></circle>'


def _labels(points: Sequence[Point], scale: _Scale) -> Iterator[str]:
    """The name beside each point, where it meets no other name and no point, if there is such a place near."""
    places = [(scale.x(point.cost), scale.y(point.score)) for point in points]
    taken = [_Box(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS) for x, y in places]
    for point, (x, y) in sorted(zip(points, places, strict=True), key=lambda pair: (pair[1][1], pair[1][0])):
        length = _LETTER * len(point.label)
        boxes = list(_candidates(x, y, length, scale))
        box = next((box for box in boxes if not any(box.meets(other) for other in taken)), boxes[0])
        taken.append(box)
        if abs((box.top + box.bottom) / 2 - y) > _LINE:
            near = box.left if box.left > x else min(box.right, max(x, box.left))
            middle = (box.top + box.bottom) / 2
            yield f'<line class="leader" x1="{x:.1f}" y1="{y:.1f}" x2="{near:.1f}" y2="{middle:.1f}"/>'
        # Letters may be wider than was reckoned: a name ends where it must, beside its point, and grows away from it.
        at, anchor = (box.right, "end") if box.right <= x else (box.left, "start")
        place = f'x="{at:.1f}" y="{box.bottom - 4:.1f}" text-anchor="{anchor}"'
        yield f'<text class="label" {place}>{escape(point.label)}</text>'


def _candidates(x: float, y: float, length: float, scale: _Scale) -> Iterator[_Box]:
    """Boxes for a name: right, left, above and below of its point, then farther up and down."""
    lowest, rightmost = scale.height - _BOTTOM, scale.width - 2
    for shift in (0, -1, 1, -2, 2, -3, 3, -4, 4, -5, 5):
        top = y - _LINE / 2 + shift * _LINE
        if top < 0 or top + _LINE > lowest:
            continue
        for left in (x + _RADIUS + 4, x - _RADIUS - 4 - length, x - length / 2):
            kept = min(max(left, _LEFT + 2.0), rightmost - length)
            yield _Box(kept, top, kept + length, top + _LINE)
    yield _Box(min(x + _RADIUS + 4, rightmost - length), y - _LINE / 2, rightmost, y + _LINE / 2)
