"""What a passage stands under: the title and headings that lead its indexed text."""

from __future__ import annotations

import re
from typing import Final

from graphreader.ingest.normalise import normalise
from graphreader.records import Passage

#: A lead is short; a colon further on belongs to the text.
_MAX_LEAD_CHARACTERS: Final = 240
_MAX_COLONS: Final = 4
_BRACKETED_END = re.compile(r"\s*\([^()]*\)$")


def titles_of(passage: Passage) -> frozenset[str]:
    """Normalised names of what the passage stands under, with and without a bracketed suffix.

    A title may itself hold a colon, and the lead's end is not marked, so each of the first few colons may be it; a
    wrong guess is harmless, because only what equals the name of a key element is ever used.
    """
    text = passage.text[:_MAX_LEAD_CHARACTERS]
    names: set[str] = set()
    place = text.find(": ")
    for _ in range(_MAX_COLONS):
        if place < 0:
            break
        lead = text[:place]
        for part in (lead, *lead.split(" - ")):
            names.update((normalise(part), normalise(_BRACKETED_END.sub("", part))))
        place = text.find(": ", place + 1)
    names.discard("")
    return frozenset(names)


def outermost_title(passage: Passage) -> str:
    """The normalised first name of the lead, mostly the document's title; empty where nothing leads the passage."""
    lead, colon, _ = passage.text[:_MAX_LEAD_CHARACTERS].partition(": ")
    return normalise(lead.split(" - ")[0]) if colon else ""
