from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphreader.library.protocol import KeyElementSummary, Library
from graphreader.records import Passage
from graphreader.search.evidence import is_number_or_date
from graphreader.search.ranked import DEFAULT_WEIGHTS
from graphreader.search.titles import titles_of
from graphreader.search.walk import Graph, expand, walk

EDGES = st.dictionaries(
    st.sampled_from([f"p{number}" for number in range(8)]),
    st.lists(st.sampled_from("abcdefg"), unique=True, max_size=5),
    min_size=1,
)


def graph_of(library: Library, held: dict[str, list[str]]) -> Graph:
    counts = {name: sum(name in names for names in held.values()) for names in held.values() for name in names}
    graph = Graph(library, None, DEFAULT_WEIGHTS, len(held))
    graph.summaries = {name: KeyElementSummary(name, (name,), count, count) for name, count in counts.items()}
    graph.key_elements = held
    return graph


@pytest.fixture
def no_library(library: Library) -> Library:
    """An empty library: the graph under test is given, not fetched."""
    return library


@settings(deadline=None)  # a busy machine misses any
@given(held=EDGES, data=st.data())
def test_shares_are_positive_repeatable_and_never_more_than_was_put_in(
    held: dict[str, list[str]], data: st.DataObject
) -> None:
    graph = graph_of(None, held)  # type: ignore[arg-type]  # nothing is fetched
    names = sorted(graph.summaries)
    keys = data.draw(st.dictionaries(st.sampled_from(names), st.floats(0.1, 9), max_size=3)) if names else {}
    seeds = data.draw(st.dictionaries(st.sampled_from(sorted(held)), st.floats(0.1, 9), min_size=1, max_size=3))
    ranks = walk(graph, keys, seeds)
    assert ranks == walk(graph, keys, seeds)
    shares = [*ranks.passages.values(), *ranks.key_elements.values()]
    assert all(share >= 0 for share in shares)
    assert sum(shares) <= 1 + 1e-9
    assert all(ranks.passages[seed] > 0 for seed in seeds)


def test_a_rare_key_element_passes_on_more_than_a_common_one() -> None:
    held = {"seed": ["rare", "common"], "a": ["rare"], "b": ["common"], "c": ["common"], "d": ["common"]}
    ranks = walk(graph_of(None, held), {}, {"seed": 1.0})  # type: ignore[arg-type]  # nothing is fetched
    assert ranks.passages["a"] > ranks.passages["b"] == ranks.passages["c"]
    assert ranks.through["a"] == "rare"


def test_the_neighbourhood_is_bounded(library: Library, paragraphs: dict[str, str]) -> None:
    weights = replace(DEFAULT_WEIGHTS, neighbourhood_passages=2, expanded_key_elements=1)
    graph = Graph(library, None, weights, library.passage_count())
    seeds = [passage for passage, _ in library.search_passages(["harbour"])]
    expand(graph, ["veldmoor harbour"], seeds)
    assert len(graph.key_elements) <= 2
    assert len(walk(graph, {"veldmoor harbour": 1.0}, {seeds[0]: 1.0}).passages) <= 2 + len(seeds)


@pytest.mark.parametrize(
    ("text", "name", "is_title"),
    [
        ("Lilu (mythology): A lilu is a spirit.", "lilu", True),
        ("Annual report - Item 7 - Liquidity: Cash fell.", "liquidity", True),
        ("Star Trek: Nemesis: A film of 2002.", "star trek: nemesis", True),
        ("Cash fell in the year.", "cash fell in the year", False),
        ("", "", False),
    ],
)
def test_a_passage_is_titled_by_what_leads_it(text: str, name: str, is_title: bool) -> None:
    assert (name in titles_of(Passage("p", "d", "c", 0, len(text), text))) is is_title


@pytest.mark.parametrize(
    ("name", "expected"),
    [("1987", True), ("12 march 2021", True), ("fy2023", True), ("q2 2024", True), ("3.5%", True), ("2023年6月", True),
     ("march", False), ("model 1500s", False), ("ilse marrow", False), ("boeing 737", False)],
)  # fmt: skip
def test_numbers_and_dates_are_told_from_names(name: str, expected: bool) -> None:
    assert is_number_or_date(name) is expected
