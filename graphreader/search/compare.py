"""Questions that set two things side by side: each is looked for by itself, since one text seldom holds both.

Rules only, for names and years; the model's own split of a question is the setting ``search.decompose``.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from graphreader.text.mentions import names_in

_YEAR = re.compile(r"\b(?:FY ?)?(?:1[0-9]|20)\d\d\b")
#: Between the two: "A or B", "A compared with the B", "A, and the works of B".
_BETWEEN = re.compile(
    r",? (?P<joint>and|or|with|to|than|versus|vs\.?|against|from|(?:compared?|relative|opposed) (?:to|with))"
    r"(?: [a-z]+){0,3} ?[\"“'‘(]?"
)
#: These set things side by side by themselves; the others do where the question says so.
_ALWAYS: Final = ("or", "than", "versus", "vs", "vs.", "against")
_CUE = re.compile(
    r"\b(?:both|between|compar\w+|differ\w*|same|common|alike|similar\w*|respective\w*|each|change[ds]?|grow\w*|grew|"
    r"increase\w*|decrease\w*|decline\w*|improve\w*|rise|rose|fell|fall)\b",
    re.IGNORECASE,
)


def sides_of(question: str) -> list[str]:
    """The question about each of the two things that it compares, in their order; empty where it compares none."""
    for first, second in pairwise(_spans(question)):
        between = _BETWEEN.fullmatch(question, first[1], second[0])
        if between is None:
            continue
        joint = between["joint"]
        if joint in _ALWAYS or joint.startswith(("compare", "relative", "opposed")) or _CUE.search(question):
            before, after = question[: first[0]], question[second[1] :]
            return [f"{before}{question[start:end]}{after}" for start, end in (first, second)]
    return []


def _spans(question: str) -> list[tuple[int, int]]:
    """Where names and years stand, in order, none inside another."""
    found = {match.span() for match in _YEAR.finditer(question)}
    at = 0
    for name in names_in(question):
        if " and " in name:
            continue
        start = question.find(name, at)
        if start >= 0:
            found.add((start, start + len(name)))
            at = start + len(name)
    kept: list[tuple[int, int]] = []
    for start, end in sorted(found, key=lambda span: (span[0], -span[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
    return kept
