"""The modes that a harness can ask in: the reader's own, and the baselines that every claim needs, on the same model.

All but ``closed-book`` and ``memory`` answer by the reader's own last step and prompt, so they differ in nothing but
the evidence.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from graphreader.agent.answer import Conclusion
from graphreader.answering import answer_question
from graphreader.errors import GraphReaderError
from graphreader.evaluate import baselines, last_tokens, names, remembering
from graphreader.evaluate.asking import Asking, Outcome
from graphreader.evaluate.scoring import STAGES
from graphreader.records import Mode

_SHOWN = ("retrieved", "read", "cited")
#: Answers one question.
Answerer = Callable[[Asking], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class EvaluatedMode:
    """A mode: how it answers, what it is in a few words, whether it needs documents, gold evidence or an embedder.

    ``stages`` are those that evidence passes through in it whatever comes of the question.
    """

    name: str
    meaning: str
    answer: Answerer
    needs_documents: bool = True
    needs_gold: bool = False
    needs_embedder: bool = False
    stages: tuple[str, ...] = _SHOWN


def _own(mode: Mode) -> Answerer:
    async def answer(asking: Asking) -> Outcome:
        found, _ = await answer_question(
            asking.library,
            asking.model,
            asking.embedder,
            asking.question,
            asking.document_ids,
            mode,
            asking.settings,
            asking.on_step,
            asking.reranker,
        )
        conclusion = Conclusion(found.answer, found.answerable, found.citations, found.warnings)
        return Outcome(conclusion, found.usage, found.trace, found.stopped_by.value)

    return answer


_OWN_MEANINGS: Mapping[str, str] = {
    "graph": "explorers on the graph, begun at what search finds",
    "search": "one call on what search finds",
    "full": "the whole documents in the window",
    "auto": "whichever of the reader's modes it chooses itself",
}
_BASELINES = (
    EvaluatedMode("closed-book", "no documents", baselines.closed_book, needs_documents=False, stages=()),
    EvaluatedMode("bm25", "best passages by BM25", baselines.bm25),
    EvaluatedMode("dense", "best passages by vectors", baselines.dense, needs_embedder=True),
    EvaluatedMode("hybrid", "best passages by BM25 and vectors", baselines.hybrid, needs_embedder=True),
    EvaluatedMode("gold", "the gold evidence and nothing else", baselines.gold, needs_gold=True),
    EvaluatedMode("last-tokens", "the end of the documents, as much as a small window holds", last_tokens.last_tokens),
    EvaluatedMode(
        "memory", "an agent in that window that was fed the documents and searches its memory", remembering.memory
    ),
    EvaluatedMode(
        "memory-found", "what that agent's searches showed, by the reader's own last step", remembering.memory_found
    ),
    EvaluatedMode(
        "paper", "explorers begun at names alike the question's, nothing of search", names.paper, stages=STAGES
    ),
    EvaluatedMode(
        "graph-names", "as graph, but begun at names; search's passages stay", names.begun_at_names, stages=STAGES
    ),
    EvaluatedMode(
        "graph-alone", "as graph, without search's passages in the answer", names.without_passages, stages=STAGES
    ),
)
#: Every mode by its name.
MODES: Mapping[str, EvaluatedMode] = {
    **{
        mode.value: EvaluatedMode(
            mode.value,
            _OWN_MEANINGS.get(mode.value, "a mode of the reader"),
            _own(mode),
            stages=STAGES if mode is Mode.GRAPH else _SHOWN,
        )
        for mode in Mode
    },
    **{mode.name: mode for mode in _BASELINES},
}


def modes_of(names_given: Sequence[str]) -> list[EvaluatedMode]:
    """The modes of these names, each once. Raises ``GraphReaderError`` for an unknown one."""
    unknown = [name for name in names_given if name not in MODES]
    if unknown or not names_given:
        listed = ", ".join(MODES)
        raise GraphReaderError(f"There is no mode {', '.join(unknown) or 'given'}: name some of {listed}.")
    return [MODES[name] for name in dict.fromkeys(names_given)]
