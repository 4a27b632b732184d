"""What a question asks for beyond its words: instructions set apart, periods spelt out, pages and tables it names.

Rules only; nothing here looks at a library.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from graphreader.search.compare import sides_of
from graphreader.search.ranked import RankingWeights
from graphreader.text.figures import rescaled_amounts

_MAX_QUESTION_CHARACTERS: Final = 4_000
_SENTENCE = re.compile(r"(?<=[.?!;])\s+(?=[A-Za-z\"“(])")
#: Sentences that say how to answer, not what to look for: "Round to two decimals", "If X is no use, then state that".
_INSTRUCTION = re.compile(
    r"(?:please |kindly |directly |just )*(?:answer|round|return|respond|reply|give|write|express|state|report) "
    r"(?:(?:me|the|your|a|an|in|to|with|it|only|final|answers?|response) ?)+"
    r"|(?:if|when|where) .{3,160}\b(?:please|then)\b.{0,20}\b(?:state|say|explain|indicate|answer|write)\b"
    r"|(?:please|then) (?:state|say|explain|indicate)\b",
    re.IGNORECASE,
)
_FISCAL_YEAR = re.compile(r"\bFY\s?['’]?((?:19|20)\d\d|\d\d)\b", re.IGNORECASE)
_QUARTER = re.compile(r"\bQ([1-4])(?:\s?(?:of\s)?(?:FY)?\s?['’]?((?:19|20)\d\d|\d\d(?!\d)))?", re.IGNORECASE)
_QUARTERS: Final = ("first", "second", "third", "fourth")
_PAGE = re.compile(r"\b(?:pages?|p\.|pp\.) ?(\d{1,4})\b", re.IGNORECASE)
_LABEL = re.compile(
    r"\b(table|figure|fig\.|section|sec\.|chapter|unit|note|exhibit|appendix|item|step|part|article|schedule)[ -]?"
    r"(\d{1,3}(?:\.\d{1,2}){0,3}[a-z]?|[IVX]{1,5}|[A-H])\b(?![-'’])",
    re.IGNORECASE,
)
_LONG_LABELS: Final = {"fig.": "figure", "sec.": "section"}


@dataclass(frozen=True, slots=True)
class Reading:
    """A question as search uses it.

    ``text`` is the question without instructions on the answer's form. ``spelt_out`` are its fiscal years, quarters and
    amounts as documents may write them ("2023", "second quarter", "1500" of 1.5 billion), ``pages`` the page numbers
    and ``labels`` the numbered parts that it names ("table ii", "section 3.3"), in lower case.
    """

    text: str
    spelt_out: tuple[str, ...] = ()
    pages: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """One of the queries that a search makes of a question.

    ``text`` is compared by meaning, ``words`` by shared words. Of the queries with ``adds`` unset, the one that a
    passage fits best counts; those with it set are added to that, so that a passage which fits several gains.
    """

    text: str
    words: str
    weight: float = 1.0
    adds: bool = False


def queries_of(
    reading: Reading, extra: Sequence[str], expansions: Sequence[str], weights: RankingWeights
) -> list[Query]:
    """The question itself, the sides of its comparison, sub-questions from outside, expansions of its terms."""
    sides = sides_of(reading.text) if weights.side else ()
    return [
        Query(reading.text, " ".join((reading.text, *reading.spelt_out))),
        *(Query(side, side, weights.side) for side in sides),
        *(Query(query, query, weights.extra_query) for query in extra if query.strip()),
        *(Query(query, query, weights.expansion, adds=True) for query in expansions if weights.expansion),
    ]


def read_question(question: str) -> Reading:
    """The reading of a question; one that is nothing but an instruction is kept as it is."""
    question = " ".join(question[:_MAX_QUESTION_CHARACTERS].split())
    asked = [sentence for sentence in _SENTENCE.split(question) if not _INSTRUCTION.match(sentence)]
    text = " ".join(asked) or question
    return Reading(
        text=text,
        spelt_out=(*_periods(text), *rescaled_amounts(text)),
        pages=tuple(dict.fromkeys(int(number) for number in _PAGE.findall(text))),
        labels=tuple(
            dict.fromkeys(
                f"{_LONG_LABELS.get(kind.lower(), kind.lower())} {number.lower()}"
                for kind, number in _LABEL.findall(text)
            )
        ),
    )


def _periods(text: str) -> tuple[str, ...]:
    """Years and quarters that ``text`` abbreviates, written out."""
    found = [_full_year(year) for year in _FISCAL_YEAR.findall(text)]
    for quarter, year in _QUARTER.findall(text):
        found.append(f"{_QUARTERS[int(quarter) - 1]} quarter")
        if year:
            found.append(_full_year(year))
    return tuple(dict.fromkeys(found))


def _full_year(digits: str) -> str:
    return digits if len(digits) == 4 else f"20{digits}"
