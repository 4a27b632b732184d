"""Mode ``memory``: an agent inside a small window that was fed the documents, and answers with memory's functions.

A conversation, whose parts carry times, is fed turn by turn as messages, so that most of it scrolls out of the window
into recall storage; of other documents each part is an entry of archival storage, as in the nested key-value task of
MemGPT (arXiv 2310.08560). Both carry the document's title as their source: they are quotations of others, not what the
user says, and there are only reading functions, so that nothing in them can write to memory. Of a conversation the
question itself is looked up first, since a small model asks for words that were never said. Each question is asked of
the same state and leaves nothing behind.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from graphreader.agent.answer import NOT_SAID, Conclusion, conclude, told, with_citations
from graphreader.agent.evidence import Excerpt, fitting
from graphreader.answering import Documents
from graphreader.evaluate.asking import Asking, Outcome
from graphreader.evaluate.cases import Part
from graphreader.llm.measured import search_tokens
from graphreader.llm.memory_embedder import MemoryEmbedder
from graphreader.llm.memory_model import MemoryModel
from graphreader.llm.summarise import summariser
from graphreader.records import Chunk, StoppedBy, TraceStep, Usage
from graphreader.search.seed import reads
from memory import events
from memory.agent import Agent
from memory.functions import Arguments, Call, Function, Parameter, Result
from memory.loop import Limits, Stop, consider, observe
from memory.memory_functions import SEND_MESSAGE
from memory.queue import QueueLimits
from memory.records import Item, Kind
from memory.session import Session
from prompts import Prompt, render

#: An answer is short; so is a call, but an identifier has many tokens.
_REPLY_TOKENS = 160
_MAX_CALLS = 12
_MAX_SUMMARY_TOKENS = 200
#: What of the window an agent that was fed leaves to what a question looks up.
_ROOM_SHARE = 0.45
_CONVERSATION = frozenset({"recall_search", "recall_search_date"})
_ENTRIES = frozenset({"archival_search"})
_PARAGRAPH = re.compile(r"\S(?:[^\n]|\n(?=[^\n]))*")
#: Documents have no time of their own; the same one always, so that the same question is the same request.
_NO_TIME = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Piece:
    """What becomes a message or an entry. Its number in memory is its place among all pieces, from 1."""

    document_id: str
    title: str
    part: Part
    text: str


async def memory(asking: Asking) -> Outcome:
    """The agent's own answer. The documents are fed first, if that was not done before."""
    return (await _remembered(asking))[0]


async def memory_found(asking: Asking) -> Outcome:
    """What the agent's searches showed, answered from by the reader's own last step: as mode ``search`` with the
    agent in place of the search. The agent's calls are those of mode ``memory``, so a run of both pays them once.
    """
    outcome, hits = await _remembered(asking)
    gate = asking.gate()
    documents = Documents(asking.library, asking.document_ids)
    most = search_tokens(asking.settings.search, asking.model.name)
    shown = fitting(hits, documents, asking.model.count_tokens, most)
    chunks = [chunk for document_id in asking.document_ids for chunk in asking.library.chunks(document_id)]
    placed = [replace(item, chunk_id=_home(item, chunks)) for item in shown]
    conclusion = await conclude(gate, asking.question, placed, documents, {chunk.id: chunk for chunk in chunks})
    found = [[item.document_id, item.start, item.end] for item in hits]
    steps = [
        *(TraceStep(step.actor, step.action, {"call": step.detail["call"]}) for step in outcome.trace[1:-1]),
        TraceStep("memory", "found", {"found": found, "reply": outcome.conclusion.answer}),
        TraceStep("answer", "answer", told(conclusion, placed)),
    ]
    return Outcome(conclusion, outcome.usage + gate.usage, steps, outcome.stopped_by)


def _home(item: Excerpt, chunks: Sequence[Chunk]) -> str:
    own = (one for one in chunks if one.document_id == item.document_id and one.start <= item.start < one.end)
    return next((chunk.id for chunk in own), "")


