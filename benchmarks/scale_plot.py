"""A plain SVG of curves on logarithmic axes: no plotting library for three small panels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

_WIDTH: Final = 300
_HEIGHT: Final = 220
_LEFT: Final = 56
_TOP: Final = 34
_BOTTOM: Final = 44
_COLOURS: Final = ("#1f5fa8", "#c2571a", "#3a7d34")


@dataclass(frozen=True, slots=True)
class Series:
    """One curve: (x, y) pairs, both above zero."""

    name: str
    points: list[tuple[float, float]]


def plot(panels: Sequence[tuple[str, Sequence[Series]]], x_name: str) -> str:
    """Panels side by side, each with its title and its curves; a straight line of slope 1 is linear growth."""
    step = _WIDTH + _LEFT + 24
    width, height = step * len(panels), _TOP + _HEIGHT + _BOTTOM
    drawn = "".join(
        f'<g transform="translate({place * step + _LEFT},{_TOP})">{_panel(title, curves, x_name)}</g>'
        for place, (title, curves) in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="11"><rect width="{width}" height="{height}" fill="white"/>{drawn}</svg>\n'
    )


def _panel(title: str, curves: Sequence[Series], x_name: str) -> str:
    points = [point for curve in curves for point in curve.points]
    if not points:
        return ""
    x_low, x_high = _decades([x for x, _ in points])
    y_low, y_high = _decades([y for _, y in points])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - x_low) / (x_high - x_low)
        up = (math.log10(y) - y_low) / (y_high - y_low)
        return round(across * _WIDTH, 1), round((1 - up) * _HEIGHT, 1)

    parts = [
        f'<text x="0" y="-14" font-weight="bold">{escape(title)}</text>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#888"/>',
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT + 34}" text-anchor="middle">{escape(x_name)}</text>',
    ]
    for decade in range(x_low, x_high + 1):
        x, _ = place(10**decade, 10**y_low)
        parts.append(f'<text x="{x}" y="{_HEIGHT + 16}" text-anchor="middle">{_short(10**decade)}</text>')
        parts.append(f'<line x1="{x}" x2="{x}" y1="0" y2="{_HEIGHT}" stroke="#ddd"/>')
    for decade in range(y_low, y_high + 1):
        _, y = place(10**x_low, 10**decade)
        parts.append(f'<text x="-6" y="{y + 4}" text-anchor="end">{_short(10**decade)}</text>')
        parts.append(f'<line x1="0" x2="{_WIDTH}" y1="{y}" y2="{y}" stroke="#ddd"/>')
    for number, curve in enumerate(curves):
        colour = _COLOURS[number % len(_COLOURS)]
        placed = [place(*point) for point in curve.points]
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{_joined(placed)}"/>')
        for (x, y), (_, value) in zip(placed, curve.points, strict=True):
            parts.append(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>')
            parts.append(f'<text x="{x}" y="{y - 7}" text-anchor="middle" fill="{colour}">{value:,.3g}</text>')
        parts.append(f'<text x="8" y="{16 + 14 * number}" fill="{colour}">{escape(curve.name)}</text>')
    return "".join(parts)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _joined(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _short(value: float) -> str:
    for factor, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= factor:
            return f"{value / factor:g}{unit}"
    return f"{value:g}"
