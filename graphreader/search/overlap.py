"""How much of a question's words a text holds, rare words counting most."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from graphreader.search.question import Query
from graphreader.text.terms import terms


@dataclass(frozen=True, slots=True)
class Overlap:
    """The question's terms with their weights, which add up to 1 (or to 0 where the question has no terms)."""

    term_weights: Mapping[str, float]

    def of(self, text: str) -> float:
        """The weight of the question's terms that ``text`` holds, from 0 to 1."""
        held = self.term_weights.keys() & set(terms(text))
        return sum(self.term_weights[term] for term in sorted(held))


def overlap_with(queries: Sequence[Query], texts: Iterable[str]) -> Overlap:
    """The overlap for weighted queries; how rare a term is, is counted in ``texts`` (the best passages)."""
    wanted: dict[str, float] = {}
    for query in queries:
        for term in terms(query.words):
            wanted[term] = max(wanted.get(term, 0.0), query.weight)
    frequency: Counter[str] = Counter()
    count = 0
    for text in texts:
        count += 1
        frequency.update(wanted.keys() & set(terms(text)))
    raw = {term: factor * math.log(1 + (count + 1) / (frequency[term] + 0.5)) for term, factor in wanted.items()}
    total = sum(raw.values())
    return Overlap({term: weight / total for term, weight in raw.items()} if total else {})
