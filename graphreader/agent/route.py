"""Mode ``auto``: how much machinery a question deserves. Rules over numbers; no model is called.

The rules in their order:

1. A question about the whole text (a summary, "list all", "how many times") needs the whole text: ``full`` where that
   fits and can be afforded, else ``graph``.
2. A document whose prefix the server has just computed is asked whole again: only question and reply cost anything.
3. A small document is read whole: it costs little more than the excerpts of ``search`` would, and misses nothing.
4. A question of several steps goes to ``graph`` where that can be afforded. Its words tell (two things compared, a
   relative clause), or search does: no passage holds two fifths of the question's words. Where one passage holds nearly
   all of them there is but one step, whatever the words.
5. Everything else, most questions, is answered by ``search`` in one call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from graphreader.records import Mode
from graphreader.search.compare import sides_of

_WHOLE = re.compile(
    r"\b(?:summar(?:y|i[sz]e\w*)|overview|outline|enumerate|in total|how often|"
    r"throughout the (?:document|paper|book|report|story|text|article)|"
    r"main (?:themes?|points?|ideas?|findings?)|how many (?:times|different)|"
    r"(?:list|name|find|give|which are) (?:all|every|each)|"
    r"(?:document|paper|book|report|story|text|article) (?:is )?about)\b"
    r"|总结|概括|概述|全文|列出|列举|一共|总共|多少次",
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
#: The share of a question's words in one passage: from here on that passage answers it, and below, none does alone.
#: Of MuSiQue's questions without telling words 22% lie below the second, of CMRC 2018's 2%, of FairytaleQA's none.
_ONE_PASSAGE = 0.9
_NO_PASSAGE = 0.4
#: An exploration that is cut short still answers, from what was noted by then; one cut before half of its way is not
#: worth beginning.
_WORTH_BEGINNING = 0.5


class Shape(StrEnum):
    """What a question asks for: one place of the text, several that build on each other, or all of it."""

    SINGLE = "single"
    STEPS = "steps"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Situation:
    """What the choice rests on beside the question.

    ``document_tokens`` are those of the chosen documents, or more than the window where counting stopped.
    ``best_coverage`` is the share of the question's words in the passage that holds most of them. What reading 1,000
    tokens of prompt and what an exploration takes is told by earlier answers of the endpoint, None where there are
    none; so are the ends of a budget that has none.
    """

    document_tokens: int
    window_tokens: int
    is_cached: bool
    max_whole_tokens: int
    best_coverage: float | None = None
    seconds_per_1000_tokens: float | None = None
    graph_seconds: float | None = None
    graph_tokens: float | None = None
    max_tokens: int | None = None
    max_seconds: float | None = None

    @property
    def whole_seconds(self) -> float | None:
        """How long reading it whole takes, as far as can be told."""
        if self.is_cached:
            return 0.0
        if self.seconds_per_1000_tokens is None:
            return None
        return self.document_tokens / 1000 * self.seconds_per_1000_tokens

    @property
    def against_whole(self) -> str:
        """Why it cannot be read whole; empty where it can. Cached tokens count as tokens, not as seconds."""
        seconds = self.whole_seconds
        if self.document_tokens + _AROUND_TOKENS > self.window_tokens:
            return "is too long for the window"
        if self.max_tokens is not None and self.document_tokens + _AROUND_TOKENS > self.max_tokens:
            return "has more tokens than the budget allows"
        if self.max_seconds is None or (self.is_short and seconds is None):
            return ""
        if seconds is None:
            return "is long, and no answer has told yet how fast this endpoint reads"
        return "takes longer to read than the budget allows" if seconds > self.max_seconds else ""

    @property
    def is_short(self) -> bool:
        """Whether it is read whole whatever is asked."""
        return self.document_tokens <= self.max_whole_tokens

    @property
    def can_afford_graph(self) -> bool:
        """Whether the budget allows an exploration enough of its usual length."""
        return (
            self.max_seconds is None
            or self.graph_seconds is None
            or _WORTH_BEGINNING * self.graph_seconds <= self.max_seconds
        ) and (
            self.max_tokens is None
            or self.graph_tokens is None
            or _WORTH_BEGINNING * self.graph_tokens <= self.max_tokens
        )


@dataclass(frozen=True, slots=True)
class Route:
    """The mode that was chosen, why, and the numbers that were looked at."""

    mode: Mode
    reason: str
    considered: Mapping[str, Any]


def choose_mode(question: str, situation: Situation) -> Route:
    """The mode for a question by the rules of this module."""
    shape = shape_of(question, situation.best_coverage)
    mode, reason = _choice(shape, situation)
    return Route(mode, reason, {"shape": shape.value, **asdict(situation)})


def shape_of(question: str, best_coverage: float | None = None) -> Shape:
    """What a question asks for, told by its words and by how many of them the best passage holds."""
    if _WHOLE.search(question):
        return Shape.WHOLE
    if best_coverage is not None and best_coverage >= _ONE_PASSAGE:
        return Shape.SINGLE
    if sides_of(question) or _CLAUSE.search(question) or _COMPARED.search(question):
        return Shape.STEPS
    # A passage with none of the words was found by their meaning, or is in another language: then words tell nothing.
    return Shape.STEPS if best_coverage and best_coverage < _NO_PASSAGE else Shape.SINGLE


def _choice(shape: Shape, situation: Situation) -> tuple[Mode, str]:
    against = situation.against_whole
    if not against and shape is Shape.WHOLE:
        return Mode.FULL, "the question is about the whole text, which can be read"
    if not against and situation.is_cached:
        return Mode.FULL, "the whole text was sent a short while ago and is cached"
    if not against and situation.is_short:
        return Mode.FULL, "the text is short"
    if shape is Shape.SINGLE:
        return Mode.SEARCH, "the question asks for one place"
    if not situation.can_afford_graph:
        return Mode.SEARCH, "an exploration costs more than the budget allows"
    if shape is Shape.WHOLE:
        return Mode.GRAPH, f"the question is about the whole text, which {against}"
    return Mode.GRAPH, "the question takes several steps"
