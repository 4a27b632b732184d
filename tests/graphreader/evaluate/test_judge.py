"""The judge: what the two raters make of an answer, when they are asked, and how wrong answers are chosen."""

from __future__ import annotations

from typing import Any

import pytest
from fakes import ScriptedModel
from hypothesis import given, settings
from hypothesis import strategies as st

from graphreader.errors import BadModelOutputError
from graphreader.evaluate.cases import Case
from graphreader.evaluate.judge import Grade, WrongAnswer, false_accept_rate, judge, rate, wrong_answers
from graphreader.llm.gate import Gate

ANSWERS = [
    "Paris",
    "Rome",
    "1991",
    "12 crowns",
    "yes",
    "no",
    "because the wind had dropped before the evening came",
    "Old Seven",
]


def case(number: int, answer: str = "Paris", **others: Any) -> Case:
    return Case(str(number), f"Question {number}?", (answer,), ("d",), **others)


def raters(strict: str, generous: str = "no") -> ScriptedModel:
    """A model that gives the one verdict where it may only say yes or no, the other where it may say more."""
    return ScriptedModel(
        lambda _, schema: {"verdict": strict if len(schema["properties"]["verdict"]["enum"]) == 2 else generous}
    )


@pytest.mark.parametrize(
    ("strict", "generous", "grade", "calls", "lr1", "lr2"),
    [
        ("yes", "no", Grade.RIGHT, 1, 1.0, 1.0),
        ("no", "yes", Grade.RIGHT, 2, 1.0, 1.0),
        ("no", "partially", Grade.PARTLY, 2, 0.0, 1.0),
        ("no", "no", Grade.WRONG, 2, 0.0, 0.0),
    ],
)
async def test_right_where_either_rater_says_yes(
    strict: str, generous: str, grade: Grade, calls: int, lr1: float, lr2: float
) -> None:
    model = raters(strict, generous)
    found = await rate(Gate(model), "Where?", ["Paris", "the French capital"], "in Paris")
    assert (found, found.lr1, found.lr2) == (grade, lr1, lr2)
    assert model.steps() == ["rate"] * calls
    for _, prompt in model.calls:
        assert all(f"<<<{text}>>>" in prompt for text in ("Where?", "Paris", "the French capital", "in Paris"))


async def test_a_verdict_outside_the_schema_is_an_error() -> None:
    with pytest.raises(BadModelOutputError):
        await rate(Gate(raters("partially")), "Where?", ["Paris"], "Rome")


OPTIONS = {"A": "Rome", "B": "Paris"}


@pytest.mark.parametrize(
    ("asked_of", "answer", "answerable", "grade"),
    [
        (Case("1", "Q?", (), ("d",), answerable=False), "", False, Grade.RIGHT),
        (Case("1", "Q?", (), ("d",), answerable=False), "Paris", True, Grade.WRONG),
        (case(1), "", False, Grade.WRONG),
        (case(1), "  ", True, Grade.WRONG),
        (case(1, "B", options=OPTIONS), "(B) Paris", True, Grade.RIGHT),
        (case(1, "B", options=OPTIONS), "A", True, Grade.WRONG),
    ],
)
async def test_the_judge_is_not_asked_what_is_plain(
    asked_of: Case, answer: str, answerable: bool, grade: Grade
) -> None:
    model = raters("yes", "yes")
    assert await judge(Gate(model), asked_of, answer, answerable) is grade
    assert model.calls == []


async def test_the_judge_is_asked_the_rest() -> None:
    assert await judge(Gate(raters("no", "partially")), case(1), "France", True) is Grade.PARTLY


@settings(deadline=None)
@given(st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=20), st.integers(0, 5))
def test_wrong_answers_are_those_of_other_questions(answers: list[str], seed: int) -> None:
    cases = [case(number, answer) for number, answer in enumerate(answers)]
    found = wrong_answers(cases, seed=seed)
    assert found == wrong_answers(cases, seed=seed)
    assert len({item.case.id for item in found}) == len(found)
    for item in found:
        assert item.answer in answers
        assert item.answer not in item.case.answers
    if {"Paris", "Rome"} <= set(answers):
        assert {item.case.answers[0] for item in found} >= {"Paris", "Rome"}


def test_wrong_answers_are_of_the_same_kind() -> None:
    answers = [
        "Paris",
        "Old Seven",
        "1991",
        "12 crowns",
        "yes",
        "no",
        "because it had rained for a whole week",
        "they did what no one had done before",
        "because of the rain, which had not stopped",
    ]
    cases = [case(number, answer, labels={"type": "x"}) for number, answer in enumerate(answers)]
    found = {item.case.answers[0]: item.answer for item in wrong_answers(cases)}
    assert found["Paris"] == "Old Seven"
    assert found["1991"] == "12 crowns"
    assert (found["yes"], found["no"]) == ("no", "yes")
    assert found["because it had rained for a whole week"] == "they did what no one had done before"
    assert len(wrong_answers(cases, limit=3)) == 3


def test_choices_and_unanswerable_questions_are_left_out() -> None:
    cases = [case(1), case(2, "B", options=OPTIONS), Case("3", "Q?", (), ("d",), answerable=False)]
    assert wrong_answers(cases) == []


async def test_the_rate_of_false_accepts() -> None:
    wrong = [WrongAnswer(case(number), answer) for number, answer in enumerate(["Rome", "Oslo", "Bonn", "Kiel"])]

    def script(prompt: str, schema: dict[str, Any]) -> Any:
        if "<<<Kiel>>>" in prompt:
            return "not JSON"
        strict = len(schema["properties"]["verdict"]["enum"]) == 2
        accepts = "<<<Rome>>>" in prompt if strict else "<<<Oslo>>>" in prompt
        return {"verdict": ("yes" if strict else "partially") if accepts else "no"}

    found = await false_accept_rate(Gate(ScriptedModel(script)), wrong, concurrency=2)
    assert (found.lr1.n, found.lr1.mean, found.lr2.mean, found.failed) == (
        3,
        pytest.approx(1 / 3),
        pytest.approx(2 / 3),
        1,
    )
    assert [(item.answer, item.grade) for item in found.accepted] == [("Rome", Grade.RIGHT), ("Oslo", Grade.PARTLY)]


async def test_no_more_verdicts_at_once_than_asked_for() -> None:
    model = raters("no")
    await false_accept_rate(Gate(model), [WrongAnswer(case(number), "Rome") for number in range(20)], concurrency=3)
    assert model.most_at_once == 3


async def test_a_judge_that_never_answers_is_an_error() -> None:
    with pytest.raises(BadModelOutputError):
        await false_accept_rate(Gate(ScriptedModel(lambda *_: "?")), [WrongAnswer(case(1), "Rome")])
    with pytest.raises(ValueError, match="No answer"):
        await false_accept_rate(Gate(raters("yes")), [])
