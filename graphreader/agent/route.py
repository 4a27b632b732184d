"""Mode ``auto``: how much machinery a question deserves. Rules over numbers; no model is called.

The rules in their order, each with what it rests on:

1. A question about the whole text (a summary, "list all", "how many times") needs the whole text: ``full`` where that
   fits and can be afforded, else ``graph``.
2. A document whose prefix the server has just computed is asked whole again: only question and reply cost anything.
3. A small document is read whole: it costs little more than the excerpts of ``search`` would, and misses nothing.
4. A question of several steps (two things compared, a relative clause) goes to ``graph`` where that can be afforded.
5. Everything else, most questions, is answered by ``search`` in one call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from graphreader.records import Mode
from graphreader.search.compare import sides_of

_WHOLE = re.compile(
    r"\b(?:summar(?:y|i[sz]e\w*)|overview|outline|overall|throughout|enumerate|in total|how often|"
    r"main (?:themes?|points?|ideas?|findings?)|how many (?:times|different)|"
    r"(?:list|name|find|give|which are) (?:all|every|each)|"
    r"(?:document|paper|book|report|story|text|article) (?:is )?about)\b|总结|概括|概述|全文|所有|一共|多少次",
    re.IGNORECASE,
)
#: "the keeper who saved", "a town where": what the clause tells must be found before what is asked.
_CLAUSE = re.compile(
    r"\b(?:the|an?|that|those|whose) (?:[\w'’-]+ ){1,4}?(?:who|whom|whose|which|that|where|when|in which|for which)\b"
    r"|\b(?:of|by|for|from|in|to) the [\w'’-]+ (?:of|by|who|whose|that|where) ",
    re.IGNORECASE,
)
#: Instructions, question and reply, beside the documents.
_AROUND_TOKENS = 512
_COMPARED = re.compile(r"比较|相比|区别|不同之处")


class Shape(StrEnum):
    """What a question asks for: one place of the text, several that build on each other, or all of it."""

    SINGLE = "single"
    STEPS = "steps"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Situation:
    """What the choice rests on beside the question.

    ``document_tokens`` are those of the chosen documents, or more than the window where counting stopped.
    ``seconds_per_1000_tokens`` (of prompt that was not cached) and ``graph_seconds`` are means of earlier answers of
    the same model here, None where there are none. The budget's ends are None where it has none.
    """

    document_tokens: int
    window_tokens: int
    is_cached: bool
    max_whole_tokens: int
    seconds_per_1000_tokens: float | None = None
    graph_seconds: float | None = None
    max_tokens: int | None = None
    max_seconds: float | None = None

    @property
    def fits(self) -> bool:
        """Whether the documents fit the window as a whole."""
        return self.document_tokens + _AROUND_TOKENS <= self.window_tokens

    @property
    def whole_seconds(self) -> float | None:
        """How long reading it whole takes, as far as can be told."""
        if self.is_cached:
            return 0.0
        if self.seconds_per_1000_tokens is None:
            return None
        return self.document_tokens / 1000 * self.seconds_per_1000_tokens

    @property
    def can_afford_whole(self) -> bool:
        """Within both ends of the budget; cached tokens count as tokens. What cannot be told does not forbid."""
        seconds = self.whole_seconds
        return (self.max_tokens is None or self.document_tokens <= self.max_tokens) and (
            self.max_seconds is None or seconds is None or seconds <= self.max_seconds
        )

    @property
    def can_afford_graph(self) -> bool:
        """Whether an exploration of the usual length ends within the seconds of the budget."""
        return self.max_seconds is None or self.graph_seconds is None or self.graph_seconds <= self.max_seconds


@dataclass(frozen=True, slots=True)
class Route:
    """The mode that was chosen, why, and the numbers that were looked at."""

    mode: Mode
    reason: str
    considered: Mapping[str, Any]


def choose_mode(question: str, situation: Situation) -> Route:
    """The mode for a question by the rules of this module."""
    shape = shape_of(question)
    mode, reason = _choice(shape, situation)
    return Route(mode, reason, {"shape": shape.value, **asdict(situation)})


def shape_of(question: str) -> Shape:
    """What a question asks for, told by its words."""
    if _WHOLE.search(question):
        return Shape.WHOLE
    if sides_of(question) or _CLAUSE.search(question) or _COMPARED.search(question):
        return Shape.STEPS
    return Shape.SINGLE


def _choice(shape: Shape, situation: Situation) -> tuple[Mode, str]:
    whole = situation.fits and situation.can_afford_whole
    if whole and shape is Shape.WHOLE:
        return Mode.FULL, "the question is about the whole text, which fits"
    if whole and situation.is_cached:
        return Mode.FULL, "the whole text was sent a short while ago and is cached"
    if whole and situation.document_tokens <= situation.max_whole_tokens:
        return Mode.FULL, "the text is short"
    if shape is not Shape.SINGLE and situation.can_afford_graph:
        too_long = "the question is about the whole text, which is too long"
        return Mode.GRAPH, too_long if shape is Shape.WHOLE else "the question takes several steps"
    if shape is not Shape.SINGLE:
        return Mode.SEARCH, "an exploration would take longer than the budget allows"
    return Mode.SEARCH, "the question asks for one place"


def pace_of(answers: Sequence[Mapping[str, Any]], model: str) -> tuple[float | None, float | None]:
    """Seconds per 1,000 uncached prompt tokens, and seconds of an exploration, from recorded answers of ``model``.

    Replies are part of the seconds, so the first number is what reading costs at most.
    """
    own = [answer for answer in answers if answer.get("model") == model and answer["usage"]["llm_calls"]]
    tokens = sum(answer["usage"]["prompt_tokens"] - answer["usage"]["cached_tokens"] for answer in own)
    seconds = sum(answer["usage"]["seconds"] for answer in own)
    explored = [answer["usage"]["seconds"] for answer in own if answer["mode"] == Mode.GRAPH]
    return (
        1000 * seconds / tokens if tokens > 0 else None,
        sum(explored) / len(explored) if explored else None,
    )
