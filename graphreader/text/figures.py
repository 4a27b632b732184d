"""Figures in text: left out where they only drown the words, and amounts told in the scales they are printed in."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

#: A text with fewer figures than this is prose that happens to hold some.
_MANY_FIGURES: Final = 6
_FIGURE = r"[$€£¥]?\(?[$€£¥]?\d[\d,]*(?:\.\d+)?\)?%?"
_CELL = rf"(?:[$€£¥—–%)]+|{_FIGURE})(?!\S)"
_FIGURES = re.compile(rf"(?<!\S){_FIGURE}(?!\S)")
#: Cells stand beside each other; a figure among words ("pier number 7") is part of what is said.
_CELLS = re.compile(rf"(?<!\S){_CELL}(?: {_CELL})+")
_YEAR = re.compile(r"(?<!\S)(?:1[89]|20)\d\d(?!\S)")
_SCALED = re.compile(
    r"(?<![\w.,])(\d+(?:,\d{3})*(?:\.\d+)?)[ -]?(thousand|k|million|mn|m|billion|bn|b|trillion)\b(?!-)", re.IGNORECASE
)
_SCALES: Final = {"t": 3, "k": 3, "m": 6, "b": 9, "trillion": 12}


def without_figures(text: str) -> str:
    """``text`` without the cells of a table, years kept, where it has many: what the table's labels say.

    An embedder makes little of figures, and a passage of them looks like any other such passage.
    """
    if len(_FIGURES.findall(text)) < _MANY_FIGURES:
        return text
    return " ".join(_CELLS.sub(lambda match: " ".join(_YEAR.findall(match.group())), text).split())


def rescaled_amounts(text: str) -> tuple[str, ...]:
    """The amounts of ``text`` in thousands, millions and billions: "1.5 billion" as 1500000 and 1500.

    A table headed "in millions" prints them so. Digits without separators; fractions below a thousandth are left out.
    """
    found: dict[str, None] = {}
    for digits, scale in _SCALED.findall(text):
        folded = scale.lower()
        exponent = _SCALES[folded] if folded in _SCALES else _SCALES[folded[0]]
        amount = Decimal(digits.replace(",", "")).scaleb(exponent)
        for other in (3, 6, 9):
            scaled = amount.scaleb(-other)
            if other != exponent and scaled == round(scaled, 3) and scaled:
                found[f"{scaled.normalize():f}"] = None
    return tuple(found)
