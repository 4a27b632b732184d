"""Heat maps as a PNG. Drawn with Pillow, which reportlab and vLLM bring along: no plotting library for coloured tables.

The colours are those of cividis (Nuñez, Anderton and Renslow 2018), the same order for every kind of colour vision; the
value also stands in each cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

Colour = tuple[int, int, int]

_CIVIDIS: Final[tuple[Colour, ...]] = (
    (0, 34, 78),
    (42, 63, 109),
    (87, 92, 109),
    (125, 124, 120),
    (166, 157, 117),
    (209, 193, 98),
    (254, 232, 56),
)
_BLACK: Final[Colour] = (0, 0, 0)
_WHITE: Final[Colour] = (255, 255, 255)
_GREY: Final[Colour] = (120, 120, 120)
_CELL_WIDTH: Final = 88
_CELL_HEIGHT: Final = 40
_LEFT: Final = 110
_TOP: Final = 84
_BOTTOM: Final = 84
_GAP: Final = 44
_FONT: Final = 24


@dataclass(frozen=True, slots=True)
class HeatMap:
    """One panel. ``values`` has a row for each name in ``rows``; None is a cell that was not measured."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class Band:
    """Panels side by side on one scale from ``low`` to ``high``; ``digits`` of the values are shown."""

    title: str
    panels: Sequence[HeatMap]
    low: float
    high: float
    digits: int


def colour(value: float, low: float, high: float) -> Colour:
    """The colour of a value on the scale; beyond its ends, that of the end."""
    place = min(max((value - low) / (high - low), 0.0), 1.0) * (len(_CIVIDIS) - 1)
    at = min(int(place), len(_CIVIDIS) - 2)
    share = place - at
    first, second = _CIVIDIS[at], _CIVIDIS[at + 1]
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def draw(bands: Sequence[Band], row_name: str, column_name: str) -> Image.Image:
    """The bands below each other. Raises ``ImportError`` where Pillow is missing."""
    from PIL import Image, ImageDraw

    widths = [sum(_LEFT + len(panel.columns) * _CELL_WIDTH + _GAP for panel in band.panels) for band in bands]
    heights = [_TOP + max(len(panel.rows) for panel in band.panels) * _CELL_HEIGHT + _BOTTOM for band in bands]
    image = Image.new("RGB", (max(widths), sum(heights)), _WHITE)
    pen = ImageDraw.Draw(image)
    top = 0
    for band, height in zip(bands, heights, strict=True):
        pen.text((16, top + 8), band.title, _BLACK, _font(_FONT + 4))
        left = 0
        for place, panel in enumerate(band.panels):
            _panel(pen, panel, band, (left + _LEFT, top + _TOP), (row_name if place == 0 else "", column_name))
            left += _LEFT + len(panel.columns) * _CELL_WIDTH + _GAP
        top += height
    return image


def _panel(
    pen: ImageDraw.ImageDraw, panel: HeatMap, band: Band, corner: tuple[int, int], names: tuple[str, str]
) -> None:
    left, top = corner
    width, height = len(panel.columns) * _CELL_WIDTH, len(panel.rows) * _CELL_HEIGHT
    pen.text((left + width / 2, top - 8), panel.title, _BLACK, _font(_FONT), anchor="ms")
    pen.text((left - 12, top - 8), names[0], _GREY, _font(_FONT - 4), anchor="rs")
    pen.text((left + width / 2, top + height + 62), names[1], _GREY, _font(_FONT - 4), anchor="ms")
    for across, name in enumerate(panel.columns):
        pen.text((left + (across + 0.5) * _CELL_WIDTH, top + height + 30), name, _BLACK, _font(_FONT - 2), anchor="ms")
    for down, (name, values) in enumerate(zip(panel.rows, panel.values, strict=True)):
        y = top + down * _CELL_HEIGHT
        pen.text((left - 12, y + _CELL_HEIGHT / 2), name, _BLACK, _font(_FONT - 4), anchor="rm")
        for across, value in enumerate(values):
            _cell(pen, value, band, (left + across * _CELL_WIDTH, y))
    pen.rectangle((left, top, left + width, top + height), outline=_BLACK)


def _cell(pen: ImageDraw.ImageDraw, value: float | None, band: Band, corner: tuple[int, int]) -> None:
    x, y = corner
    box = (x, y, x + _CELL_WIDTH, y + _CELL_HEIGHT)
    if value is None:
        pen.rectangle(box, _WHITE, outline=(210, 210, 210))
        pen.line((x, y + _CELL_HEIGHT, x + _CELL_WIDTH, y), (210, 210, 210))
        return
    fill = colour(value, band.low, band.high)
    pen.rectangle(box, fill)
    red, green, blue = fill
    ink = _BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 130 else _WHITE
    centre = (x + _CELL_WIDTH / 2, y + _CELL_HEIGHT / 2)
    pen.text(centre, f"{value:.{band.digits}f}", ink, _font(_FONT - 4), anchor="mm")


def _font(size: int):  # type: ignore[no-untyped-def]  # noqa: ANN202 - Pillow returns one of two unrelated classes
    from PIL import ImageFont

    return ImageFont.load_default(size)
