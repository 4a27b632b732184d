"""A model as judge of answers: the two raters LR-1 and LR-2, and how often they accept what is wrong.

The raters are those of GraphReader (arXiv 2406.14550), which took the rule from ReadAgent (arXiv 2402.09727): a strict
rater says yes or no, a generous one yes, partially or no. An answer is right where either says yes, and right in part
where the generous one says partially. LR-1 is the share of right answers, LR-2 of those right at least in part. A judge
is only as good as what it refuses, so its rate on answers that are certainly wrong belongs beside every such score.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel

from graphreader.errors import ModelError
from graphreader.evaluate.cases import Case, asked
from graphreader.evaluate.metrics.answers import score_answer, tokens
from graphreader.evaluate.metrics.statistics import Interval, bootstrap_interval
from graphreader.llm.gate import Gate
from graphreader.text.terms import terms
from prompts import render

#: A verdict is a dozen tokens of JSON, in any tokenizer.
_MAX_VERDICT_TOKENS = 32
_SHORT_ANSWER_WORDS = 5
_YES_NO = frozenset(("yes", "no", "true", "false", "是", "否"))


class Grade(StrEnum):
    """What both raters together make of an answer."""

    RIGHT = "right"
    PARTLY = "partly"
    WRONG = "wrong"

    @property
    def lr1(self) -> float:
        """1 where the answer is right, else 0."""
        return float(self is Grade.RIGHT)

    @property
    def lr2(self) -> float:
        """1 where the answer is right at least in part, else 0."""
        return float(self is not Grade.WRONG)


@dataclass(frozen=True, slots=True)
class WrongAnswer:
    """An answer to another question of the dataset, given to this one."""

    case: Case
    answer: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """A wrong answer that the judge took for right, at least in part."""

    id: str
    answer: str
    grade: Grade


@dataclass(frozen=True, slots=True)
class FalseAccepts:
    """How often a judge accepts wrong answers, by either score; ``failed`` verdicts never came."""

    lr1: Interval
    lr2: Interval
    accepted: tuple[Accepted, ...]
    failed: int


class _Strict(BaseModel):
    verdict: Literal["yes", "no"]


class _Generous(BaseModel):
    verdict: Literal["yes", "partially", "no"]


async def rate(gate: Gate, question: str, references: Sequence[str], answer: str) -> Grade:
    """What the two raters make of an answer; the second is only asked where the first refuses.

    Raises what ``Gate.ask`` raises.
    """
    texts: dict[str, object] = {"question": question, "references": list(references), "answer": answer}
    strict = await gate.ask(render("rate_lr1", **texts), _Strict, _schema("yes", "no"), _MAX_VERDICT_TOKENS)
    if strict.verdict == "yes":
        return Grade.RIGHT
    schema = _schema("yes", "partially", "no")
    generous = await gate.ask(render("rate_lr2", **texts), _Generous, schema, _MAX_VERDICT_TOKENS)
    return {"yes": Grade.RIGHT, "partially": Grade.PARTLY, "no": Grade.WRONG}[generous.verdict]


async def judge(gate: Gate, case: Case, answer: str, answerable: bool, language: str = "en") -> Grade:
    """The grade of an answer to a case; without a call where no judgement is needed.

    A question without an answer is right where the reader says so; no answer to one that has some is wrong; a choice is
    right by its letter. Raises what ``Gate.ask`` raises.
    """
    if not case.answerable or not answerable or not answer.strip():
        return Grade.RIGHT if not case.answerable and not answerable else Grade.WRONG
    if case.options:
        return Grade.RIGHT if score_answer(case, answer, answerable, language)["choice"] else Grade.WRONG
    return await rate(gate, asked(case), case.answers, answer)


def wrong_answers(
    cases: Sequence[Case], *, language: str = "en", limit: int | None = None, seed: int = 0
) -> list[WrongAnswer]:
    """For each question the answer of another one, of the same form and certainly wrong.

    The form is yes or no, something with a number, a few words, or a longer text; answers to questions of the same type
    come first. Certainly wrong is what has no word of meaning in common with any gold answer. Left out are questions
    without an answer, choices, and those for which no other question has such an answer.
    """
    judged = [case for case in cases if case.answerable and not case.options]
    drawn = random.Random(seed).sample(judged, len(judged))
    same_type: dict[tuple[str, ...], list[Case]] = {}
    same_form: dict[tuple[str, ...], list[Case]] = {}
    for case in drawn:
        form = _form(case.answers[0], language)
        same_type.setdefault((form, case.labels.get("type", "")), []).append(case)
        same_form.setdefault((form,), []).append(case)
    found: list[WrongAnswer] = []
    for case in drawn[:limit] if limit is not None else drawn:
        form = _form(case.answers[0], language)
        alike = (same_type[form, case.labels.get("type", "")], same_form[form,])
        others = (other.answers[0] for group in alike for other in _after(case, group))
        answer = next((other for other in others if _is_wrong(other, case, language)), None)
        if answer is not None:
            found.append(WrongAnswer(case, answer))
    return found


async def false_accept_rate(
    gate: Gate, wrong: Sequence[WrongAnswer], *, concurrency: int = 8, seed: int = 0
) -> FalseAccepts:
    """How often the judge accepts answers that are wrong. Raises the first error where no verdict came at all, and
    ``ValueError`` where there is no answer to judge.
    """
    slots = asyncio.Semaphore(concurrency)

    async def graded(item: WrongAnswer) -> Grade | ModelError:
        async with slots:
            try:
                return await rate(gate, asked(item.case), item.case.answers, item.answer)
            except ModelError as error:
                return error

    verdicts = await asyncio.gather(*(graded(item) for item in wrong))
    grades = [(item, grade) for item, grade in zip(wrong, verdicts, strict=True) if isinstance(grade, Grade)]
    if not grades:
        raise next((error for error in verdicts if isinstance(error, ModelError)), ValueError("No answer to judge."))
    return FalseAccepts(
        bootstrap_interval([grade.lr1 for _, grade in grades], seed=seed),
        bootstrap_interval([grade.lr2 for _, grade in grades], seed=seed),
        tuple(Accepted(item.case.id, item.answer, grade) for item, grade in grades if grade is not Grade.WRONG),
        len(wrong) - len(grades),
    )


def _after(case: Case, group: Sequence[Case]) -> Iterator[Case]:
    """The others of a group, from the one after ``case`` round to the one before."""
    place = group.index(case)
    yield from group[place + 1 :]
    yield from group[:place]


def _is_wrong(answer: str, case: Case, language: str) -> bool:
    given = _meaning(answer, language)
    return bool(given) and all(given.isdisjoint(_meaning(gold, language)) for gold in case.answers)


def _meaning(text: str, language: str) -> frozenset[str]:
    """The stems of the words that carry a text's meaning; all its words, where none does ("no")."""
    return frozenset(terms(text)) or frozenset(tokens(text, language))


def _form(answer: str, language: str) -> str:
    words = tokens(answer, language)
    if len(words) == 1 and words[0] in _YES_NO:
        return "yes or no"
    if re.search(r"\d", answer) and len(words) <= _SHORT_ANSWER_WORDS:
        return "number"
    return "short" if len(words) <= _SHORT_ANSWER_WORDS else "long"


def _schema(*verdicts: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"verdict": {"type": "string", "enum": list(verdicts)}},
        "required": ["verdict"],
        "additionalProperties": False,
    }
