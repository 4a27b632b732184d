from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphreader.text.mentions import amounts_in, dates_in, names_in, phrases_in, quoted_in, row_label


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        ("Captain Ilse Marrow sailed from Port of the Isles.", ["Captain Ilse Marrow", "Port of the Isles"]),
        ("However, the Boeing 737 landed.", ["Boeing 737"]),
        ("Tom and Mary met.", ["Tom and Mary", "Tom", "Mary"]),
        ("I'll see J. R. Tolkien in Paris.", ["J. R. Tolkien", "Paris"]),
        ("Whales are seen by Mr. Flask's crew.", ["Mr. Flask"]),
        ("ALL CAPITALS HERE", []),
    ],
)
def test_names(sentence: str, names: list[str]) -> None:
    assert names_in(sentence, frozenset({"whales"})) == names


def test_an_ordinary_word_is_a_name_only_within_the_sentence() -> None:
    ordinary = frozenset({"light"})
    assert names_in("Light fell on it.", ordinary) == []
    assert names_in("They call it Light.", ordinary) == ["Light"]


def test_dates_and_amounts() -> None:
    sentence = "On March 5, 2021 it paid $3.5 million for 40 tonnes and 12% of 1,577 shares."
    assert dates_in(sentence) == ["March 5, 2021", "2021"]
    assert amounts_in(sentence) == ["$3.5 million", "40 tonnes", "12%"]
    assert dates_in("建安五年，曹操来") != []


def test_quoted_terms_and_titles() -> None:
    assert quoted_in('the "Company" 读《太平要术》') == ["Company", "太平要术"]
    assert quoted_in('"I do not know what you mean by that."') == []


def test_phrases_lie_between_stop_words_and_marks() -> None:
    assert list(phrases_in("The old tidal barrage, at Skerry Sound bay")) == [
        "tidal barrage",
        "skerry sound",
        "sound bay",
        "skerry sound bay",
    ]


def test_the_label_of_a_row() -> None:
    assert row_label("Purchases of property, plant and equipment (1,577) (1,373)") == (
        "Purchases of property, plant and equipment"
    )
    assert row_label("2022 2021") == ""


@given(st.text(alphabet="Ab .'-&19$%《》\"年", max_size=200))
def test_what_is_found_stands_in_the_sentence(sentence: str) -> None:
    for mention in [*names_in(sentence), *dates_in(sentence), *amounts_in(sentence), *quoted_in(sentence)]:
        assert mention
        assert mention in sentence


@pytest.mark.parametrize("unit", ["A ", "A-", "A.", "of ", "A of ", "1", "1,000", '"', "《", "$", "A and "])
def test_hostile_repeats_take_linear_time(unit: str) -> None:
    sentence = unit * (200_000 // len(unit))
    started = time.perf_counter()
    names_in(sentence)
    dates_in(sentence)
    amounts_in(sentence)
    quoted_in(sentence)
    assert time.perf_counter() - started < 10.0
