"""The page: whole in itself, and what comes from documents stays text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphreader import GraphReader
from graphreader.view import page_of
from graphreader.view.excerpts import Excerpt, PlacedFact
from graphreader.view.neighbourhood import Neighbourhood, Reached, ShownEdge, ShownNode

from .conftest import TIDES, Put

HOSTILE = "</script><img src=x onerror=alert(1)><!-- <script> {{data}} & \u2028"


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text of each."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.inside = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")
        self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts[-1] += data

    def all(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(own, text) for (name, own), text in zip(self.elements, self.texts, strict=True) if name == tag]

    @property
    def data(self) -> Any:
        return json.loads(next(text for own, text in self.all("script") if own.get("id") == "data"))


def neighbourhood_of(text: str) -> Neighbourhood:
    fact = PlacedFact("f", text, ("one", "two"), 0, 0, len(text), 1, text)
    return Neighbourhood(
        title=text,
        question=text,
        nodes=(
            ShownNode("one", (text,), 1, Reached.QUESTION, ("f",)),
            ShownNode("two", (), 1, Reached.NEAR, ("f",)),
        ),
        edges=(ShownEdge("one", "two", 1, ("f",)),),
        found=("f",),
        facts={"f": fact},
        excerpts=(Excerpt("d", text, 0, len(text), text, len(text)),),
        left_out=0,
        warnings=(text,),
    )


SKELETON = [name for name, _ in Page(page_of(neighbourhood_of("plain"))).elements]


def check_text_stays_text(text: str) -> None:
    page = Page(page_of(neighbourhood_of(text)))
    assert [name for name, _ in page.elements] == SKELETON
    assert page.all("h1")[0][1] == text
    data = page.data
    assert data["question"] == data["nodes"][0]["spellings"][0] == data["excerpts"][0]["text"] == text
    assert data["facts"][0]["text"] == data["facts"][0]["heading"] == data["warnings"][0] == text


def test_markup_in_a_document_stays_text() -> None:
    check_text_stays_text(HOSTILE)
    assert not re.search(r"<img|<!--", page_of(neighbourhood_of(HOSTILE)))


#: HTML reads line ends as one kind, and has no place for NUL; the title has them, data keeps everything.
@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), min_size=1))
def test_any_text_stays_text(text: str) -> None:
    check_text_stays_text(text)


def test_nothing_is_loaded_from_elsewhere(reader: GraphReader, put: Put) -> None:
    put("tides.md", TIDES + "\nSee https://example.com/a.js and //example.com/b.css for Ada Brandt.\n")
    page = Page(page_of(reader.neighbourhood()))
    for name, attributes in page.elements:
        assert not attributes.keys() & {"src", "href", "srcset", "action", "data", "style", "onclick"}, name
    style = page.all("style")[0][1]
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_allows_the_pages_own_scripts_and_style_alone() -> None:
    page = Page(page_of(neighbourhood_of(HOSTILE)))
    policy = next(own["content"] for own, _ in page.all("meta") if own.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    code = [text for own, text in page.all("script") if "type" not in own] + [page.all("style")[0][1]]
    hashes = [f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}" for text in code]
    assert sorted(re.findall(r"'(sha256-[^']+)'", policy)) == sorted(hashes)
    assert "unsafe" not in policy


def test_nodes_and_facts_are_referred_to_by_their_places(reader: GraphReader, put: Put) -> None:
    put("tides.md", TIDES)
    shown = reader.neighbourhood("Where was Ada Brandt born?")
    page = page_of(shown)
    assert page == page_of(shown)
    data = Page(page).data
    assert [node["name"] for node in data["nodes"]] == [node.name for node in shown.nodes]
    for edge, drawn in zip(shown.edges, data["edges"], strict=True):
        assert [data["nodes"][end]["name"] for end in drawn["ends"]] == [edge.one, edge.other]
        assert [data["facts"][fact]["text"] for fact in drawn["facts"]] == [shown.facts[f].text for f in edge.facts]
    best = data["facts"][data["found"][0]]
    excerpt = data["excerpts"][best["excerpt"]]
    quote = excerpt["text"][best["start"] - excerpt["start"] : best["end"] - excerpt["start"]]
    assert quote == best["text"] == "Ada Brandt was born in Lowick."
    assert "ada brandt" in {data["nodes"][number]["name"] for number in best["elements"]}


@pytest.mark.parametrize("nodes", [(), (ShownNode("one", ("One",), 1, Reached.NEAR, ()),)])
def test_hardly_anything_is_a_page_too(nodes: tuple[ShownNode, ...]) -> None:
    shown = Neighbourhood("T", "", nodes, (), (), {}, (), 0)
    assert len(Page(page_of(shown)).data["nodes"]) == len(nodes)
