from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphreader.text.sentences import is_table_row, sentence_spans

_PIECES = st.sampled_from(
    ["Mr. ", "U.S. ", "The sea", " rose.", '" ', "\n", "\n\n", "1,577 ", "(3) ", "• ", "。", "他说", "！”", "...", " ",
     "| ", "# ", "\t", "\f", "No. ", "7", "HEADING", "and", "?", "\u2028", "\x0b", "\r\n"]
)  # fmt: skip


def _sentences(text: str) -> list[str]:
    return [" ".join(text[start:end].split()) for start, end in sentence_spans(text)]


@given(st.one_of(st.text(), st.lists(_PIECES, max_size=40).map("".join)))
def test_spans_are_ordered_trimmed_and_hold_every_visible_character(text: str) -> None:
    reached = 0
    for start, end in sentence_spans(text):
        assert reached <= start < end
        assert not text[reached:start].strip()
        assert text[start:end] == text[start:end].strip()
        reached = end
    assert not text[reached:].strip()


@given(st.lists(_PIECES, max_size=30).map("".join), st.integers(0, 60), st.integers(0, 60))
def test_a_part_is_split_like_the_same_text_alone(text: str, start: int, end: int) -> None:
    begin = min(start, len(text))
    expected = [(begin + first, begin + last) for first, last in sentence_spans(text[begin:end])]
    assert sentence_spans(text, begin, end) == expected


@pytest.mark.parametrize(
    "sentences",
    [
        ["Mr. Smith met Dr. Jones at 5 p.m. on Jan. 3.", "They left."],
        ["The U.S. Navy paid $3.5 million.", "It was late."],
        ["He lives in the U.S.", "The rest do not."],
        ["See No. 5 and Fig. 2 of J. R. Tolkien.", "No.", "Yes!"],
        ['"Why?" she asked.', '"I do not know."', "He left."],
        ["Apple Inc. Chief Tim Cook spoke (at length).", "(He did not stop.)", "Then he went."],
        ["1. Introduction follows here.", "2. Method too."],
        ["Sales rose 3.5% in 2019.", "In 2020 they fell."],
        ["The costs fell.1", "They rose again."],
        ["他说：“今天很好。”", "我们走吧！", "好；", "走。"],
    ],
)
def test_sentence_ends_in_prose(sentences: list[str]) -> None:
    assert _sentences(" ".join(sentences)) == sentences


def test_a_wrapped_line_is_no_sentence_end() -> None:
    text = "The company paid its dues to the United\nStates in the year that followed the\nGreat War. It was\nlate."
    assert _sentences(text) == [
        "The company paid its dues to the United States in the year that followed the Great War.",
        "It was late.",
    ]


def test_wrapped_chinese_lines_join() -> None:
    assert _sentences("话说天下大势，分久必合，\n合久必分。周末七国") == [
        "话说天下大势，分久必合， 合久必分。",
        "周末七国",
    ]


def test_table_rows_are_sentences_of_their_own() -> None:
    rows = [
        "Consolidated Statements of Cash Flows",
        "(Dollars in millions)",
        "Years ended December 31, 2022 2021 2020",
        "Purchases of property, plant and equipment (1,577) (1,373) (1,420)",
        "Operating margins (9.2)% (33.2)% (85.7)%",
        "Net loss attributable to shareholders ($4,935) ($4,202)",
    ]
    prose = "The loss in 2022 was driven by abnormal production costs, which fell in the second half of the same\nyear."
    assert _sentences("\n".join([*rows, prose])) == [*rows, prose.replace("\n", " ")]


def test_a_row_that_is_wrapped_keeps_its_label() -> None:
    text = "Reclassification adjustment for loss included in net earnings, net of tax of ($3), $2 and\n($7) 10 (6) 27"
    assert _sentences(text) == [text.replace("\n", " ")]


def test_headings_bullets_and_leaders_stand_alone() -> None:
    text = (
        "Risk Factors\nThe industry remains vulnerable to many developments that nobody can foresee, and so do we\n"
        "as a part of it.\n• one thing that goes on\nand on\n• another\n## Method\n"
        "Menu pad . . . . . . . . . 45\nTimer..... 46"
    )
    assert _sentences(text) == [
        "Risk Factors",
        "The industry remains vulnerable to many developments that nobody can foresee, and so do we as a part of it.",
        "• one thing that goes on and on",
        "• another",
        "## Method",
        "Menu pad . . . . . . . . . 45",
        "Timer..... 46",
    ]


def test_a_markdown_row_is_a_table_row_and_prose_is_not() -> None:
    assert is_table_row("| a | b |")
    assert is_table_row("Revenues $25,867 $19,493")
    assert not is_table_row("It fell to 25,867 in 2022.")
    assert not is_table_row("")


@pytest.mark.parametrize(
    "unit", [".", ". ", "a.", '."', "\n", "A\n", "word ", " ", "1", "1 ", '"', " | ", "中。", "#", "a   "]
)
def test_hostile_repeats_take_linear_time(unit: str) -> None:
    started = time.perf_counter()
    sentence_spans("x" + unit * (1_000_000 // len(unit)) + "x")
    assert time.perf_counter() - started < 10.0


def test_a_log_without_a_blank_line_is_covered() -> None:
    text = "\n".join(f"line {number} of the log says that all is well" for number in range(10_500))
    spans = sentence_spans(text)
    edges = [(0, 0), *spans, (len(text), len(text))]
    assert all(end <= start and not text[end:start].strip() for (_, end), (start, _) in pairwise(edges))
