"""How near a sentence is to a question, for cutting long lists to what a window holds.

Search ranks a whole library once; here the lists of a step (the facts of a hub, its neighbours, gathered notes) are put
in order without a model: words shared with the question, rare ones in the list counting most, and the score that search
gave to the chunk around.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphreader.text.terms import terms

#: What search thought of the surrounding chunk counts this much beside the sentence's own words.
_CHUNK_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Relevance:
    """Terms of the question and of its plan (each with a weight), and search's chunk scores from 0 to 1."""

    term_weights: Mapping[str, float]
    chunk_scores: Mapping[str, float]

    def scores(self, texts: Sequence[str], chunk_ids: Sequence[str]) -> list[float]:
        """A score of at least 0 for each text, comparable within this list only."""
        held = [self.term_weights.keys() & set(terms(text)) for text in texts]
        frequency = Counter(term for found in held for term in found)
        rarity = {term: math.log(1 + len(texts) / count) for term, count in frequency.items()}
        total = sum(weight * rarity.get(term, 0.0) for term, weight in self.term_weights.items()) or 1.0
        return [
            sum(self.term_weights[term] * rarity[term] for term in found) / total
            + _CHUNK_WEIGHT * self.chunk_scores.get(chunk_id, 0.0)
            for found, chunk_id in zip(held, chunk_ids, strict=True)
        ]


def relevance_of(
    question: str, plan: Sequence[str], chunk_scores: Mapping[str, float], plan_weight: float = 0.5
) -> Relevance:
    """The relevance that a question and its plan define."""
    weights = dict.fromkeys((term for step in plan for term in terms(step)), plan_weight)
    weights.update(dict.fromkeys(terms(question), 1.0))
    return Relevance(weights, chunk_scores)
