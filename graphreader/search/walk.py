"""Personalised PageRank on the part of the graph around a question.

The graph is bipartite: a passage is joined to the key elements its facts hold, with the key element's inverse document
frequency as weight (Page et al. 1999; on passages and phrases: HippoRAG, Gutiérrez et al. 2024). Only the neighbourhood
of the question's key elements and of the best passages is fetched, so the cost does not grow with the library.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from graphreader.library.protocol import KeyElementSummary, Library
from graphreader.search.ranked import RankingWeights


@dataclass(slots=True)
class Graph:
    """The neighbourhood fetched so far, each part once. Grows by ``add_passages`` and ``add_key_elements``."""

    library: Library
    documents: Sequence[str] | None
    weights: RankingWeights
    passage_count: int
    summaries: dict[str, KeyElementSummary] = field(default_factory=dict)
    #: Key elements of each passage and passages of each key element, as far as fetched; hubs are in neither.
    key_elements: dict[str, list[str]] = field(default_factory=dict)
    passages: dict[str, list[str]] = field(default_factory=dict)
    #: Key elements that many of the passages near the question hold: they do not tell these apart.
    near_hubs: set[str] = field(default_factory=set)

    def idf(self, name: str) -> float:
        """Inverse document frequency of a key element; 0 for one that is not known here."""
        summary = self.summaries.get(name)
        if summary is None or summary.passage_count <= 0:
            return 0.0
        return math.log(1 + self.passage_count / summary.passage_count)

    def is_hub(self, name: str) -> bool:
        """Whether so many passages hold it, here or near the question, that it leads nowhere in particular."""
        if name in self.near_hubs:
            return True
        limit = max(self.weights.hub_floor, self.weights.hub_share * self.passage_count)
        summary = self.summaries.get(name)
        return summary is not None and summary.passage_count > limit

    def leave_out_near_hubs(self, passage_ids: Collection[str]) -> None:
        """Take what many of these passages, the nearest to the question, have in common for hubs from now on."""
        self.add_passages(passage_ids)
        held = Counter(name for passage in passage_ids for name in self.key_elements[passage])
        most = max(self.weights.near_hub_floor, self.weights.near_hub_share * len(passage_ids))
        self.near_hubs.update(name for name, count in held.items() if count > most)
        for passage, names in self.key_elements.items():
            self.key_elements[passage] = [name for name in names if name not in self.near_hubs]

    def describe(self, names: Iterable[str]) -> None:
        """Fetch the summaries of key elements."""
        missing = [name for name in dict.fromkeys(names) if name not in self.summaries]
        if missing:
            self.summaries.update(self.library.key_elements(missing, self.documents))

    def add_passages(self, passage_ids: Iterable[str]) -> None:
        """Fetch the key elements of passages."""
        missing = [passage for passage in dict.fromkeys(passage_ids) if passage not in self.key_elements]
        if not missing:
            return
        found = self.library.key_elements_of_passages(missing)
        self.describe(name for names in found.values() for name in names)
        for passage in missing:
            names = found.get(passage, [])
            self.key_elements[passage] = [name for name in names if name in self.summaries and not self.is_hub(name)]

    def add_key_elements(self, names: Iterable[str]) -> None:
        """Fetch the passages of key elements."""
        wanted = list(dict.fromkeys(names))
        self.describe(wanted)
        missing = [
            name for name in wanted if name not in self.passages and name in self.summaries and not self.is_hub(name)
        ]
        if missing:
            self.passages.update(
                self.library.passages_of_key_elements(missing, self.documents, self.weights.passages_of_key_element)
            )


@dataclass(frozen=True, slots=True)
class Ranks:
    """The walk's result: shares of passages and key elements, each list adding up to about 1 together."""

    passages: Mapping[str, float]
    key_elements: Mapping[str, float]
    #: The key element through which most of a passage's share came.
    through: Mapping[str, str]


