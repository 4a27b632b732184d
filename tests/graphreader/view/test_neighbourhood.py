"""What is shown of a library: which nodes, edges and facts, within which bounds."""

from __future__ import annotations

import pytest

from graphreader import GraphReader, GraphReaderError
from graphreader.coverage import Reading
from graphreader.errors import DocumentNotFoundError, LibraryError
from graphreader.view.neighbourhood import Neighbourhood, Reached

from .conftest import BEES, GULLNESS, TIDES, Put


def names(shown: Neighbourhood) -> set[str]:
    return {node.name for node in shown.nodes}


def check(reader: GraphReader, shown: Neighbourhood, max_nodes: int) -> None:
    """What holds of every neighbourhood."""
    assert len(shown.nodes) == len(names(shown)) <= max_nodes
    for node in shown.nodes:
        assert 1 <= len(node.facts) <= node.fact_count
        assert all(node.name in shown.facts[fact].key_elements for fact in node.facts)
    for edge in shown.edges:
        assert edge.one < edge.other
        assert {edge.one, edge.other} <= names(shown)
        assert 1 <= len(edge.facts) <= edge.shared
        assert all({edge.one, edge.other} <= set(shown.facts[fact].key_elements) for fact in edge.facts)
    assert set(shown.found) <= set(shown.facts)
    for fact in shown.facts.values():
        excerpt = shown.excerpts[fact.excerpt]
        document = reader.library.document(excerpt.document_id)
        assert excerpt.start <= fact.start < fact.end <= excerpt.end
        assert document.text[excerpt.start : excerpt.end] == excerpt.text
        assert document.page_at(fact.start) == fact.page
        assert excerpt.document == document.title


def test_a_question_shows_what_it_names_what_was_found_and_what_is_near(reader: GraphReader, put: Put) -> None:
    put("tides.md", TIDES)
    put("bees.md", BEES)
    shown = reader.neighbourhood("Where was Ada Brandt born?")
    check(reader, shown, 100)
    reached = {node.name: node.reached for node in shown.nodes}
    assert reached["ada brandt"] is Reached.QUESTION
    assert reached["lowick"] is Reached.FOUND
    assert shown.facts[shown.found[0]].text == "Ada Brandt was born in Lowick."
    assert shown.title == shown.question == "Where was Ada Brandt born?"
    assert shown.warnings == ()


def test_a_fact_knows_its_heading(reader: GraphReader, put: Put) -> None:
    put("tides.md", TIDES)
    headings = {fact.text: fact.heading for fact in reader.neighbourhood().facts.values()}
    assert headings["Ada Brandt was born in Lowick."] == "Tides of Orrin"
    assert headings["Ilse Marrow came from Tarnholt."] == "The keeper"


def test_without_a_question_the_linked_nodes_are_shown_most_frequent_first(reader: GraphReader, put: Put) -> None:
    put("tides.md", TIDES)
    put("bees.md", BEES)
    shown = reader.neighbourhood()
    check(reader, shown, 100)
    assert {"ada brandt", "ilse marrow", "sedge valley"} <= names(shown)
    assert "1802" not in names(shown)
    assert {end for edge in shown.edges for end in (edge.one, edge.other)} == names(shown)
    counts = [node.fact_count for node in shown.nodes]
    assert counts == sorted(counts, reverse=True)
    assert (shown.question, shown.found) == ("", ())
    assert shown.title == "2 documents of library.db"


@pytest.mark.parametrize("question", [None, "Who lit the lamp of Gullness?"])
@pytest.mark.parametrize("max_nodes", [1, 2, 7])
def test_never_more_nodes_than_asked_for(reader: GraphReader, put: Put, question: str | None, max_nodes: int) -> None:
    put("tides.md", TIDES)
    put("gullness.md", GULLNESS)
    shown = reader.neighbourhood(question, max_nodes=max_nodes)
    check(reader, shown, max_nodes)
    assert len(shown.nodes) == max_nodes
    assert shown.left_out > 0


def test_a_hub_shows_the_fact_that_answers_however_late_it_stands(reader: GraphReader, put: Put) -> None:
    put("gullness.md", GULLNESS)
    shown = reader.neighbourhood("Who lit the lamp of Gullness?", max_nodes=20)
    check(reader, shown, 20)
    hub = next(node for node in shown.nodes if node.name == "gullness")
    assert hub.fact_count > 400
    assert shown.facts[hub.facts[0]].text == "The lamp of Gullness was lit by Marthe Quill."


def test_documents_narrow_it(reader: GraphReader, put: Put) -> None:
    put("tides.md", TIDES)
    put("bees.md", BEES)
    for shown in (
        reader.neighbourhood(documents="bees.md"),
        reader.neighbourhood("Who built the bee hall?", ["bees.md"]),
    ):
        check(reader, shown, 100)
        assert {excerpt.document for excerpt in shown.excerpts} == {"Bees of Sedge"}
        assert "ada brandt" not in names(shown)
    assert reader.neighbourhood(documents="bees.md").title == "Bees of Sedge"


def test_the_same_library_shows_the_same(reader: GraphReader, put: Put) -> None:
    put("tides.md", TIDES)
    for question in (None, "Who kept the mill?"):
        assert reader.neighbourhood(question) == reader.neighbourhood(question)


def test_what_does_not_fit_shows_nothing(reader: GraphReader, put: Put) -> None:
    put("plain.md", "it rained all day and nobody went out.\n")
    assert reader.neighbourhood("Wo steht das?").nodes == ()


def test_what_is_not_there_yet_is_warned_of(reader: GraphReader, put: Put) -> None:
    put("bees.md", BEES)
    with Reading(reader.library, 40):
        assert "40 sources not read" in reader.neighbourhood().warnings[0]


def test_what_cannot_be_shown_is_an_error(reader: GraphReader, put: Put) -> None:
    with pytest.raises(LibraryError, match="graphreader index"):
        reader.neighbourhood()
    put("tides.md", TIDES)
    with pytest.raises(DocumentNotFoundError, match=r"nowhere\.pdf"):
        reader.neighbourhood(documents="nowhere.pdf")
    with pytest.raises(GraphReaderError, match="empty"):
        reader.neighbourhood("  ")
