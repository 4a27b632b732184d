"""The contract of every library backend: documents, chunks, passages, facts, and what several processes do to them."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from contract.library_contract import HARBOUR, THREE_KINGDOMS, WHALE, fact, indexed, open_place, start_python
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphreader.errors import DocumentNotFoundError, LibraryError
from graphreader.library import Library
from graphreader.records import AtomicFact, Chunk, Document, FactOrigin, KeyElement, Page, Passage


def assert_empty(library: Library) -> None:
    assert library.summaries() == []
    assert library.passage_count() == 0
    assert library.top_key_elements(None, 10) == []
    assert list(library.edges()) == []
    assert library.answers() == []
    assert library.failures() == []
    assert library.chunks_without_model_facts() == []


def test_gives_back_what_was_put(library: Library) -> None:
    whale = indexed(WHALE).put_into(library, "as today")
    assert library.document(whale.id) == whale.document
    assert library.chunks(whale.id) == whale.chunks
    assert library.settings_key(whale.id) == "as today"
    assert library.passages_by_id([passage.id for passage in whale.passages]) == whale.passages
    assert library.facts_by_id([fact.id for fact in whale.facts]) == whale.facts
    (summary,) = library.summaries()
    assert (summary.id, summary.title, summary.sources) == (whale.id, "A title", ("a.txt",))
    assert (summary.character_count, summary.page_count, summary.chunk_count) == (len(WHALE), 2, 2)
    assert (summary.fact_count, summary.model_fact_chunk_count) == (len(whale.facts), 0)


def test_order_is_that_of_the_question_for_ids_and_of_the_text_for_the_rest(library: Library) -> None:
    whale = indexed(WHALE).put_into(library)
    chunk_ids = [chunk.id for chunk in whale.chunks]
    assert library.chunks_by_id([chunk_ids[1], "unknown", chunk_ids[0]]) == whale.chunks[::-1]
    assert library.passages_by_id([whale.passages[2].id, "unknown", whale.passages[0].id]) == [
        whale.passages[2],
        whale.passages[0],
    ]
    assert library.facts_by_id([whale.facts[3].id, "unknown", whale.facts[1].id]) == [whale.facts[3], whale.facts[1]]
    assert library.facts_of_chunks(chunk_ids[::-1]) == whale.facts
    assert library.facts_of_passages([whale.passages[1].id, whale.passages[0].id]) == whale.facts[:3]


def test_reopened_it_holds_the_same(place: str) -> None:
    first = open_place(place)
    whale = indexed(WHALE).put_into(first)
    first.close()
    with pytest.raises(LibraryError, match="closed"):
        first.summaries()
    second = open_place(place)
    assert second.document(whale.id) == whale.document
    assert second.facts_of_chunks([chunk.id for chunk in whale.chunks]) == whale.facts
    second.close()


def test_the_same_bytes_twice_are_one_document_of_two_sources(library: Library) -> None:
    whale = indexed(WHALE, source="one.txt").put_into(library)
    library.add_source(whale.id, "two.txt")
    library.add_source(whale.id, "two.txt")
    indexed(WHALE, source="three.txt").put_into(library)
    (summary,) = library.summaries()
    assert summary.sources == ("one.txt", "two.txt", "three.txt")
    assert summary.fact_count == len(whale.facts)
    assert library.document(whale.id).source == "three.txt"


def test_a_changed_file_replaces_its_old_version(library: Library) -> None:
    old = indexed(WHALE, source="a.txt").put_into(library)
    new = indexed(HARBOUR, source="a.txt").put_into(library)
    assert [summary.id for summary in library.summaries()] == [new.id]
    assert library.search_passages(["coffin"]) == []
    assert library.key_elements(["queequeg", "nantucket"]).keys() == {"nantucket"}
    with pytest.raises(DocumentNotFoundError):
        library.document(old.id)


def test_a_document_with_another_source_survives_the_change_of_one(library: Library) -> None:
    old = indexed(WHALE, source="a.txt").put_into(library)
    library.add_source(old.id, "copy.txt")
    new = indexed(HARBOUR, source="a.txt").put_into(library)
    assert {summary.id: summary.sources for summary in library.summaries()} == {
        old.id: ("copy.txt",),
        new.id: ("a.txt",),
    }
    library.add_source(new.id, "copy.txt")
    assert [summary.id for summary in library.summaries()] == [new.id]


def test_the_same_id_again_replaces_the_index(library: Library) -> None:
    whale = indexed(WHALE).put_into(library, "one")
    library.put_extraction("key", whale.id, "reply")
    fewer = replace(whale, chunks=whale.chunks[:1], passages=whale.passages[:1], facts=whale.facts[:1])
    fewer.put_into(library, "two")
    assert library.settings_key(whale.id) == "two"
    assert library.chunks(whale.id) == whale.chunks[:1]
    assert library.key_elements(["queequeg", "ahab"])["ahab"].fact_count == 1
    assert library.search_passages(["coffin"]) == []
    assert library.cached_extraction("key") == "reply"


def test_remove_leaves_nothing_behind(library: Library) -> None:
    whale = indexed(WHALE).put_into(library)
    ids = [passage.id for passage in whale.passages]
    library.put_vectors("model", ids, np.eye(len(ids), 8, dtype=np.float32))
    library.put_extraction("key", whale.id, "reply")
    library.record_failure(whale.chunks[0].id, "no JSON")
    library.put_answer({"answer": "the Whale"}, [whale.id])
    library.add_model_facts(
        whale.chunks[1].id, [fact(whale.chunks[1], "m0", whale.chunks[1].start, whale.chunks[1].end, "Moby wins.")]
    )
    library.remove(whale.id)
    assert_empty(library)
    assert library.search_passages(["ahab", "whale", "mobi", "win"]) == []
    assert library.key_elements(["ahab", "moby"]) == {}
    assert library.cached_extraction("key") is None
    assert library.vector_count("model") == 0
    assert library.settings_key(whale.id) is None
    assert library.facts_by_id([fact.id for fact in whale.facts]) == []
    library.put_vectors("model", ids, np.eye(len(ids), 4, dtype=np.float32))  # gone meanwhile: left out
    assert library.vector_count("model") == 0


def test_remove_leaves_the_other_documents(library: Library) -> None:
    whale = indexed(WHALE, source="a.txt").put_into(library)
    harbour = indexed(HARBOUR, source="b.txt").put_into(library)
    library.put_answer({"answer": "both"}, [whale.id, harbour.id])
    library.put_answer({"answer": "harbour"}, [harbour.id])
    library.remove(whale.id)
    assert library.document(harbour.id) == harbour.document
    assert library.facts_of_chunks([chunk.id for chunk in harbour.chunks]) == harbour.facts
    assert library.key_elements(["ahab", "starbuck"])["ahab"].fact_count == 1
    assert library.answers() == [{"answer": "harbour"}]
    assert [passage for passage, _ in library.search_passages(["nantucket"])] == [harbour.passages[0].id]


def test_a_document_that_is_not_there(library: Library) -> None:
    for call in (library.remove, library.document, library.find, lambda name: library.add_source(name, "b.txt")):
        with pytest.raises(DocumentNotFoundError, match="nowhere"):
            call("nowhere")
    assert library.settings_key("nowhere") is None
    assert library.chunks("nowhere") == []


def test_find_by_id_prefix_source_file_name_and_title(library: Library) -> None:
    whale = indexed(WHALE, source="books/moby.txt", title="Moby Dick").put_into(library)
    harbour = indexed(HARBOUR, source="ports/moby.txt", title="Harbours").put_into(library)
    assert library.find(whale.id) == whale.id
    assert library.find(whale.id[:4]) == whale.id
    assert library.find("ports/moby.txt") == harbour.id
    assert library.find("moby dick") == whale.id
    with pytest.raises(DocumentNotFoundError, match="2 documents"):
        library.find("moby.txt")
    for too_little in (whale.id[:3], "", "%"):
        with pytest.raises(DocumentNotFoundError):
            library.find(too_little)


def test_records_that_do_not_fit_together_are_refused_and_change_nothing(library: Library) -> None:
    whale = indexed(WHALE).put_into(library)
    harbour = indexed(HARBOUR, source="b.txt")
    with pytest.raises(LibraryError, match="chunk"):
        replace(harbour, chunks=harbour.chunks[:1]).put_into(library)
    with pytest.raises(LibraryError, match="unique"):
        replace(harbour, facts=[harbour.facts[0], harbour.facts[0]]).put_into(library)
    taken = replace(harbour.passages[0], id=whale.passages[0].id)
    with pytest.raises(LibraryError, match="unique"):
        replace(harbour, passages=[taken]).put_into(library)
    assert [summary.id for summary in library.summaries()] == [whale.id]
    assert library.key_elements(["nantucket"]) == {}


def test_text_that_is_not_unicode_is_refused(library: Library) -> None:
    """Lone surrogates have no UTF-8; the loader never yields them."""
    with pytest.raises(LibraryError, match="surrogate"):
        library.put(replace(indexed("a").document, text="a\ud800"), [], [], [], "key")
    assert_empty(library)


TEXTS = st.text(max_size=40)


@st.composite
def documents(draw: st.DrawFn) -> tuple[Document, list[Chunk], list[Passage], list[AtomicFact]]:
    """A document cut anywhere, with passages and facts of any text over any span, in the order of the text."""
    text = draw(st.text(min_size=1, max_size=200))
    cuts = sorted({0, len(text), *draw(st.lists(st.integers(0, len(text)), max_size=3))})
    name = draw(st.text(min_size=1, max_size=8))
    document = Document(name, draw(TEXTS), draw(TEXTS), "text/plain", text, (Page(1, 0, len(text)),))
    chunks, passages, facts = [], [], []
    for index, (start, end) in enumerate(pairwise(cuts)):
        chunk = Chunk(f"{name}-{index}", name, index, start, end, 1, tuple(draw(st.lists(TEXTS, max_size=2))))
        chunks.append(chunk)
        for number, (at, stop) in enumerate(_spans(draw, start, end)):
            passage_id = draw(st.sampled_from([f"{chunk.id}-p{number}", f"other {name}{index}p{number}"]))
            passages.append(Passage(passage_id, name, chunk.id, at, stop, _text_over(draw, text[at:stop])))
        for number, (at, stop) in enumerate(_spans(draw, start, end)):
            elements = draw(st.dictionaries(TEXTS, TEXTS, max_size=3))
            facts.append(
                AtomicFact(
                    id=f"{chunk.id}-f{number}",
                    document_id=name,
                    chunk_id=chunk.id,
                    start=at,
                    end=stop,
                    text=_text_over(draw, text[at:stop]),
                    key_elements=tuple(KeyElement(*element) for element in elements.items()),
                    origin=draw(st.sampled_from(FactOrigin)),
                )
            )
    return document, chunks, passages, facts


def _spans(draw: st.DrawFn, start: int, end: int) -> list[tuple[int, int]]:
    starts = draw(st.lists(st.integers(start, end - 1), max_size=3, unique=True))
    return [(at, draw(st.integers(at, end))) for at in sorted(starts)]


def _text_over(draw: st.DrawFn, span: str) -> str:
    collapsed = " ".join(span.split())
    return draw(
        st.sampled_from([span, collapsed, f"led by {span}", " ".join(span), f"x: {' '.join(collapsed)}", "own"])
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=documents())
def test_any_text_comes_back_and_goes_without_trace(
    library: Library, made: tuple[Document, list[Chunk], list[Passage], list[AtomicFact]]
) -> None:
    document, chunks, passages, facts = made
    library.put(document, chunks, passages, facts, "key")
    assert library.document(document.id) == document
    assert library.chunks(document.id) == chunks
    assert library.passages_by_id([passage.id for passage in passages]) == passages
    assert library.facts_of_chunks([chunk.id for chunk in chunks]) == facts
    names = {element.name for fact in facts for element in fact.key_elements}
    assert library.key_elements(sorted(names)).keys() == names
    library.remove(document.id)
    assert_empty(library)


PUTS_IN_A_LOOP = """
import sys
from contract.library_contract import indexed, open_place
library = open_place(sys.argv[1])
indexed("Old words.", source="a.txt").put_into(library)
big = indexed("New words of the Sea.\\n\\n" * 3000, source="a.txt")
print("ready", flush=True)
while True:
    big.put_into(library)
