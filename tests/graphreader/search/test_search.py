from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from fakes import WordEmbedder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from graphreader.library.protocol import Library
from graphreader.records import AtomicFact, FactOrigin, KeyElement
from graphreader.search import SearchResult, embed_missing, search
from graphreader.search.ranked import DEFAULT_WEIGHTS

TWO_HOPS = "In which village did the buyer of Veldmoor Harbour grow up?"
#: The second paragraph shares no word with this question.
NO_SHARED_WORD = "Where does the one who bought Veldmoor Harbour come from?"
NO_GRAPH = replace(DEFAULT_WEIGHTS, walk=0.0, hop_holds=0.0, hop_titled=0.0)

Index = Callable[[Sequence[tuple[str, str]]], list[str]]


def documents_of(result: SearchResult) -> list[str]:
    return list(dict.fromkeys(ranked.passage.document_id for ranked in result.passages))


def test_a_direct_question_finds_its_passage_first(library: Library, paragraphs: dict[str, str]) -> None:
    result = search(library, "Who painted the lighthouse of Gullness?")
    assert documents_of(result)[0] == paragraphs["Osric Penhall"]
    assert result.facts[0].fact.text == "Osric Penhall painted the lighthouse of Gullness."
    assert result.chunks[0].chunk.document_id == paragraphs["Osric Penhall"]


def test_only_the_graph_leads_to_the_second_passage(library: Library, paragraphs: dict[str, str]) -> None:
    without = search(library, NO_SHARED_WORD, weights=NO_GRAPH)
    assert paragraphs["Ilse Marrow"] not in documents_of(without)
    result = search(library, NO_SHARED_WORD)
    assert documents_of(result)[:2] == [paragraphs["Veldmoor Harbour"], paragraphs["Ilse Marrow"]]
    assert result.passages[1].via == "hop:ilse marrow"


@pytest.mark.parametrize("part", [{"walk": 0.0}, {"hop_holds": 0.0, "hop_titled": 0.0}])
def test_second_step_and_walk_each_lead_there_alone(
    library: Library, paragraphs: dict[str, str], part: dict[str, float]
) -> None:
    result = search(library, NO_SHARED_WORD, weights=replace(DEFAULT_WEIGHTS, **part))
    assert paragraphs["Ilse Marrow"] in documents_of(result)


def test_key_elements_begin_with_those_of_the_question(library: Library, paragraphs: dict[str, str]) -> None:
    found = search(library, TWO_HOPS).key_elements
    assert found[0].name == "veldmoor harbour"
    assert found[0].spelling == "Veldmoor Harbour"
    assert found[0].via == "question"
    bridge = next(ranked for ranked in found if ranked.name == "ilse marrow")
    assert bridge.via == "fact"
    assert bridge.best_fact is not None
    assert "Ilse Marrow" in bridge.best_fact.text


def test_dates_are_poor_start_nodes(library: Library, paragraphs: dict[str, str]) -> None:
    names = [ranked.name for ranked in search(library, "What did Ilse Marrow do in 1987?").key_elements]
    assert names.index("ilse marrow") < names.index("1987")


def test_documents_narrow_everything_that_is_returned(library: Library, paragraphs: dict[str, str]) -> None:
    embed_missing(library, WordEmbedder())
    only = [paragraphs["Ilse Marrow"], paragraphs["Gullness"]]
    result = search(library, TWO_HOPS, documents=only, embedder=WordEmbedder())
    assert result.passages
    assert {ranked.passage.document_id for ranked in result.passages} <= set(only)
    assert {ranked.fact.document_id for ranked in result.facts} <= set(only)
    assert {ranked.chunk.document_id for ranked in result.chunks} <= set(only)
    assert "veldmoor harbour" not in [ranked.name for ranked in result.key_elements]


def test_no_documents_means_nothing_is_found(library: Library, paragraphs: dict[str, str]) -> None:
    assert search(library, TWO_HOPS, documents=[]) == SearchResult()


@pytest.mark.parametrize("question", ["", "   \n", "the of and", "zyzzyva", "?!", "鲸鱼在哪里"])
def test_nothing_that_fits_is_an_empty_result(library: Library, paragraphs: dict[str, str], question: str) -> None:
    assert search(library, question) == SearchResult()


def test_an_empty_library_is_an_empty_result(library: Library) -> None:
    assert search(library, TWO_HOPS, embedder=WordEmbedder()) == SearchResult()


def test_an_embedder_without_stored_vectors_changes_nothing(library: Library, paragraphs: dict[str, str]) -> None:
    assert search(library, TWO_HOPS, embedder=WordEmbedder()) == search(library, TWO_HOPS)


