"""The contract of every library backend: full text, vectors, cached replies, answers and runs."""

from __future__ import annotations

import numpy as np
import pytest
from contract.library_contract import HARBOUR, THREE_KINGDOMS, WHALE, Indexed, indexed, open_place
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphreader.errors import DocumentNotFoundError, LibraryError
from graphreader.library import Library
from graphreader.library.protocol import ExtractionFailure
from graphreader.text.terms import terms


@pytest.fixture
def whale(library: Library) -> Indexed:
    return indexed(WHALE, source="whale.txt").put_into(library)


@pytest.fixture
def harbour(library: Library, whale: Indexed) -> Indexed:
    return indexed(HARBOUR, source="harbour.txt").put_into(library)


def found(library: Library, question: str, documents: list[str] | None = None) -> list[str]:
    return [passage for passage, _ in library.search_passages(terms(question), documents)]


def test_the_best_passage_comes_first_with_the_highest_score(library: Library, whale: Indexed) -> None:
    hits = library.search_passages(terms("Whose coffin did Queequeg carve?"))
    assert hits[0][0] == whale.passages[2].id
    scores = [score for _, score in hits]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0
    assert {passage for passage, _ in hits} == {whale.passages[2].id, whale.passages[3].id}
    assert library.search_passages(terms("Whose coffin did Queequeg carve?"), limit=1) == hits[:1]


def test_search_and_counts_keep_to_the_documents(library: Library, whale: Indexed, harbour: Indexed) -> None:
    assert set(found(library, "Ahab")) == {whale.passages[0].id, harbour.passages[0].id}
    assert found(library, "Ahab", [harbour.id]) == [harbour.passages[0].id]
    assert found(library, "Ahab", []) == []
    assert found(library, "Ahab", ["unknown"]) == []
    assert library.passage_count() == 6
    assert library.passage_count([harbour.id]) == 2
    both = library.search_passages(["ahab"])
    assert library.search_passages(["ahab"], [whale.id])[0] in both  # statistics are the whole library's


def test_chinese_search(library: Library) -> None:
    kingdoms = indexed(THREE_KINGDOMS).put_into(library)
    assert found(library, "曹操")[0] == kingdoms.passages[1].id
    assert found(library, "谁火烧赤壁？")[0] == kingdoms.passages[2].id


@pytest.mark.parametrize(
    "query",
    [
        ["AND"],
        ['"'],
        ["*"],
        ["o'reilly"],
        ["NEAR(a b)"],
        ["terms:whale"],
        ["^whale"],
        ["a\x00b"],
        ["\ud800"],
        ["", " "],
        ["-", "NOT", "("],
        [],
        ["whale*"],
    ],
)
def test_query_terms_are_data(library: Library, whale: Indexed, query: list[str]) -> None:
    assert library.search_passages(query) == []
    assert len(library.search_passages([*query, "queequeg"])) == 2


def test_terms_of_any_characters_are_found_whole(library: Library) -> None:
    made = indexed('Tim O\'Reilly paid $1,234.56 to AT&T at 10:30 for "C++".\n\nThe e-mail went to nobody.').put_into(
        library
    )
    for term in terms(made.document.text[:50]):
        assert library.search_passages([term])[0][0] == made.passages[0].id


def test_many_terms(library: Library, whale: Indexed) -> None:
    assert found(library, " ".join(f"word{number}" for number in range(5000)) + " coffin")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(min_size=1, max_size=60))
def test_each_term_of_a_passage_finds_it(library: Library, text: str) -> None:
    made = indexed(text).put_into(library)
    for passage in made.passages:
        for term in terms(passage.text):
            assert passage.id in [hit for hit, _ in library.search_passages([term])]
    library.remove(made.id)


