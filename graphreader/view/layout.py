"""Where nodes stand and which belong together. The same neighbourhood always looks the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import networkx
import numpy as np
from numpy.typing import NDArray

from graphreader.view.links import Link

_SEED = 7
_STEPS = 300
_SPREADING_STEPS = 120
#: How strongly nodes are drawn to the middle: keeps parts without a link to the rest near it.
_GRAVITY = 0.4
#: Nodes end at least so far apart, over the distance at which they would fill the picture evenly.
_CLEARANCE = 0.62
#: Smaller groups are not worth a colour.
_SMALLEST_GROUP = 3

_Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Place:
    """A node's position and the number of its group: 0 is the largest, None a group too small to be told apart."""

    x: float
    y: float
    group: int | None


def places_of(names: Sequence[str], links: Sequence[Link]) -> dict[str, Place]:
    """Places by a force-directed layout, groups by Louvain's method (Blondel et al. 2008)."""
    if not names:
        return {}
    groups = _groups(names, links)
    points = _layout(names, links, groups)
    number = {name: place for place, group in enumerate(groups) if len(group) >= _SMALLEST_GROUP for name in group}
    return {
        name: Place(round(float(x), 2), round(float(y), 2), number.get(name))
        for name, (x, y) in zip(names, points, strict=True)
    }


def _groups(names: Sequence[str], links: Sequence[Link]) -> list[list[str]]:
    """Groups of nodes, the largest first; each in the order of ``names``."""
    graph: networkx.Graph[str] = networkx.Graph()
    graph.add_nodes_from(names)
    graph.add_weighted_edges_from((one, other, math.log1p(shared)) for one, other, shared in links)
    order = {name: place for place, name in enumerate(names)}
    found = [
        sorted(group, key=order.__getitem__) for group in networkx.community.louvain_communities(graph, seed=_SEED)
    ]
    return sorted(found, key=lambda group: (-len(group), order[group[0]]))


def _layout(names: Sequence[str], links: Sequence[Link], groups: Sequence[Sequence[str]]) -> _Points:
    """Linear attraction along links against repulsion by degree, as in ForceAtlas2 (Jacomy et al. 2014), from a start
    where groups stand together; then what stands too close is pushed apart.
    """
    order = {name: place for place, name in enumerate(names)}
    ends = np.array([(order[one], order[other]) for one, other, _ in links], dtype=np.intp).reshape(-1, 2)
    pulls = np.array([math.log1p(shared) for _, _, shared in links])
    mass = 1.0 + np.bincount(ends.ravel(), minlength=len(names))
    points = _start([order[name] for group in groups for name in group])
    for step in range(_STEPS):
        force = _apart(points, mass[:, None] * mass / _distances(points) ** 2)
        force -= _GRAVITY * mass[:, None] * points
        pull = (points[ends[:, 1]] - points[ends[:, 0]]) * pulls[:, None]
        np.add.at(force, ends[:, 0], pull)
        np.add.at(force, ends[:, 1], -pull)
        longest = math.sqrt(len(names)) * (1 - step / _STEPS)
        length = np.maximum(np.hypot(force[:, 0], force[:, 1]), 1e-9)
        points += force * (np.minimum(length / mass, longest) / length)[:, None]
    return _spread(points)


def _start(order: Sequence[int]) -> _Points:
    """Points in a ring, neighbours in ``order`` side by side and at different depths, so that none meet."""
    points = np.empty((len(order), 2))
    for place, node in enumerate(order):
        angle = 2 * math.pi * place / len(order)
        radius = math.sqrt(len(order)) * (0.6 + 0.4 * (place * 0.618 % 1))
        points[node] = radius * math.cos(angle), radius * math.sin(angle)
    return points


def _spread(points: _Points) -> _Points:
    """The points moved to a mean distance of about 1 from their nearest, none much nearer."""
    count = len(points)
    points = points - points.mean(axis=0)
    scale = math.sqrt(count) / max(2 * float(np.abs(points).mean(axis=0).mean()), 1e-9) / 2
    points = points * scale
    for _ in range(_SPREADING_STEPS):
        distances = _distances(points)
        overlaps = np.maximum(_CLEARANCE - distances, 0.0)
        if not overlaps.any():
            break
        points = points + 0.5 * _apart(points, overlaps / distances)
    return points


def _apart(points: _Points, weights: NDArray[np.float64]) -> _Points:
    """For every point the sum of its vectors from the others, each times its weight."""
    sums: _Points = points * weights.sum(axis=1)[:, None] - weights @ points
    return sums


def _distances(points: _Points) -> NDArray[np.float64]:
    """From every point to every point, never 0; from a point to itself more than any clearance."""
    x, y = points[:, 0], points[:, 1]
    distances: NDArray[np.float64] = np.maximum(np.hypot(x[:, None] - x, y[:, None] - y), 1e-3)
    np.fill_diagonal(distances, math.inf)
    return distances