async def _remembered(asking: Asking) -> tuple[Outcome, list[Excerpt]]:
    """What the agent makes of the question, and what its searches showed, the first first."""
    documents = Documents(asking.library, asking.document_ids)
    pieces = [piece for document_id in asking.document_ids for piece in _pieces(asking, documents, document_id)]
    conversation = bool(pieces) and all(piece.part.time is not None for piece in pieces)
    agent, model = _agent(asking, pieces, conversation=conversation)
    async with asking.memories.lock(agent.name):
        if not asking.memories.fed(agent.name).get("complete", False):
            await _feed(asking, agent, pieces, conversation=conversation)
    started = time.monotonic()
    prompt = _prompt(asking, conversation=conversation)
    watch = _Watch(pieces, until_nothing_new=not conversation, looked_up=asking.question if conversation else "")
    outcome = await consider(
        agent,
        events.user_message(prompt.user, agent.clock()),
        limits=_limits(asking, watch),
        more_functions=_send_message,
        on_call=watch.on_call,
    )
    conclusion = _conclusion(asking.question, outcome.reply, watch.excerpts(), documents)
    warnings = [*conclusion.warnings, *_warnings(outcome.reply, outcome.stopped_by, agent, pieces)]
    usage = replace(model.usage, seconds=time.monotonic() - started)
    steps = [*watch.steps, TraceStep("answer", "answer", {"answer": conclusion.answer})]
    stopped_by = StoppedBy.FINISHED if outcome.reply is not None else StoppedBy.STEP_LIMIT
    return Outcome(replace(conclusion, warnings=tuple(warnings)), usage, steps, stopped_by.value), watch.hits()


# what it is fed ------------------------------------------------------------------------------------------------
def _pieces(asking: Asking, documents: Documents, document_id: str) -> list[_Piece]:
    """The parts of a document, or its paragraphs where it has none."""
    document = documents[document_id]
    parts = list(asking.memories.parts_of(document_id)) or [
        Part(str(number), found.start(), found.end()) for number, found in enumerate(_PARAGRAPH.finditer(document.text))
    ]
    return [_Piece(document_id, document.title, part, document.text[part.start : part.end]) for part in parts]


async def _feed(asking: Asking, agent: Agent, pieces: Sequence[_Piece], *, conversation: bool) -> None:
    """Feed what is not stored yet, then make room for what questions look up. What it costs is noted in any case."""
    model = MemoryModel(asking.model, asking.settings.evaluate.window_tokens)
    feeder = replace(agent, model=model, summarise=summariser(model))
    state = agent.storage.state(agent.name)
    started, done = time.monotonic(), state.last_message if conversation else state.last_entry
    spent = asking.memories.fed(agent.name).get("usage")
    complete = False
    try:
        await observe(feeder, [_item(piece, conversation=conversation) for piece in pieces[done:]])
        await observe(replace(feeder, reply_tokens=int(_ROOM_SHARE * model.window_tokens)), ())
        complete = True
    finally:
        usage = replace(model.usage, seconds=time.monotonic() - started)
        fed = {
            "documents": len(asking.document_ids),
            "pieces": len(pieces),
            "summaries": len(agent.storage.ledger(agent.name)),
            "complete": complete,
            "usage": asdict(Usage(**spent) + usage if spent else usage),
        }
        asking.memories.note(agent.name, fed)


def _item(piece: _Piece, *, conversation: bool) -> Item:
    if conversation and piece.part.time is not None:
        return Item(Kind.USER_MESSAGE, piece.text, piece.part.time, piece.title)
    return Item(Kind.ARCHIVED, piece.text, _NO_TIME, piece.title)


# the agent -----------------------------------------------------------------------------------------------------
def _agent(asking: Asking, pieces: Sequence[_Piece], *, conversation: bool) -> tuple[Agent, MemoryModel]:
    """The agent of these documents, and its model, which counts what the question costs."""
    model = MemoryModel(asking.model, asking.settings.evaluate.window_tokens)
    now = max((piece.part.time for piece in pieces if piece.part.time is not None), default=_NO_TIME)
    embedder = asking.embedder
    agent = Agent(
        name=hashlib.sha256("\n".join(asking.document_ids).encode()).hexdigest()[:16],
        storage=asking.memories.storage,
        model=model,
        summarise=summariser(model),
        instructions=_prompt(asking, conversation=conversation).system,
        embedder=MemoryEmbedder(embedder) if embedder is not None and reads(embedder, asking.question) else None,
        function_names=_CONVERSATION if conversation else _ENTRIES,
        reply_tokens=_REPLY_TOKENS,
        queue_limits=QueueLimits(warn_share=1.0, max_summary_tokens=_MAX_SUMMARY_TOKENS),
        clock=lambda: now,
    )
    return agent, model


def _prompt(asking: Asking, *, conversation: bool) -> Prompt:
    return render("answer_conversation" if conversation else "answer_archive", question=asking.question)


def _send_message(_session: Session) -> tuple[Function, ...]:
    """Memory's own, described for short answers: what an argument is said to be counts for more than instructions."""

    async def run(_arguments: Arguments) -> Result:
        return Result("sent", shown_again=True)

    message = Parameter("message", "the answer alone, one to six words; no sentence, and nothing of the question again")
    return (Function(SEND_MESSAGE, "Give the final answer.", (message,), run),)


def _limits(asking: Asking, watch: _Watch) -> Limits:
    seconds = asking.settings.explore.max_seconds
    return Limits(
        max_calls=_MAX_CALLS,
        max_seconds=float("inf") if seconds is None else seconds,
        max_seconds_per_call=asking.settings.model.timeout_seconds * (1 + asking.settings.model.retries),
        offer=watch.offer,
        first_calls=watch.first_calls,
    )


