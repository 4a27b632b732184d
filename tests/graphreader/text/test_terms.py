from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphreader.text.terms import STOP_WORDS, UNSPACED, fold, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Purchases of property (1,577)", ["purchas", "properti", "1577"]),
        ("$3.5 and 12% or 5.2bn", ["3.5", "12", "5.2", "bn"]),
        ("€1,577m", ["1577", "m"]),
        ("The captain’s vessels' logs, O'Brien", ["captain", "vessel", "log", "obrien"]),
        ("mid-size", ["mid", "size", "midsiz"]),
        ("737-800", ["737", "800"]),
        ("Café ﬁnance ＦＵＬＬ", ["cafe", "financ", "full"]),
        ("U.S. firm", ["us", "firm"]),
        ("don't isn't", []),
        ("模型好", ["模", "型", "好", "模型", "型好"]),
        ("vLLM模型", ["vllm", "模", "型", "模型"]),
        ("a_b 2021,2022", ["b", "2021", "2022"]),
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


@given(st.text())
def test_a_term_has_no_space_quote_or_capital(text: str) -> None:
    unspaced = re.compile(f"[{UNSPACED}]")  # newer ideographs may be unknown to this Python's Unicode tables
    for term in terms(text):
        assert term
        assert all(character.isalnum() or character in "._-" or unspaced.match(character) for character in term)
        assert term not in STOP_WORDS or not term.isascii()


@given(st.text())
def test_folding_again_changes_no_ascii_text(text: str) -> None:
    if (folded := fold(text)).isascii():
        assert fold(folded) == folded


@given(st.text(alphabet="abc XYZ.,-'", max_size=60), st.text(alphabet="abc XYZ.,-'", max_size=60))
def test_terms_of_lines_are_the_terms_of_both(first: str, second: str) -> None:
    assert terms(f"{first}\n{second}") == terms(first) + terms(second)


@pytest.mark.parametrize("unit", ["a.", "1,000", "a'", ".", "-", "word ", "1 ", "中", "a-", "é"])
def test_hostile_repeats_take_linear_time(unit: str) -> None:
    started = time.perf_counter()
    terms(unit * (1_000_000 // len(unit)))
    assert time.perf_counter() - started < 10.0
