from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphreader.library.protocol import Library
from graphreader.search import search
from graphreader.search.compare import sides_of
from graphreader.search.expand import expansions
from graphreader.search.question import queries_of, read_question
from graphreader.search.ranked import DEFAULT_WEIGHTS

Index = Callable[[Sequence[tuple[str, str]]], list[str]]


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (
            "Is the gross margin improving? If gross margin is not a useful metric here, then please state that.",
            "Is the gross margin improving?",
        ),
        ("What is the ratio? Round your answer to two decimal places.", "What is the ratio?"),
        ("How many grams fit? Return me an integer.", "How many grams fit?"),
        ("Which piers were built? They stand in the north.", "Which piers were built? They stand in the north."),
        ("Answer in one word.", "Answer in one word."),
        ("Who gave the harbour its name?", "Who gave the harbour its name?"),
    ],
)
def test_instructions_on_the_form_of_the_answer_are_not_searched_for(question: str, text: str) -> None:
    assert read_question(question).text == text


@pytest.mark.parametrize(
    ("question", "spelt_out"),
    [
        ("Did sales grow in FY2022 against FY21?", {"2022", "2021"}),
        ("Cash at the end of Q2 of FY2024", {"2024", "second quarter"}),
        ("Cash as of Q2'2023", {"2023", "second quarter"}),
        ("Which region fell most in Q32019?", {"2019", "third quarter"}),
        ("Who paid $1.5 billion for the pier?", {"1500", "1500000"}),
        ("Who built the pier in 1987?", set()),
    ],
)
def test_periods_and_amounts_are_spelt_as_documents_spell_them(question: str, spelt_out: set[str]) -> None:
    assert set(read_question(question).spelt_out) == spelt_out


def test_pages_and_numbered_parts_are_read_off_the_question() -> None:
    reading = read_question("How do Table II and Fig. 3 on page 14 differ from Section 3.3 and unit-8?")
    assert reading.pages == (14,)
    assert reading.labels == ("table ii", "figure 3", "section 3.3", "unit 8")
    assert read_question("Which table stood in the kitchen on the first page of his life?").labels == ()


@settings(deadline=None)
@given(st.text(max_size=300))
def test_a_question_of_any_text_is_read(question: str) -> None:
    reading = read_question(question)
    assert bool(reading.text.strip()) == bool(question.strip())
    queries = queries_of(reading, (), expansions(reading.text), DEFAULT_WEIGHTS)
    assert queries[0].text == reading.text


def test_a_ratio_asks_for_the_line_items_it_is_made_of() -> None:
    (query,) = expansions("What is the quick ratio of Amcor?")
    assert "balance sheet" in query
    assert "total current liabilities" in query
    payable, sold = expansions("What is its DPO?")
    assert "accounts payable" in payable
    assert "cost of sales" in sold


def test_the_longest_term_is_taken_and_plurals_and_case_do_not_matter() -> None:
    assert expansions("its net debt to EBITDA") == expansions("its Net Debt to EBITDAs")
    assert expansions("its net debt to EBITDA") != expansions("its net debt")
    assert expansions("Capital Expenditures") == expansions("capex")


@pytest.mark.parametrize(
    "question", ["Who built the tide mill?", "Why did the fox repay the crow?", "三国演义的作者是谁", ""]
)
def test_other_questions_are_left_as_they_are(question: str) -> None:
    assert expansions(question) == []


def test_expansions_are_switched_off_by_their_weight() -> None:
    reading = read_question("What is the quick ratio?")
    extra = ["current assets"]
    queries = queries_of(reading, extra, expansions(reading.text), replace(DEFAULT_WEIGHTS, expansion=0.0))
    assert [query.text for query in queries] == ["What is the quick ratio?", "current assets"]


def test_a_ratio_finds_the_statement_that_does_not_name_it(index: Index, library: Library) -> None:
    (statement, *_) = index(
        [
            ("Balance sheet", "Total current assets 5,308 5,853\nTotal current liabilities 4,476 5,103"),
            ("Letter to members", "The ratio of members to boats was quick to recover, and the harbour is full."),
            ("Rules", "A member pays dues in June. The keeper of the crane is paid by the hour."),
        ]
    )
    question = "What is the quick ratio?"
    assert search(library, question).passages[0].passage.document_id == statement
    without = replace(DEFAULT_WEIGHTS, expansion=0.0)
    assert search(library, question, weights=without).passages[0].passage.document_id != statement


def test_an_alias_that_a_document_defines_links_to_what_it_stands_for(index: Index, library: Library) -> None:
    index(
        [
            (
                "Tides",
                "The Orrin Tide Mill Society (OTMS) keeps the mill. The Orrin Tide Mill Society meets in June. "
                "The OTMS was founded by Ada Brandt.",
            ),
            ("Bees", "The bee hall has forty hives. Its keeper is Tomas Vell."),
        ]
    )
    linked = [
        ranked.name for ranked in search(library, "When does the OTMS meet?").key_elements if ranked.via == "question"
    ]
    assert linked[:1] == ["orrin tide mill society"]


@pytest.mark.parametrize(
    ("question", "sides"),
    [
        (
            "Which quay is older, North Pier or Tide Mill?",
            ["Which quay is older, North Pier?", "Which quay is older, Tide Mill?"],
        ),
        (
            "Are North Pier and Tide Mill in the same parish?",
            ["Are North Pier in the same parish?", "Are Tide Mill in the same parish?"],
        ),
        ("How did tolls in FY2021 compare to FY2022?", ["How did tolls in FY2021?", "How did tolls in FY2022?"]),
        ("Did tolls rise between 1871 and 1872?", ["Did tolls rise between 1871?", "Did tolls rise between 1872?"]),
        ("Who built North Pier and Tide Mill?", []),
        ("Which of the piers is older?", []),
        ("", []),
    ],
)
def test_a_comparison_is_looked_for_by_its_sides(question: str, sides: list[str]) -> None:
    assert sides_of(question) == sides
    assert [query.text for query in queries_of(read_question(question), (), (), DEFAULT_WEIGHTS)][1:] == sides


@given(st.text(alphabet=st.sampled_from('AB ab.,?"“( andorFY0219'), max_size=60))
def test_a_question_has_two_sides_or_none(question: str) -> None:
    assert len(sides_of(question)) in (0, 2)