# what it does --------------------------------------------------------------------------------------------------
@dataclass
class _Watch:
    """Offers the functions, and notes what the model does and is shown.

    ``until_nothing_new``: there is no answer before a search that shows no new entry with the very text it was for. It
    is the instruction of MemGPT's task, not to stop before a value was verified to be no key, which small models do not
    follow of themselves. ``looked_up``: what recall storage is searched for before the model is asked, if anything.
    """

    pieces: Sequence[_Piece]
    until_nothing_new: bool
    looked_up: str
    steps: list[TraceStep] = field(default_factory=list)
    _session: Session | None = None
    _calls: int = 0
    _searches: list[str] = field(default_factory=list)
    _may_answer: bool = False
    _hits: dict[int, None] = field(default_factory=dict)
    _queued: dict[int, None] = field(default_factory=dict)

    def first_calls(self, session: Session) -> Sequence[Call]:
        """The search that the program makes."""
        self._session = session
        search = (one for one in session.functions if one.name == "recall_search" and self.looked_up)
        return [Call(one, {"query": self.looked_up, "cursor": ""}, heartbeat=True) for one in search]

    def offer(self, session: Session) -> Sequence[Function]:
        """No answer before a search; nothing but the answer at the end, or where the same is searched again."""
        self._session = session
        self._calls += 1
        repeated = len(self._searches) > len(set(self._searches))
        answers = [one for one in session.functions if one.name == SEND_MESSAGE]
        if self._calls >= _MAX_CALLS or repeated:
            return answers
        return session.functions if self._may_answer else [one for one in session.functions if one not in answers]

    def on_call(self, call: Call, result: Result) -> None:
        """Note a call, and what was shown before it and by it."""
        assert self._session is not None
        messages = [item.number for item in self._session.queue if item.number <= self._session.state.last_message]
        if not self.steps:
            self.steps.append(TraceStep("memory", "window", {"shown": [self._span(one) for one in messages]}))
            self._queued = dict.fromkeys(messages)
        body: Mapping[str, Any] = result.body if isinstance(result.body, dict) else {}
        hits = [number for hit in body.get("hits", ()) if (number := hit.get("message", hit.get("entry"))) is not None]
        query = str(call.arguments.get("query", "")).casefold()
        new = [hit for hit in hits if hit not in self._hits and query in self.pieces[hit - 1].text.casefold()]
        self._may_answer = not (self.until_nothing_new and new)
        self._hits |= dict.fromkeys(hits)
        detail: dict[str, Any] = {"call": dict(call.arguments)}
        if call.function.name != SEND_MESSAGE:
            self._searches.append(call.as_json())
            of_hits = [self._span(one) for one in hits if one <= len(self.pieces)]
            rest = {name: body[name] for name in ("failed", "next_page_cursor", "note") if name in body}
            detail |= {"total": body.get("found", 0), "shown": of_hits, **rest}
        self.steps.append(TraceStep("memory", call.function.name, detail))

    def _span(self, number: int) -> list[Any]:
        piece = self.pieces[number - 1]
        return [piece.document_id, piece.part.start, piece.part.end]

    def hits(self) -> list[Excerpt]:
        """What its searches showed the model, the first first."""
        return self._excerpts(self._hits)

    def excerpts(self) -> list[Excerpt]:
        """What the model saw of the documents: hits first, then what was in the window."""
        return self._excerpts(dict.fromkeys([*self._hits, *self._queued]))

    def _excerpts(self, numbers: Iterable[int]) -> list[Excerpt]:
        pieces = [self.pieces[number - 1] for number in numbers if number <= len(self.pieces)]
        return [
            Excerpt(piece.document_id, "", piece.part.start, piece.part.end, 0, 1.0 / (1 + place))
            for place, piece in enumerate(pieces)
        ]


def _conclusion(question: str, reply: str | None, shown: Sequence[Excerpt], documents: Documents) -> Conclusion:
    answer = " ".join((reply or "").split())
    if not answer or NOT_SAID.rstrip(".").casefold() in answer.casefold():
        return Conclusion(NOT_SAID, False, ())
    return with_citations(answer, question, (), shown, documents) if shown else Conclusion(answer, True, ())


def _warnings(reply: str | None, stopped_by: Stop, agent: Agent, pieces: Sequence[_Piece]) -> list[str]:
    found = [] if reply is not None else [f"The agent gave no answer: {stopped_by.value}."]
    tokens = sum(agent.model.count_tokens([piece.text for piece in pieces]))
    if tokens <= agent.model.window_tokens:
        found.append(f"The documents ({tokens} tokens) fit the window: set evaluate.window_tokens smaller to compare.")
    return found