def expand(graph: Graph, linked: Iterable[str], passages: Sequence[str]) -> None:
    """Fetch the neighbourhood: passages of ``linked``, key elements of those and of ``passages``, and their passages.

    The rarest key elements are followed first, until the bounds of the weights are reached.
    """
    graph.add_key_elements(linked)
    near = [passage for name in linked for passage in graph.passages.get(name, ())]
    graph.add_passages([*passages, *near][: graph.weights.neighbourhood_passages])
    around = {name for names in graph.key_elements.values() for name in names}
    rarest = sorted(
        (name for name in around if graph.summaries[name].passage_count > 1),
        key=lambda name: (graph.summaries[name].passage_count, name),
    )
    graph.add_key_elements(rarest[: graph.weights.expanded_key_elements])


def walk(graph: Graph, key_element_mass: Mapping[str, float], passage_mass: Mapping[str, float]) -> Ranks:
    """Ranks after a few steps from the restart masses (any positive numbers; each kind is scaled to its share)."""
    edges = _edges(graph)
    passage_ids = sorted({passage for passage, _ in edges} | set(passage_mass))
    names = sorted({name for _, name in edges} | {name for name in key_element_mass if name in graph.summaries})
    if not passage_ids:
        return Ranks({}, {}, {})
    passage_index = {passage: place for place, passage in enumerate(passage_ids)}
    name_index = {name: place for place, name in enumerate(names)}
    rows = np.fromiter((passage_index[passage] for passage, _ in edges), dtype=np.int64, count=len(edges))
    columns = np.fromiter((name_index[name] for _, name in edges), dtype=np.int64, count=len(edges))
    strengths = np.array([graph.idf(name) for name in names], dtype=np.float64)[columns]
    key_share = graph.weights.restart_key_elements if key_element_mass else 0.0
    if not passage_mass:
        key_share = 1.0
    restart_names = _restart(names, key_element_mass, key_share)
    restart_passages = _restart(passage_ids, passage_mass, 1.0 - key_share)
    name_degrees = np.maximum(np.bincount(columns, strengths, len(names)), 1e-12)
    passage_degrees = np.maximum(np.bincount(rows, strengths, len(passage_ids)), 1e-12)
    name_ranks, passage_ranks = restart_names, restart_passages
    damping = graph.weights.damping
    flow = np.zeros(len(edges))
    for _ in range(graph.weights.iterations):
        flow = strengths * name_ranks[columns] / name_degrees[columns]
        back = strengths * passage_ranks[rows] / passage_degrees[rows]
        passage_ranks = (1 - damping) * restart_passages + damping * np.bincount(rows, flow, len(passage_ids))
        name_ranks = (1 - damping) * restart_names + damping * np.bincount(columns, back, len(names))
    return Ranks(
        dict(zip(passage_ids, passage_ranks.tolist(), strict=True)),
        dict(zip(names, name_ranks.tolist(), strict=True)),
        _strongest(edges, flow),
    )


def _edges(graph: Graph) -> list[tuple[str, str]]:
    """All fetched pairs of passage and key element, each once, in a repeatable order and bounded."""
    pairs = {(passage, name) for passage, names in graph.key_elements.items() for name in names}
    room = graph.weights.neighbourhood_passages - len(graph.key_elements)
    new: set[str] = set()
    for name in sorted(graph.passages, key=lambda name: (graph.summaries[name].passage_count, name)):
        for passage in graph.passages[name]:
            if passage in graph.key_elements or passage in new or len(new) < room:
                if passage not in graph.key_elements:
                    new.add(passage)
                pairs.add((passage, name))
    return sorted(pairs)


def _restart(keys: Sequence[str], mass: Mapping[str, float], share: float) -> NDArray[np.float64]:
    restart = np.array([mass.get(key, 0.0) for key in keys], dtype=np.float64)
    total = restart.sum()
    return restart * (share / total) if total > 0 else restart


def _strongest(edges: Sequence[tuple[str, str]], flow: NDArray[np.float64]) -> dict[str, str]:
    strongest: dict[str, tuple[float, str]] = {}
    for (passage, name), amount in zip(edges, flow.tolist(), strict=True):
        if amount > strongest.get(passage, (0.0, ""))[0]:
            strongest[passage] = (amount, name)
    return {passage: name for passage, (_, name) in strongest.items()}
