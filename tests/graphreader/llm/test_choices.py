from __future__ import annotations

import json
import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphreader.llm.choices import field_probabilities

VALUES = ("yes", "no")


def logs(**shares: float) -> dict[str, float]:
    return {token.replace("Q", '"'): math.log(share) for token, share in shares.items()}


@pytest.mark.parametrize(
    "tokens",
    [
        [('{"answerable":"', {}), ("yes", logs(yes=0.6, no=0.2, maybe=0.1)), ('"}', {})],
        [('{"answerable":', {}), ('"yes', logs(Qyes=0.6, Qno=0.2)), ('"}', {})],
        [('{"answerable": "', {}), ("y", logs(y=0.6, n=0.2)), ('es"}', {})],
        [('{"answerable"', {}), (" :", {}), (' "', {}), ('yes",', logs(yesQ=0.3, yes=0.3, no=0.2))],
    ],
)
def test_however_the_value_is_cut_into_tokens(tokens: list[tuple[str, Mapping[str, float]]]) -> None:
    assert field_probabilities(tokens, "answerable", VALUES) == pytest.approx({"yes": 0.75, "no": 0.25})


def test_a_value_that_is_not_among_the_likeliest_counts_nothing() -> None:
    tokens = [('{"answerable":"', {}), ("yes", logs(yes=0.9, Yes=0.05))]
    assert field_probabilities(tokens, "answerable", VALUES) == {"yes": 1.0, "no": 0.0}


def test_what_is_not_said_is_empty() -> None:
    assert field_probabilities([], "answerable", VALUES) == {}
    assert field_probabilities([('{"answer":"yes"}', logs(yes=1.0))], "answerable", VALUES) == {}
    assert field_probabilities([('{"answerable":"', {}), ("perhaps", logs(perhaps=1.0))], "answerable", VALUES) == {}


def test_the_same_words_in_another_field_are_not_the_field() -> None:
    tokens = [('{"answer":"', {}), ("no", logs(no=1.0)), ('","answerable":"', {}), ("yes", logs(yes=0.5, no=0.5))]
    assert field_probabilities(tokens, "answerable", VALUES) == pytest.approx({"yes": 0.5, "no": 0.5})


@given(st.lists(st.text(max_size=6), max_size=30), st.sampled_from(VALUES), st.data())
def test_any_cut_of_any_reply_gives_shares_that_add_up(texts: list[str], value: str, data: st.DataObject) -> None:
    reply = json.dumps({"notes": texts, "answerable": value})
    cuts = data.draw(st.lists(st.integers(0, len(reply)), max_size=12).map(lambda places: sorted({0, *places})))
    pieces = [reply[start:end] for start, end in zip(cuts, [*cuts[1:], len(reply)], strict=True)]
    found = field_probabilities([(piece, {piece: -0.1}) for piece in pieces if piece], "answerable", VALUES)
    if found:
        assert sum(found.values()) == pytest.approx(1.0)
        assert found[value] == 1.0
