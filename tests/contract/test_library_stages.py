"""The contract of every library backend: documents that are indexed in stages, text first, facts later."""

from __future__ import annotations

from dataclasses import replace

import pytest
from contract.library_contract import THREE_KINGDOMS, WHALE, fact, indexed

from graphreader.errors import DocumentNotFoundError, LibraryError
from graphreader.library import Library
from graphreader.library.protocol import IndexedDocument
from graphreader.records import FactOrigin


def test_facts_that_follow_make_the_same_index(library: Library) -> None:
    whale = indexed(WHALE)
    library.put(whale.document, whale.chunks, whale.passages, (), "text only")
    assert library.facts_of_chunks([chunk.id for chunk in whale.chunks]) == []
    for chunk in whale.chunks:
        library.put_phrase_facts([chunk.id], [made for made in whale.facts if made.chunk_id == chunk.id], {})
    staged = [library.facts_of_passages([passage.id]) for passage in whale.passages]
    nodes = library.top_key_elements(None, 50)
    library.remove(whale.id)
    whale.put_into(library)
    assert staged == [library.facts_of_passages([passage.id]) for passage in whale.passages]
    assert nodes == library.top_key_elements(None, 50)


def test_phrase_facts_replace_those_before_and_leave_a_models(library: Library) -> None:
    whale = indexed(WHALE).put_into(library)
    chunk = whale.chunks[0]
    by_model = fact(chunk, "m0", chunk.start, chunk.start + 5, "Something else", FactOrigin.MODEL)
    library.add_model_facts(chunk.id, [by_model])
    own = [made for made in whale.facts if made.chunk_id == chunk.id]
    library.put_phrase_facts([chunk.id], own[:1], {})
    assert set(library.facts_of_chunks([chunk.id])) == {own[0], by_model}
    library.put_phrase_facts([chunk.id], own, {})
    assert set(library.facts_of_chunks([chunk.id])) == {*own, by_model}


def test_phrase_facts_of_strangers_are_refused_and_change_nothing(library: Library) -> None:
    whale, kingdoms = indexed(WHALE).put_into(library), indexed(THREE_KINGDOMS, "b.txt").put_into(library)
    with pytest.raises(LibraryError, match="is of none of the chunks"):
        library.put_phrase_facts([whale.chunks[0].id], kingdoms.facts[:1], {})
    with pytest.raises(DocumentNotFoundError):
        library.put_phrase_facts([whale.chunks[0].id], [], {"nowhere": "complete"})
    with pytest.raises(LibraryError, match="no chunk"):
        library.put_phrase_facts(["gone"], [], {})
    assert library.facts_of_chunks([chunk.id for chunk in whale.chunks]) == whale.facts


def test_settings_keys_are_replaced_and_found(library: Library) -> None:
    whale = indexed(WHALE).put_into(library, "text only")
    kingdoms = indexed(THREE_KINGDOMS, "b.txt").put_into(library, "text only")
    assert library.documents_of_settings_key("text only") == [whale.id, kingdoms.id]
    library.put_phrase_facts([], [], {whale.id: "complete"})
    assert library.settings_key(whale.id) == "complete"
    assert library.documents_of_settings_key("text only") == [kingdoms.id]
    assert library.document_ids() == [whale.id, kingdoms.id]
    assert library.chunk_count() == len(whale.chunks) + len(kingdoms.chunks)
    assert library.chunk_count([whale.id]) == len(whale.chunks)


def test_layout_and_texts_are_the_document_in_parts(library: Library) -> None:
    kingdoms = indexed(THREE_KINGDOMS).put_into(library)
    layout = library.layout(kingdoms.id)
    assert layout.text == ""
    assert (layout.pages, layout.headings, layout.source) == (
        kingdoms.document.pages,
        kingdoms.document.headings,
        kingdoms.document.source,
    )
    spans = [(chunk.start, chunk.end) for chunk in kingdoms.chunks]
    assert "".join(library.texts(kingdoms.id, spans)) == THREE_KINGDOMS
    for read in (library.layout, lambda name: library.texts(name, [])):
        with pytest.raises(DocumentNotFoundError):
            read("nowhere")


def test_facts_of_several_documents_are_stored_together(library: Library) -> None:
    both = [indexed(WHALE), indexed(THREE_KINGDOMS, "b.txt")]
    library.put_all([IndexedDocument(one.document, one.chunks, one.passages, (), "text only") for one in both])
    chunk_ids = [chunk.id for one in both for chunk in one.chunks]
    library.put_phrase_facts(chunk_ids, [made for one in both for made in one.facts], {})
    assert library.facts_of_chunks(chunk_ids) == [made for one in both for made in one.facts]


def test_sources_are_found_by_prefix_and_forgotten(library: Library) -> None:
    whale = indexed(WHALE, "corpus.jsonl#1").put_into(library)
    kingdoms = indexed(THREE_KINGDOMS, "corpus.jsonl#2").put_into(library)
    library.add_source(kingdoms.id, "elsewhere.txt")
    assert library.sources_under("corpus.jsonl#") == {"corpus.jsonl#1": whale.id, "corpus.jsonl#2": kingdoms.id}
    assert library.sources_under("corpus_jsonl") == {}
    library.remove_sources(["corpus.jsonl#1", "corpus.jsonl#2", "unknown"])
    assert library.document_ids() == [kingdoms.id]
    assert library.sources_under("") == {"elsewhere.txt": kingdoms.id}


def test_metadata_is_kept(library: Library) -> None:
    whale = indexed(WHALE)
    described = replace(whale.document, metadata={"year": 1851, "tags": ["sea", "鲸"]})
    library.put(described, whale.chunks, whale.passages, whale.facts, "key")
    assert library.document(whale.id) == described