"""


def test_killed_while_writing_it_holds_the_old_or_the_new_state(place: str) -> None:
    for seed in range(3):
        with start_python(PUTS_IN_A_LOOP, place) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(random.Random(seed).uniform(0.01, 0.5))
            process.kill()
        library = open_place(place)
        (summary,) = library.summaries()
        text = library.document(summary.id).text
        assert text in ("Old words.", "New words of the Sea.\n\n" * 3000)
        is_old = text == "Old words."
        assert summary.fact_count == (1 if is_old else 3000)
        assert len(library.search_passages(["word"], limit=9999)) == summary.fact_count
        assert library.key_elements(["old", "new", "sea"]).keys() == ({"old"} if is_old else {"new", "sea"})
        library.close()


PUTS_ITS_OWN = """
import sys
from contract.library_contract import indexed, open_place
library = open_place(sys.argv[1])
for number in range(5):
    indexed(f"Process {sys.argv[2]} wrote {number} about Ahab.", source=f"{sys.argv[2]}-{number}").put_into(library)
    library.put_run_record("run", sys.argv[2], str(number), b"done")
"""


def test_processes_that_write_at_once_lose_nothing(place: str) -> None:
    processes = [start_python(PUTS_ITS_OWN, place, str(number)) for number in range(4)]
    for process in processes:
        process.communicate(timeout=120)
    assert [process.returncode for process in processes] == [0] * 4
    library = open_place(place)
    assert len(library.summaries()) == 20
    assert library.key_elements(["ahab"])["ahab"].fact_count == 20
    assert len(library.search_passages(["ahab"])) == 20
    assert len(library.run_records("run")) == 20
    library.close()


def test_threads_share_one_instance(library: Library) -> None:
    errors: list[Exception] = []

    def write_and_read(number: int) -> None:
        try:
            for turn in range(5):
                mine = indexed(f"Thread {number} in turn {turn}. Ahab waits.", source=f"{number}-{turn}")
                mine.put_into(library)
                assert library.facts_by_id([fact.id for fact in mine.facts]) == mine.facts
                assert library.search_passages(["ahab"])
        except Exception as error:  # a thread's error would otherwise be lost
            errors.append(error)

    threads = [threading.Thread(target=write_and_read, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert library.key_elements(["ahab"])["ahab"].fact_count == 30


def test_chinese(library: Library) -> None:
    kingdoms = indexed(THREE_KINGDOMS, title="三国演义").put_into(library)
    assert library.document(library.find("三国演义")) == kingdoms.document
    assert library.passages_by_id([passage.id for passage in kingdoms.passages]) == kingdoms.passages
