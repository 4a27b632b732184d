"""What a message of the user comes to, sentence by sentence: what it asks, what it tells.

Small models choose badly among functions, but sort a sentence well. They are shown the user's words alone, so that no
document has a say in what is noted about the user.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel

from graphreader.errors import BadModelOutputError
from graphreader.llm.gate import Gate
from graphreader.text.sentences import sentence_spans
from graphreader.text.terms import terms
from prompts import render

#: Of a longer message the last sentences are sorted: what it asks mostly stands at its end.
_MAX_SENTENCES = 8
#: How probable it must be that a question is about the conversation rather than for the documents. With the packaged
#: model, most about the conversation came out above 0.9, others at up to 0.75; what the documents do not say is looked
#: for in the conversation after all.
_LEAST_CONVERSATION = 0.85
_QUESTION_MARKS = ("?", "？", "؟")
#: Enough of a sentence to tell its kind: one may be a page that was pasted.
_MAX_SENTENCE_CHARACTERS = 600
_MAX_EXCHANGES = 3
_MAX_EXCHANGE_CHARACTERS = 300


class Kind(StrEnum):
    """What a sentence of the user is."""

    DOCUMENTS = "documents"
    CONVERSATION = "conversation"
    ABOUT_USER = "about_user"
    WISH = "wish"
    TALK = "talk"


_OF_QUESTIONS = (Kind.DOCUMENTS, Kind.CONVERSATION)
_OF_OTHERS = (Kind.DOCUMENTS, Kind.ABOUT_USER, Kind.WISH, Kind.TALK)


class _Sorted(BaseModel):
    kind: str


class _Rewritten(BaseModel):
    question: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """A message and its reply."""

    user: str
    assistant: str


async def sort_message(gate: Gate, message: str) -> list[tuple[str, Kind]]:
    """Each sentence with its kind. Raises what ``Gate.ask`` raises."""
    sentences = [message[start:end].strip() for start, end in sentence_spans(message)]
    return [(one, await _kind_of(gate, one)) for one in sentences[-_MAX_SENTENCES:] if one]


async def _kind_of(gate: Gate, sentence: str) -> Kind:
    kinds = _OF_QUESTIONS if sentence.endswith(_QUESTION_MARKS) else _OF_OTHERS
    prompt = render("sort_sentence", sentence=_cut(sentence, _MAX_SENTENCE_CHARACTERS))
    reply, weights = await gate.ask_weighed(prompt, _Sorted, _schema("kind", kinds), 24, weigh="kind")
    kind = Kind(reply.kind) if reply.kind in kinds else Kind.DOCUMENTS
    if kind is Kind.CONVERSATION and weights.get(kind, 1.0) < _LEAST_CONVERSATION:
        return Kind.DOCUMENTS
    return kind


async def self_contained(gate: Gate, question: str, exchanges: Sequence[Exchange]) -> str:
    """The question with what the conversation tells in place of "he" and "there".

    A rewriting counts only if it has all words of the question and adds none but the conversation's.
    """
    shown = [{"user": _cut(one.user), "assistant": _cut(one.assistant)} for one in exchanges[-_MAX_EXCHANGES:]]
    if not shown:
        return question
    try:
        reply = await gate.ask(
            render("rewrite_question", exchanges=shown, question=question), _Rewritten, _schema("question"), 128
        )
    except BadModelOutputError:
        return question
    rewritten = " ".join(reply.question.split())
    asked, said = set(terms(question)), set(terms(" ".join(text for one in shown for text in one.values())))
    new = set(terms(rewritten))
    return rewritten if new > asked and new - asked <= said else question


def _cut(text: str, most: int = _MAX_EXCHANGE_CHARACTERS) -> str:
    return " ".join(text.split())[:most]


def _schema(field: str, choices: Sequence[str] = ()) -> dict[str, object]:
    value = {"type": "string", **({"enum": [str(one) for one in choices]} if choices else {})}
    return {"type": "object", "properties": {field: value}, "required": [field], "additionalProperties": False}