def unit_vectors(count: int, dimensions: int = 8) -> np.ndarray:
    vectors = np.random.default_rng(count).standard_normal((count, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def embedded(library: Library, model: str, dimensions: int = 8, documents: list[str] | None = None) -> set[str]:
    """The passages that have a vector."""
    queries = np.ones((1, dimensions), dtype=np.float32)
    return set(library.nearest_passages(model, queries, documents, limit=10_000).passage_ids)


def test_vectors_are_compared_with_questions(library: Library, whale: Indexed, harbour: Indexed) -> None:
    ids = [passage.id for passage in whale.passages + harbour.passages]
    given_vectors = unit_vectors(len(ids))
    queries = unit_vectors(2)
    library.put_vectors("model", ids[:4], given_vectors[:4])
    library.put_vectors("model", [*ids[4:], "gone"], np.vstack([given_vectors[4:], given_vectors[:1]]))
    expected = dict(zip(ids, given_vectors @ queries.T, strict=True))
    found = library.nearest_passages("model", queries)
    assert sorted(found.passage_ids) == sorted(ids)
    for name, cosines in zip(found.passage_ids, found.cosines, strict=True):
        np.testing.assert_allclose(cosines, expected[name], atol=0.01)
    np.testing.assert_allclose(found.lowest, np.min(list(expected.values()), axis=0), atol=0.01)
    np.testing.assert_allclose(found.highest, np.max(list(expected.values()), axis=0), atol=0.01)
    some = library.cosines_of("model", queries, [ids[5], "gone", ids[0]])
    assert some.keys() == {ids[0], ids[5]}
    np.testing.assert_allclose(some[ids[5]], expected[ids[5]], atol=0.01)
    assert set(library.nearest_passages("model", queries, [harbour.id]).passage_ids) == set(ids[4:])
    assert library.nearest_passages("another", queries).passage_ids == []
    assert library.nearest_passages("model", queries, []).passage_ids == []
    assert library.cosines_of("another", queries, ids) == {}


def test_the_nearest_of_each_query_are_among_those_found(library: Library, whale: Indexed, harbour: Indexed) -> None:
    ids = [passage.id for passage in whale.passages + harbour.passages]
    given_vectors = np.eye(len(ids), 8, dtype=np.float32)
    library.put_vectors("model", ids, given_vectors)
    found = library.nearest_passages("model", given_vectors[[4, 1]], limit=1)
    assert set(found.passage_ids) == {ids[1], ids[4]}
    assert library.nearest_passages("model", given_vectors[[4]], [whale.id], limit=1).passage_ids[0] in ids[:4]


def test_vectors_again_replace_the_old(library: Library, whale: Indexed) -> None:
    ids = [passage.id for passage in whale.passages]
    library.put_vectors("model", ids, np.array([[1.0, 0.0]] * 4, dtype=np.float32))
    library.put_vectors("model", ids[1:2], np.array([[0.0, 1.0]], dtype=np.float32))
    found = library.cosines_of("model", np.array([[1.0, 0.0]], dtype=np.float32), ids)
    assert [round(float(found[name][0]), 2) for name in ids] == [1, 0, 1, 1]
    assert library.vector_count("model") == 4


def test_passages_without_vector(library: Library, whale: Indexed, harbour: Indexed) -> None:
    library.put_vectors("model", [whale.passages[1].id], unit_vectors(1))
    rest = [whale.passages[0], *whale.passages[2:], *harbour.passages]
    assert library.passages_without_vector("model") == rest
    assert library.passages_without_vector("model", limit=2) == rest[:2]
    assert library.passages_without_vector("model", [harbour.id]) == harbour.passages
    assert len(library.passages_without_vector("another")) == 6


def test_vectors_of_the_wrong_shape(library: Library, whale: Indexed) -> None:
    ids = [passage.id for passage in whale.passages]
    library.put_vectors("model", ids[:1], unit_vectors(1, 8))
    with pytest.raises(LibraryError, match="8"):
        library.put_vectors("model", ids[1:2], unit_vectors(1, 4))
    with pytest.raises(LibraryError, match="shape"):
        library.put_vectors("model", ids[:2], unit_vectors(1, 8))
    with pytest.raises(LibraryError, match="shape"):
        library.put_vectors("model", ids[:1], np.zeros(8, dtype=np.float32))
    with pytest.raises(LibraryError, match="dimensions"):
        library.nearest_passages("model", unit_vectors(1, 4))
    assert embedded(library, "model") == set(ids[:1])


def test_cached_extractions(library: Library) -> None:
    assert library.cached_extraction("key") is None
    library.put_extraction("key", "a document not yet put", '{"facts": ["鲸"]}')
    assert library.cached_extraction("key") == '{"facts": ["鲸"]}'
    library.put_extraction("key", "a document not yet put", "{}")
    assert library.cached_extraction("key") == "{}"


def test_failures(library: Library, whale: Indexed, harbour: Indexed) -> None:
    library.record_failure(harbour.chunks[0].id, "too long")
    library.record_failure(whale.chunks[1].id, "no JSON")
    library.record_failure(whale.chunks[1].id, "still no JSON")
    of_whale = ExtractionFailure(whale.id, whale.chunks[1].id, "still no JSON")
    assert library.failures() == [of_whale, ExtractionFailure(harbour.id, harbour.chunks[0].id, "too long")]
    assert library.failures([whale.id]) == [of_whale]


def test_answers_come_newest_first(library: Library, whale: Indexed) -> None:
    answers = [{"answer": f"number {number}", "citations": [{"page": number}], "鲸": None} for number in range(3)]
    for answer in answers:
        library.put_answer(answer, [whale.id])
    assert library.answers() == answers[::-1]
    assert library.answers(limit=1) == answers[2:]
    with pytest.raises(DocumentNotFoundError):
        library.put_answer({}, [whale.id, "unknown"])
    assert len(library.answers()) == 3


def test_run_records(library: Library) -> None:
    library.put_run_record("run", "", "b", b"old")
    library.put_run_record("run", "", "b", b"\x00new")
    library.put_run_record("run", "", "a%", b"")
    library.put_run_record("run", "inner", "a_", b"3")
    library.put_run_record("another", "", "b", b"4")
    assert list(library.run_records("run", "").items()) == [("a%", b""), ("b", b"\x00new")]
    assert library.run_records("run") == {"\na%": b"", "\nb": b"\x00new", "inner\na_": b"3"}
    assert library.run_records("run", key_prefix="a") == {"\na%": b"", "inner\na_": b"3"}
    assert library.run_records("run", "inner", "a%") == {}
    library.delete_run("run")
    assert library.run_records("run") == {}
    assert library.run_records("another", "") == {"b": b"4"}


def test_run_records_survive_reopening(place: str) -> None:
    first = open_place(place)
    first.put_run_record("run", "", "key", b"value")
    first.close()
    second = open_place(place)
    assert second.run_records("run", "") == {"key": b"value"}
    second.close()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.dictionaries(st.text(max_size=8), st.binary(max_size=8), max_size=6), prefix=st.text(max_size=2))
def test_run_records_are_ordered_and_cut_by_their_keys(library: Library, keys: dict[str, bytes], prefix: str) -> None:
    library.delete_run("run")
    for key, value in keys.items():
        library.put_run_record("run", "space", key, value)
    expected = sorted((key, value) for key, value in keys.items() if key.startswith(prefix))
    assert list(library.run_records("run", "space", prefix).items()) == expected
