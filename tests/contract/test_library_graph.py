"""The contract of every library backend: key elements and model-written facts."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, islice

import pytest
from contract.library_contract import HARBOUR, WHALE, Indexed, fact, indexed

from graphreader.errors import LibraryError
from graphreader.library import Library
from graphreader.records import AtomicFact, FactOrigin


@pytest.fixture
def whale(library: Library) -> Indexed:
    return indexed(WHALE, source="whale.txt").put_into(library)


@pytest.fixture
def harbour(library: Library, whale: Indexed) -> Indexed:
    return indexed(HARBOUR, source="harbour.txt").put_into(library)


def test_key_elements_are_counted_in_the_documents_asked_for(
    library: Library, whale: Indexed, harbour: Indexed
) -> None:
    everywhere = library.key_elements(["ahab", "pequod", "unknown"])
    assert everywhere.keys() == {"ahab", "pequod"}
    assert (everywhere["ahab"].fact_count, everywhere["ahab"].passage_count) == (3, 2)
    assert library.key_elements(["ahab"], [harbour.id])["ahab"].fact_count == 1
    assert library.key_elements(["queequeg"], [harbour.id]) == {}
    assert library.key_elements(["ahab"], []) == {}
    assert library.key_elements([]) == {}
    assert library.key_elements(["ahab"], ["unknown"]) == {}


def test_spellings_come_most_frequent_first_and_go_with_their_facts(library: Library) -> None:
    made = indexed("One.\n\nTwo.\n\nThree.")
    texts = [["WHALE", "whale"], ["Whale"], ["Whale"]]
    facts = [
        fact(chunk, "s", chunk.start, chunk.end, "x", keys=keys) for chunk, keys in zip(made.chunks, texts, strict=True)
    ]
    Indexed(made.document, made.chunks, made.passages, facts).put_into(library)
    assert library.key_elements(["whale"])["whale"].spellings == ("Whale", "WHALE")
    model = fact(made.chunks[0], "m", 0, 3, "y", FactOrigin.MODEL, ["wHALE"])
    library.add_model_facts(made.chunks[0].id, [model])
    assert set(library.key_elements(["whale"])["whale"].spellings) == {"Whale", "WHALE", "wHALE"}
    library.add_model_facts(made.chunks[0].id, [])
    assert library.key_elements(["whale"])["whale"].spellings == ("Whale", "WHALE")


def test_top_key_elements(library: Library, whale: Indexed, harbour: Indexed) -> None:
    counts = Counter(element.name for fact in whale.facts + harbour.facts for element in fact.key_elements)
    top = library.top_key_elements(None, 4)
    assert [element.fact_count for element in top] == [count for _, count in counts.most_common(4)]
    assert all(element.fact_count == counts[element.name] for element in top)
    here = library.top_key_elements([harbour.id], 1)
    assert (here[0].name, here[0].fact_count) == ("nantucket", 2)
    assert library.top_key_elements([], 5) == []


def test_neighbours_share_a_fact(library: Library, whale: Indexed, harbour: Indexed) -> None:
    assert dict(library.neighbours("ahab")) == {"whale": 1, "starbuck": 1, "nantucket": 1}
    assert library.neighbours("ahab", [harbour.id]) == [("nantucket", 1)]
    assert len(library.neighbours("ahab", limit=2)) == 2
    assert library.neighbours("unknown") == []


def test_edges_are_each_pair_once(library: Library, whale: Indexed, harbour: Indexed) -> None:
    def pairs(facts: list[AtomicFact]) -> Counter[frozenset[str]]:
        return Counter(
            frozenset(pair) for fact in facts for pair in combinations([k.name for k in fact.key_elements], 2)
        )

    found = list(library.edges())
    assert {frozenset((one, other)): count for one, other, count in found} == pairs(whale.facts + harbour.facts)
    assert len(found) == len({frozenset(edge[:2]) for edge in found})
    there = {frozenset((one, other)): count for one, other, count in library.edges([harbour.id])}
    assert there == pairs(harbour.facts)


def test_a_stream_of_edges_left_early_hinders_nobody(library: Library, whale: Indexed) -> None:
    stream = iter(library.edges())
    assert len(list(islice(stream, 1))) == 1
    indexed(HARBOUR, source="b.txt").put_into(library)
    assert library.neighbours("nantucket")


def test_passages_and_their_key_elements(library: Library, whale: Indexed, harbour: Indexed) -> None:
    found = library.passages_of_key_elements(["ahab", "ishmael", "unknown"])
    assert found["ahab"] == [whale.passages[0].id, harbour.passages[0].id]
    assert found["ishmael"] == [whale.passages[1].id, whale.passages[3].id]
    assert found["unknown"] == []
    assert library.passages_of_key_elements(["ishmael"], limit_per_name=1)["ishmael"] == [whale.passages[1].id]
    assert library.passages_of_key_elements(["ahab"], [harbour.id])["ahab"] == [harbour.passages[0].id]
    names = library.key_elements_of_passages([whale.passages[0].id, "unknown"])
    assert set(names[whale.passages[0].id]) == {"ahab", "whale", "starbuck"}
    assert names["unknown"] == []


def test_facts_of_a_key_element(library: Library, whale: Indexed, harbour: Indexed) -> None:
    everywhere = [fact for fact in whale.facts + harbour.facts if any(k.name == "ahab" for k in fact.key_elements)]
    assert library.facts_of_key_element("ahab") == everywhere
    assert library.facts_of_key_element("ahab", limit=2) == everywhere[:2]
    assert library.facts_of_key_element("ahab", [harbour.id]) == everywhere[2:]
    assert library.facts_of_key_element("unknown") == []


def test_a_fact_belongs_to_the_passage_it_starts_in(library: Library, whale: Indexed) -> None:
    for passage in whale.passages:
        inside = [fact for fact in whale.facts if passage.start <= fact.start < passage.end]
        assert library.facts_of_passages([passage.id]) == inside


def test_model_facts_replace_an_earlier_models_and_leave_the_rest(library: Library, whale: Indexed) -> None:
    chunk = whale.chunks[0]
    first = fact(chunk, "m0", chunk.start, chunk.start + 4, "The Captain pursues Moby.", FactOrigin.MODEL)
    second = fact(chunk, "m0", chunk.start + 5, chunk.start + 9, "The Mate objects.", FactOrigin.MODEL)
    library.record_failure(chunk.id, "no JSON")
    library.add_model_facts(chunk.id, [first])
    assert library.failures() == []
    assert library.chunks_without_model_facts() == [whale.chunks[1].id]
    assert first in library.facts_of_chunks([chunk.id])
    assert [passage for passage, _ in library.search_passages(["pursu"])] == [whale.passages[0].id]
    library.add_model_facts(chunk.id, [second])
    assert library.search_passages(["pursu"]) == []
    assert library.key_elements(["moby", "mate"]).keys() == {"mate"}
    before = [fact for fact in whale.facts if fact.chunk_id == chunk.id]
    assert [fact for fact in library.facts_of_chunks([chunk.id]) if fact != second] == before
    assert library.summaries()[0].model_fact_chunk_count == 1


def test_a_chunk_in_which_a_model_found_nothing_is_done(library: Library, whale: Indexed, harbour: Indexed) -> None:
    library.add_model_facts(whale.chunks[0].id, [])
    assert library.chunks_without_model_facts([whale.id]) == [whale.chunks[1].id]
    assert library.chunks_without_model_facts([harbour.id]) == [chunk.id for chunk in harbour.chunks]


def test_model_facts_that_come_with_the_document_count(library: Library) -> None:
    made = indexed("Ahab limps.\n\nHe waits.")
    model = fact(made.chunks[1], "m0", made.chunks[1].start, made.chunks[1].end, "Ahab lingers.", FactOrigin.MODEL)
    Indexed(made.document, made.chunks, made.passages, [*made.facts, model]).put_into(library)
    assert library.chunks_without_model_facts() == [made.chunks[0].id]
    assert [passage for passage, _ in library.search_passages(["linger"])] == [made.passages[1].id]


def test_model_facts_need_their_chunk(library: Library, whale: Indexed) -> None:
    with pytest.raises(LibraryError, match="unknown"):
        library.add_model_facts("unknown", [])
    with pytest.raises(LibraryError, match="chunk"):
        library.add_model_facts(whale.chunks[1].id, [whale.facts[0]])
    with pytest.raises(LibraryError, match="unknown"):
        library.record_failure("unknown", "why")
