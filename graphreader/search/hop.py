"""The second step: what the best passages mention and the question does not name leads on to further passages.

A passage whose heading *is* the new key element counts most: it is what the text says about it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from graphreader.records import AtomicFact
from graphreader.search.overlap import Overlap
from graphreader.search.ranked import RankingWeights
from graphreader.search.seed import Seed, best
from graphreader.search.titles import outermost_title, titles_of
from graphreader.search.walk import Graph

#: Best passages whose titles tell whether the question is about one document.
_TITLES_READ = 10
_LEAST_REACH = 0.3
#: A key element of a fact that shares no word with the question still leads on, weakly.
_LEAST_SIMILARITY = 0.05


@dataclass(frozen=True, slots=True)
class Hop:
    """Further scores by passage id (about 0 to 1.5), the key element each came through, and where it all began."""

    scores: Mapping[str, float]
    through: Mapping[str, str]
    start: Sequence[str]


def second_step(graph: Graph, seed: Seed, linked: Collection[str], overlap: Overlap, weights: RankingWeights) -> Hop:
    """Follow the new key elements of the best passages of ``seed``."""
    start = seed.best(weights.hop_passages)
    reach = _reach(graph, seed)
    if not reach:
        return Hop({}, {}, start)
    strengths = _leading_key_elements(graph, {key: seed.fused[key] for key in start}, linked, overlap)
    leading = best(strengths, weights.hop_key_elements)
    if not leading:
        return Hop({}, {}, start)
    highest = strengths[leading[0]] or 1.0
    graph.add_key_elements(leading)
    titled = _titled(graph, leading)
    seed.fetch_vectors(passage for name in leading for passage in graph.passages.get(name, ()))
    scores: dict[str, float] = {}
    through: dict[str, str] = {}
    for name in leading:
        strength = strengths[name] / highest
        spread = math.sqrt(max(1, len(titled[name])))
        for passage in graph.passages.get(name, ()):
            if passage in start:
                continue
            is_titled = passage in titled[name]
            near = max(seed.vector.get(passage, 0.0), seed.text.get(passage, 0.0))
            score = weights.hop_holds * reach * strength * math.sqrt(near)
            if is_titled:
                score = max(score, weights.hop_titled * reach * strength / spread)
            if score > scores.get(passage, 0.0):
                scores[passage] = score
                through[passage] = name
    return Hop(scores, through, start)


def _reach(graph: Graph, seed: Seed) -> float:
    """How far the step may lead: 1 where the best passages stand under titles of their own, 0 where most share one.

    Within one document the best passages' key elements lead back to it, and to what is everywhere in it.
    """
    near = graph.library.passages_by_id(seed.best(_TITLES_READ))
    shared = Counter(title for title in map(outermost_title, near) if title).most_common(1)
    if not shared:
        return 1.0
    reach = 1 - (shared[0][1] - 1) / max(1, len(near) - 1)
    return reach if reach > _LEAST_REACH else 0.0


def _leading_key_elements(
    graph: Graph, start: Mapping[str, float], linked: Collection[str], overlap: Overlap
) -> dict[str, float]:
    """New key elements by (likeness of their best fact to the question times the passage's score) squared and idf."""
    graph.add_passages(start)
    known = {name for passage in start for name in graph.key_elements.get(passage, ())} - set(linked)
    strengths: dict[str, float] = {}
    for passage, fact in _facts(graph, start):
        likeness = max(_LEAST_SIMILARITY, overlap.of(fact.text)) * start[passage]
        for element in fact.key_elements:
            if element.name in known:
                strength = likeness**2 * graph.idf(element.name)
                strengths[element.name] = max(strengths.get(element.name, 0.0), strength)
    return strengths


def _facts(graph: Graph, passage_ids: Iterable[str]) -> list[tuple[str, AtomicFact]]:
    return [(passage, fact) for passage in passage_ids for fact in graph.library.facts_of_passages([passage])]


def _titled(graph: Graph, names: Sequence[str]) -> dict[str, set[str]]:
    """For each name the passages that stand under a heading or title of that name."""
    passage_ids = sorted({passage for name in names for passage in graph.passages.get(name, ())})
    titled: dict[str, set[str]] = {name: set() for name in names}
    for passage in graph.library.passages_by_id(passage_ids[: graph.weights.titled_passages]):
        for name in titles_of(passage) & titled.keys():
            titled[name].add(passage.id)
    return titled
