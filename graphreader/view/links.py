"""Which edges are drawn: enough to hold together what belongs together, few enough to be followed by eye."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

#: Two key elements (the lesser name first) and how many facts hold both.
Link: TypeAlias = tuple[str, str, int]


def strongest_links(
    fact_counts: Mapping[str, int], neighbours: Mapping[str, Sequence[tuple[str, int]]], links_per_node: int
) -> list[Link]:
    """The strongest links of every node, and a maximum spanning forest, so that nothing falls apart for want of them.

    ``neighbours`` are the (other node, shared facts) of each node; others than those of ``fact_counts`` are left out.
    In order of their names.
    """
    strength: dict[Link, float] = {}
    of_node: dict[str, list[Link]] = {name: [] for name in fact_counts}
    for name in fact_counts:
        for other, shared in neighbours[name]:
            if other in fact_counts:
                link = (min(name, other), max(name, other), shared)
                strength[link] = _strength(shared, fact_counts[name], fact_counts[other])
                of_node[name].append(link)
    ordered = sorted(strength, key=lambda link: (-strength[link], link))
    kept = set(_spanning_forest(ordered))
    for own in of_node.values():
        kept.update(sorted(own, key=lambda link: (-strength[link], link))[:links_per_node])
    return sorted(kept)


def _strength(shared: int, one_count: int, other_count: int) -> float:
    """The cosine of the two in the space of facts, times how well it is founded: one fact in common says little."""
    return math.log1p(shared) * shared / math.sqrt(one_count * other_count)


def _spanning_forest(ordered: Sequence[Link]) -> list[Link]:
    """The links, strongest first, that join what is not joined yet (Kruskal 1956)."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while (above := parent.setdefault(name, name)) != name:
            parent[name] = name = parent[above]
        return name

    forest = []
    for link in ordered:
        one, other = root(link[0]), root(link[1])
        if one != other:
            parent[one] = other
            forest.append(link)
    return forest
