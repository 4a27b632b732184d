from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphreader.ingest.normalise import aliases_of, normalise


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("The Supply Vessels", "supply vessel"),
        ("“Harbour  Light\nTrust’s”", "harbour light trust"),
        ("U.S.", "us"),
        ("U.S. Steel", "us steel"),
        ("Companies", "company"),
        ("Boxes", "box"),
        ("Charles", "charles"),
        ("Process", "process"),
        ("Procter & Gamble", "procter and gamble"),
        ("Harbour Light Company, Inc.", "harbour light company"),
        ("1,577 tonnes", "1577 tonne"),
        ("12 %", "12%"),
        ("ＦＵＬＬ\u2010Width", "full-width"),
        ("《太平要术》", "太平要术"),
        ("...", ""),
        ("the", "the"),
    ],
)
def test_normal_forms(spelling: str, name: str) -> None:
    assert normalise(spelling) == name


@given(st.one_of(st.text(), st.text(alphabet="thea 's.,SX’\"-&1%ies inc", max_size=60)))
def test_normalising_again_changes_nothing(spelling: str) -> None:
    name = normalise(spelling)
    assert normalise(name) == name
    assert name == " ".join(name.split())


@given(st.text(alphabet="abc XYZ", max_size=30))
def test_case_and_space_make_no_difference(spelling: str) -> None:
    assert normalise(f" {spelling.upper()}\n") == normalise(spelling)


@pytest.mark.parametrize("unit", ["the ", "'s", "a.", "ses", "a, inc", '"', "1,000"])
def test_hostile_spellings_take_little_time(unit: str) -> None:
    started = time.perf_counter()
    normalise(unit * 20_000)
    assert time.perf_counter() - started < 10.0


def test_acronyms_are_told_by_their_letters() -> None:
    text = (
        "The Harbour Light Trust (HLT) met. It used Large language models (LLMs), Retrieval-Augmented Generation (RAG) "
        "and the Board of Trade (the “BOT”). Nothing here spells it (XYZ)."
    )
    assert aliases_of(text, {}, frozenset()) == {
        "hlt": "harbour light trust",
        "llm": "large language model",
        "rag": "retrieval-augmented generation",
        "bot": "board of trade",
    }


def test_terms_defined_in_brackets() -> None:
    text = 'This is the report of Harbour Light Company, Inc. (together with its boats, the "Company").'
    assert aliases_of(text, {}, frozenset()) == {"company": "harbour light company"}


def test_an_acronym_with_two_meanings_is_left_alone() -> None:
    text = "Tidal Energy Plant (TEP) and Total Equity Plan (TEP)."
    assert aliases_of(text, {}, frozenset()) == {}


def test_surnames_and_honorifics_of_one_person() -> None:
    names = {"Captain Ilse Marrow": 1, "Marrow": 4, "Mr. Quill": 2, "Chief Financial Officer": 3}
    assert aliases_of("", names, frozenset({"financial", "officer"})) == {
        "captain ilse marrow": "ilse marrow",
        "marrow": "ilse marrow",
        "mr. quill": "quill",
    }


def test_a_surname_of_two_people_is_left_alone() -> None:
    names = {"Ilse Marrow": 2, "Tom Marrow": 2, "Marrow": 4, "Captain Marrow": 1}
    assert aliases_of("", names, frozenset()) == {}


def test_a_later_neighbour_is_no_first_name() -> None:
    assert aliases_of("", {"Ahab": 90, "Parsee Ahab": 2}, frozenset()) == {}


@given(
    st.lists(st.sampled_from(["Mr. A Bell", "Bell", "Ann Bell", "Dr. Bell", "Sir Ann", "Ann", "Ann Ann"]), unique=True)
)
def test_no_alias_points_to_an_alias(spellings: list[str]) -> None:
    aliases = aliases_of("", dict.fromkeys(spellings, 2), frozenset())
    assert not set(aliases) & set(aliases.values())
