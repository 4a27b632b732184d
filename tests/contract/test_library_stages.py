"""The contract of every library backend: documents that are indexed in stages, text first, facts later."""

from __future__ import annotations

import pytest
from contract.library_contract import THREE_KINGDOMS, WHALE, fact, indexed

from graphreader.errors import DocumentNotFoundError, LibraryError
from graphreader.library import Library
from graphreader.records import FactOrigin


def test_facts_that_follow_make_the_same_index(library: Library) -> None:
    whale = indexed(WHALE)
    library.put(whale.document, whale.chunks, whale.passages, (), "text only")
    assert library.facts_of_chunks([chunk.id for chunk in whale.chunks]) == []
    for chunk in whale.chunks:
        library.put_phrase_facts([chunk.id], [made for made in whale.facts if made.chunk_id == chunk.id])
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
    library.put_phrase_facts([chunk.id], own[:1])
    assert set(library.facts_of_chunks([chunk.id])) == {own[0], by_model}
    library.put_phrase_facts([chunk.id], own)
    assert set(library.facts_of_chunks([chunk.id])) == {*own, by_model}


def test_phrase_facts_of_strangers_are_refused_and_change_nothing(library: Library) -> None:
    whale, kingdoms = indexed(WHALE).put_into(library), indexed(THREE_KINGDOMS, "b.txt").put_into(library)
    with pytest.raises(LibraryError, match="is of none of the chunks"):
        library.put_phrase_facts([whale.chunks[0].id], [made for made in kingdoms.facts][:1])
    with pytest.raises(LibraryError, match="several documents"):
        library.put_phrase_facts([whale.chunks[0].id, kingdoms.chunks[0].id], [])
    with pytest.raises(LibraryError, match="no chunk"):
        library.put_phrase_facts(["gone"], [])
    assert library.facts_of_chunks([chunk.id for chunk in whale.chunks]) == whale.facts


def test_settings_keys_are_replaced_and_found(library: Library) -> None:
    whale = indexed(WHALE).put_into(library, "text only")
    kingdoms = indexed(THREE_KINGDOMS, "b.txt").put_into(library, "text only")
    assert library.documents_of_settings_key("text only") == [whale.id, kingdoms.id]
    library.set_settings_key(whale.id, "complete")
    assert library.settings_key(whale.id) == "complete"
    assert library.documents_of_settings_key("text only") == [kingdoms.id]
    with pytest.raises(DocumentNotFoundError):
        library.set_settings_key("nowhere", "complete")


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
