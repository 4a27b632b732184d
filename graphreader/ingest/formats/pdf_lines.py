"""The records that PDF reading and its layout rules share."""

from __future__ import annotations

from typing import NamedTuple


class FontStyle(NamedTuple):
    """What a font's name says of it."""

    is_bold: bool
    is_italic: bool


class Line(NamedTuple):
    """A line of a page: ``x`` and ``y`` of its first character in points, ``y`` upwards from the bottom.

    ``row_count`` is more than 1 where pdfium joined a word broken at the end of a row to the row below.
    """

    page_index: int
    text: str
    x: float
    y: float
    size: float
    style: FontStyle
    row_count: int = 1


class OutlineEntry(NamedTuple):
    """A bookmark; ``level`` counts from 1."""

    level: int
    title: str
    page_index: int


class HeadingLines(NamedTuple):
    """A heading as the lines ``first`` to ``last`` (indices, both inclusive)."""

    level: int
    first: int
    last: int


def drop_in_rows(above: Line, below: Line) -> float | None:
    """By how much ``below`` starts lower than the last row of ``above`` would if both were set solid, in font sizes.

    None across pages and where the second does not lie under the first: there distances say nothing.
    """
    drop = above.y - below.y
    if above.page_index != below.page_index or drop <= 0 or below.size <= 0:
        return None
    return drop / above.row_count / max(above.size, below.size)
