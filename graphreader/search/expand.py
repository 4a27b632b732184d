"""Further queries for a question that asks for a figure by one name where documents print it under others.

A ratio is asked for by its name, and stands nowhere: its line items stand in the statements. The terms are data, in
``finance_terms.toml`` beside this module.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from graphreader.text.terms import fold

_TERMS: Final = Path(__file__).with_name("finance_terms.toml")
#: A question seldom needs more statements than these.
_MAX_QUERIES: Final = 4


@dataclass(frozen=True, slots=True)
class _Lexicon:
    #: Finds the longest name that begins at a place.
    pattern: re.Pattern[str]
    asks: dict[str, tuple[str, ...]]


def expansions(question: str) -> list[str]:
    """Queries for what the financial terms of ``question`` are made of; empty where it holds none."""
    lexicon = _lexicon()
    text = fold(question).replace("’", "'")
    found: dict[str, None] = {}
    for match in lexicon.pattern.finditer(text):
        found.update(dict.fromkeys(lexicon.asks[match["name"]]))
    return list(found)[:_MAX_QUERIES]


@cache
def _lexicon() -> _Lexicon:
    asks = {
        name: tuple(term["asks"])
        for term in tomllib.loads(_TERMS.read_text(encoding="utf-8"))["term"]
        for name in term["names"]
    }
    longest_first = sorted(asks, key=len, reverse=True)
    names = "|".join(re.escape(name) for name in longest_first)
    return _Lexicon(re.compile(rf"(?<![\w&])(?P<name>{names})s?(?![\w&])"), asks)
