"""The last step: from the gathered evidence to an answer whose every citation was found in the source."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from graphreader.agent.evidence import Excerpt, cite, grouped, one_line, share, support
from graphreader.agent.schemas import AnswerReply, answer_schema
from graphreader.llm.gate import Gate
from graphreader.records import Chunk, Citation, Document
from prompts import Prompt, render

NOT_SAID = "The documents do not say."

#: Below this share of its own words an answer does not count as stated by an excerpt.
_STATED = 0.5
MAX_REPLY_TOKENS = 128
_MAX_CUT_ANSWER_CHARACTERS = 120
_CUT_REPLY = re.compile(
    r'\s*\{\s*"excerpts":\s*(?P<excerpts>\[[\d,\s]*\]),\s*"answerable":\s*"(?P<answerable>yes|no)",\s*"answer":\s*"(?P<answer>[^"\\]*)'
)
_MAX_CITATIONS = 4
#: A quote must be worth this part of the best one; words of the question count half of the answer's.
_LEAST_WORTH = 0.5
_QUESTION_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What the evidence comes to. ``probability``: of the model's "yes, the excerpts state it", where it is known."""

    answer: str
    answerable: bool
    citations: tuple[Citation, ...]
    warnings: tuple[str, ...] = ()
    probability: float | None = None


async def conclude(
    gate: Gate,
    question: str,
    excerpts: Sequence[Excerpt],
    documents: Mapping[str, Document],
    chunks: Mapping[str, Chunk],
) -> Conclusion:
    """Answer from ``excerpts`` alone, best first, as many as the window holds; the documents do not say where there are
    none, where the model says so, and where it is not sure enough that they do. Raises what ``Gate.ask`` raises.
    """
    if not excerpts:
        return Conclusion(NOT_SAID, False, ())
    prompt, numbered = _within_window(gate, question, excerpts, documents, chunks)
    schema = answer_schema(len(numbered))
    reply, weights = await gate.ask_weighed(
        prompt, AnswerReply, schema, MAX_REPLY_TOKENS, weigh="answerable", salvage=_salvage
    )
    answer = " ".join(reply.answer.split())
    probability = weights.get("yes")
    if reply.answerable == "no" or not answer:
        return Conclusion(NOT_SAID, False, (), probability=probability)
    if weights.get("yes", 1.0) < gate.least_probable:
        guess = f"The model's guess, of which it was not sure enough: {answer}"
        return Conclusion(NOT_SAID, False, (), (guess,), probability)
    named = [numbered[number - 1] for number in dict.fromkeys(reply.excerpts) if 1 <= number <= len(numbered)]
    return replace(with_citations(answer, question, named, numbered, documents), probability=probability)


def with_citations(
    answer: str,
    question: str,
    named: Sequence[Excerpt],
    offered: Sequence[Excerpt],
    documents: Mapping[str, Document],
) -> Conclusion:
    """An answer with quotes of the excerpts that were ``named`` for it, and of the one of those ``offered`` that states
    it best; at least one is offered.
    """
    citations = _citations(answer, question, named, offered, documents)
    stated = max((support(answer, question, citation.quote) for citation in citations), default=0.0)
    warnings = () if stated >= _STATED else ("No quote states this answer word for word: check it against the source.",)
    return Conclusion(answer, True, citations, warnings)


def told(conclusion: Conclusion, excerpts: Sequence[Excerpt]) -> dict[str, Any]:
    """What a trace tells of the last step: its outcome, and what it was shown."""
    evidence = [[item.document_id, item.start, item.end, item.votes] for item in excerpts]
    return {"answer": conclusion.answer, "probability": conclusion.probability, "evidence": evidence}


def _within_window(
    gate: Gate,
    question: str,
    excerpts: Sequence[Excerpt],
    documents: Mapping[str, Document],
    chunks: Mapping[str, Chunk],
) -> tuple[Prompt, list[Excerpt]]:
    for kept in range(len(excerpts), 0, -1):
        prompt, numbered = answer_prompt(question, excerpts[:kept], documents, chunks)
        if gate.count(prompt) + MAX_REPLY_TOKENS <= gate.window_tokens:
            break
    return prompt, numbered


def answer_prompt(
    question: str, excerpts: Sequence[Excerpt], documents: Mapping[str, Document], chunks: Mapping[str, Chunk]
) -> tuple[Prompt, list[Excerpt]]:
    """The prompt that ``conclude`` sends, and the excerpts in the order of their numbers.

    Nothing before the question depends on it: prompts on the same excerpts share all that the server has cached.
    """
    groups, numbered = grouped(excerpts, documents, chunks)
    return render("answer", groups=groups, question=question), numbered


def _salvage(text: str) -> AnswerReply | None:
    """A reply that ran in circles in its last field: that field's beginning, cut at a word."""
    found = _CUT_REPLY.match(text)
    if found is None:
        return None
    beginning = found["answer"][:_MAX_CUT_ANSWER_CHARACTERS].rpartition(" ")[0]
    fields = {"excerpts": json.loads(found["excerpts"]), "answerable": found["answerable"], "answer": beginning}
    return AnswerReply.model_validate(fields)


def _citations(
    answer: str,
    question: str,
    named: Sequence[Excerpt],
    offered: Sequence[Excerpt],
    documents: Mapping[str, Document],
) -> tuple[Citation, ...]:
    """Quotes of the excerpts the model named, and of the one that states the answer best should it have missed that.

    Best first; those that say little of answer and question beside the best are left out: small models name too many.
    """

    def stated(excerpt: Excerpt) -> float:
        return support(answer, question, one_line(documents[excerpt.document_id], excerpt.start, excerpt.end))

    best = max(offered, key=lambda item: (stated(item), item.votes, item.score))
    chosen = list(dict.fromkeys([*named, best]))
    found = (cite(excerpt, answer, question, documents[excerpt.document_id]) for excerpt in chosen)
    quotes = [citation for citation in found if citation is not None]
    worth = {
        quote: support(answer, question, quote.quote) + _QUESTION_WEIGHT * share(question, quote.quote)
        for quote in quotes
    }
    least = _LEAST_WORTH * max(worth.values(), default=0.0)
    kept = [quote for quote in quotes if worth[quote] >= least]
    return tuple(sorted(kept, key=lambda quote: -worth[quote])[:_MAX_CITATIONS])
