"""Where nodes stand."""

from __future__ import annotations

import math
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from graphreader.view.layout import places_of

NAMES = [f"n{number}" for number in range(10)]
LINKS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.integers(1, 50))).map(
    lambda links: [(min(one, other), max(one, other), shared) for one, other, shared in links if one != other]
)


@settings(max_examples=15, deadline=None)
@given(LINKS)
def test_every_node_has_a_place_of_its_own(links: list[tuple[str, str, int]]) -> None:
    places = places_of(NAMES, links)
    assert places == places_of(NAMES, links)
    assert list(places) == NAMES
    assert all(math.isfinite(place.x) and math.isfinite(place.y) for place in places.values())
    apart = min(math.hypot(one.x - other.x, one.y - other.y) for one, other in combinations(places.values(), 2))
    wide = max(math.hypot(place.x, place.y) for place in places.values())
    assert apart > 0.3
    assert wide < 10


def test_what_is_linked_stands_together_and_is_a_group() -> None:
    left, right = [f"left{number}" for number in range(6)], [f"right{number}" for number in range(5)]
    links = [(one, other, 3) for side in (left, right) for one, other in combinations(side, 2)]
    places = places_of([*left, *right, "alone"], [*links, ("left0", "right0", 1)])

    def distance(one: str, other: str) -> float:
        return math.hypot(places[one].x - places[other].x, places[one].y - places[other].y)

    assert {places[name].group for name in left} == {0}
    assert {places[name].group for name in right} == {1}
    assert places["alone"].group is None
    inside = [distance(one, other) for one, other, _ in links]
    across = [distance(one, other) for one in left for other in right]
    assert sum(inside) / len(inside) < 0.7 * sum(across) / len(across)


def test_few_nodes() -> None:
    assert places_of([], []) == {}
    assert list(places_of(["one"], [])) == ["one"]
    assert len(places_of(["one", "two"], [("one", "two", 1)])) == 2