def test_vectors_find_what_shares_no_term(library: Library, paragraphs: dict[str, str]) -> None:
    class Meaning(WordEmbedder):
        """Knows two subjects: bees, and everything else."""

        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            about_bees = [float("bees" in text or "apiarist" in text) for text in texts]
            return np.array([[share, 1.0 - share] for share in about_bees], dtype=np.float32)

    embed_missing(library, Meaning())
    result = search(library, "apiarist", embedder=Meaning())
    assert documents_of(result)[0] == paragraphs["Ilse Marrow"]
    assert result.passages[0].via == "vector"


def test_an_english_embedder_does_not_rank_chinese(library: Library, index: Index) -> None:
    class English(WordEmbedder):
        english_only = True

    index([("捕鲸船", "裴廓德号从楠塔基特岛出发。"), ("白鲸", "亚哈船长追赶白鲸。")])
    embed_missing(library, English())
    question = "谁追赶白鲸？"
    assert search(library, question, embedder=English()) == search(library, question)
    assert search(library, question, embedder=WordEmbedder()).passages


def test_extra_queries_add_what_the_question_leaves_out(library: Library, paragraphs: dict[str, str]) -> None:
    plain = search(library, "Who bought the crane?")
    helped = search(library, "Who bought the crane?", extra_queries=["Where was barley ground?", ""])
    assert paragraphs["Sedge Valley"] not in documents_of(plain)
    assert paragraphs["Sedge Valley"] in documents_of(helped)
    assert documents_of(helped)[0] == documents_of(plain)[0]


def test_a_model_fact_goes_before_the_sentence_it_rests_on(library: Library, paragraphs: dict[str, str]) -> None:
    sentence = next(
        ranked.fact
        for ranked in search(library, "Where did Ilse Marrow grow up?").facts
        if "Tarnholt" in ranked.fact.text
    )
    written = replace(sentence, id=sentence.id + "-m", origin=FactOrigin.MODEL)
    library.add_model_facts(sentence.chunk_id, [written])
    facts = [ranked.fact for ranked in search(library, "Where did Ilse Marrow grow up?").facts]
    assert facts.index(written) < facts.index(sentence)


def test_words_of_model_facts_are_found(library: Library, paragraphs: dict[str, str]) -> None:
    (chunk,) = library.chunks(paragraphs["Ilse Marrow"])
    start = library.document(chunk.document_id).text.index("She kept bees")
    fact = AtomicFact(
        f"{chunk.id}-m0", chunk.document_id, chunk.id, start, start + 13, "Ilse Marrow was an apiarist.",
        (KeyElement("ilse marrow", "Ilse Marrow"),), FactOrigin.MODEL,
    )  # fmt: skip
    library.add_model_facts(chunk.id, [fact])
    assert search(library, "Who was an apiarist?").facts[0].fact.origin is FactOrigin.MODEL


def test_a_hub_is_no_way_from_passage_to_passage(library: Library, index: Index) -> None:
    many = [(f"Page {number}", f"Acme Holdings item {number}: {word} costs.") for number, word in enumerate(WORDS)]
    index(many)
    small = replace(DEFAULT_WEIGHTS, hub_floor=5)
    result = search(library, "What did Acme Holdings say about zinc?", weights=small)
    assert result.passages[0].passage.text.endswith("zinc costs.")
    assert not [ranked for ranked in result.passages if ranked.via.endswith(":acme holdings")]


WORDS = "tin zinc lead iron coal salt wool flax hemp wood clay sand lime peat".split()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    question=st.text(max_size=80)
    | st.lists(st.sampled_from([*TWO_HOPS.split(), "1987", "rope"]), max_size=9).map(" ".join)
)
def test_any_question_gives_ordered_bounded_repeatable_lists(
    library: Library, paragraphs: dict[str, str], question: str
) -> None:
    embed_missing(library, WordEmbedder())
    result = search(library, question, embedder=WordEmbedder())
    assert result == search(library, question, embedder=WordEmbedder())
    for ranked in (result.passages, result.facts, result.chunks, result.key_elements):
        scores = [item.score for item in ranked]
        assert scores == sorted(scores, reverse=True)
        assert all(score >= 0 for score in scores)
    assert len({item.passage.id for item in result.passages}) == len(result.passages)
    found = {item.passage.chunk_id for item in result.passages}
    assert {item.chunk.id for item in result.chunks} == found
    assert {item.fact.chunk_id for item in result.facts} <= found
