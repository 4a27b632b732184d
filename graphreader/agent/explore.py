"""The three steps of an explorer: read the facts of a key element, read a chunk, go on to a neighbour.

Each is a function from an explorer's state to the part of it that changed, with one model call. What the model may
reply is enumerated by the step's schema, so an illegal action cannot be asked for. Lists are ranked for the question
and cut to the window (see ``window``); no chunk is read and no key element visited twice by one explorer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphreader.agent.context import RunContext
from graphreader.agent.schemas import (
    ChunkReply,
    FactsReply,
    NeighbourReply,
    chunk_schema,
    facts_schema,
    neighbour_schema,
)
from graphreader.agent.state import ExplorerState, NoteState, Phase, note_state, trace_step
from graphreader.agent.window import StepPrompt, ask, lines_that_fit, parts_that_fit, room_for_reading
from graphreader.errors import BadModelOutputError
from graphreader.ingest.chunk import readable_sentences
from graphreader.records import AtomicFact, Chunk, Document, Note, StoppedBy, TraceStep

Update = dict[str, Any]

_SEARCH_MORE = "search_more"
_PREVIOUS = "read_previous_chunk"
_SUBSEQUENT = "read_subsequent_chunk"
_TERMINATION = "termination"
_MEANINGS = {
    _SEARCH_MORE: "the answer is not complete; go on to other chunks and key elements",
    _PREVIOUS: "what is missing is likely to stand just before this chunk",
    _SUBSEQUENT: "what is missing is likely to stand just after this chunk",
    _TERMINATION: "the notes answer the question",
}
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MAX_NEIGHBOURS = 12
_REPLY_TOKENS = 96
_CHOICE_TOKENS = 24
_MAX_HUB_FACTS = 2000


@dataclass(frozen=True, slots=True)
class _Neighbour:
    name: str
    spelling: str
    sentence: str
    score: float


async def step(context: RunContext, state: ExplorerState) -> Update:
    """One step of an explorer, within its limits. A reply that twice does not fit ends this explorer, not the run."""
    stopped = context.gate.exhausted() or (StoppedBy.STEP_LIMIT if state["steps"] >= context.limits.max_steps else None)
    if stopped is not None:
        return _done(context, state, stopped)
    take = {Phase.FACTS: read_facts, Phase.CHUNK: read_chunk, Phase.NEIGHBOURS: choose_neighbour}[Phase(state["phase"])]
    try:
        return await take(context, state)
    except BadModelOutputError as error:
        return _done(context, state, StoppedBy.FINISHED, problem=str(error))


async def read_facts(context: RunContext, state: ExplorerState) -> Update:
    """Look at the facts of the current key element; note some, choose chunks to read."""
    facts = _ranked_facts(context, _facts_of(context, state["node"]))
    if not facts:
        return _advance(context, state, Phase.NEIGHBOURS, "read_facts", node=state["node"], facts=0)
    prompt = StepPrompt("read_facts", "facts", {"node": state["node"]}, _REPLY_TOKENS)
    most = min(context.limits.max_view_tokens, room_for_reading(context, state, prompt))
    lines = lines_that_fit(context, [fact.text for fact in facts], most)
    facts = facts[: len(lines)]
    order = list(dict.fromkeys(fact.chunk_id for fact in facts))[: len(_LETTERS)]
    letters = dict(zip(order, _LETTERS, strict=False))
    room = context.limits.max_chunk_reads - len({*state["read"], *state["queue"]})
    closed = {*state["read"], *state["queue"]}
    readable = [letters[chunk_id] for chunk_id in order if chunk_id not in closed] if room > 0 else []
    listed = [{"chunk": letters.get(fact.chunk_id, "-"), "text": text} for fact, text in zip(facts, lines, strict=True)]
    reply = await ask(context, state, prompt, listed, FactsReply, facts_schema(len(facts), readable))
    noted = [facts[number - 1] for number in dict.fromkeys(reply.notes) if 1 <= number <= len(facts)]
    notes = _with_notes(state, [(fact.document_id, fact.chunk_id, fact.start, fact.end) for fact in noted])
    chunk_of = {letter: chunk_id for chunk_id, letter in letters.items()}
    wanted = [chunk_of[letter] for letter in dict.fromkeys(reply.read_chunks) if letter in readable][: max(room, 0)]
    queue = [*state["queue"], *wanted]
    noted_count = len(notes) - len(state["notes"])
    fruitless = 0 if noted_count or queue else state["fruitless"] + 1
    changed = state | {"notes": notes, "queue": queue, "fruitless": fruitless}
    action = "read_chunk" if wanted else "stop_and_read_neighbor"
    detail = {"node": state["node"], "facts": len(facts), "noted": noted_count, "chunks": wanted}
    detail |= _places([[fact.document_id, fact.start, fact.end] for fact in facts], state, notes)
    if fruitless >= context.limits.max_fruitless_nodes:
        return _done(context, changed, StoppedBy.FINISHED, action=action, counts=True, **detail)
    return _advance(context, changed, Phase.CHUNK if queue else Phase.NEIGHBOURS, action, **detail)


async def read_chunk(context: RunContext, state: ExplorerState) -> Update:
    """Read the next chunk of the queue; note sentences, choose where to go. What the window does not hold of it is read
    in the next step.
    """
    chunk_id, *queue = state["queue"]
    read = list(dict.fromkeys([*state["read"], chunk_id]))
    chunk = context.chunk(chunk_id)
    document = context.documents[chunk.document_id]
    room = len({*read, *queue}) < context.limits.max_chunk_reads
    around = _legal_moves(context, chunk, closed={*read, *queue}, room=room)
    actions = [_SEARCH_MORE, *around, _TERMINATION]
    variables = {
        "document": document.title,
        "heading": " / ".join(chunk.headings[-2:]),
        "actions": [{"name": action, "meaning": _MEANINGS[action]} for action in actions],
    }
    prompt = StepPrompt("read_chunk", "sentences", variables, _REPLY_TOKENS)
    most = room_for_reading(context, state, prompt)
    unread = parts_that_fit(context, document.id, _unread_sentences(document, chunk, state), most)
    lines = lines_that_fit(context, [context.text(document.id, *span) for span in unread], most)
    spans = unread[: len(lines)]
    reply = await ask(context, state, prompt, lines, ChunkReply, chunk_schema(len(lines), actions))
    chosen = [spans[number - 1] for number in dict.fromkeys(reply.notes) if 1 <= number <= len(spans)]
    notes = _with_notes(state, [(document.id, chunk_id, start, end) for start, end in chosen])
    if reply.action in around:
        queue = [around[reply.action], *queue]
    if len(spans) < len(unread):
        queue = [chunk_id, *queue]
    changed = state | {"read": read, "queue": queue, "notes": notes}
    shown = [[document.id, spans[0][0], spans[-1][1]]] if spans else []
    page = document.page_at(spans[0][0] if spans else chunk.start)
    detail = {"chunk": chunk_id, "page": page, "noted": len(notes) - len(state["notes"])}
    detail |= _places(shown, state, notes)
    if reply.action == _TERMINATION:
        return _done(context, changed, StoppedBy.FINISHED, action=reply.action, counts=True, **detail)
    return _advance(context, changed, Phase.CHUNK if queue else Phase.NEIGHBOURS, reply.action, **detail)


async def choose_neighbour(context: RunContext, state: ExplorerState) -> Update:
    """Go on to one neighbour of the current key element, or stop."""
    neighbours = _ranked_neighbours(context, state)
    if not neighbours:
        return _done(context, state, StoppedBy.FINISHED, action=_TERMINATION, node=state["node"], neighbours=0)
    prompt = StepPrompt("choose_neighbour", "neighbours", {"node": state["node"]}, _CHOICE_TOKENS)
    texts = [f"{item.spelling}: {item.sentence}" for item in neighbours]
    most = min(context.limits.max_view_tokens, room_for_reading(context, state, prompt))
    lines = lines_that_fit(context, texts, most)
    shown = len(lines)
    reply = await ask(context, state, prompt, lines, NeighbourReply, neighbour_schema(shown))
    if not 1 <= reply.neighbour <= shown:
        return _done(context, state, StoppedBy.FINISHED, action=_TERMINATION, counts=True, node=state["node"])
    target = neighbours[reply.neighbour - 1].name
    changed = state | {"node": target, "visited": [*state["visited"], target]}
    return _advance(context, changed, Phase.FACTS, "read_neighbor_node", node=state["node"], neighbour=target)


def _facts_of(context: RunContext, name: str) -> list[AtomicFact]:
    return context.library.facts_of_key_element(name, context.document_ids, _MAX_HUB_FACTS)


def _ranked_facts(context: RunContext, facts: list[AtomicFact]) -> list[AtomicFact]:
    scores = context.relevance.scores([fact.text for fact in facts], [fact.chunk_id for fact in facts])
    order = sorted(range(len(facts)), key=lambda index: (-scores[index], index))
    return [facts[index] for index in order]


def _ranked_neighbours(context: RunContext, state: ExplorerState) -> list[_Neighbour]:
    facts = _facts_of(context, state["node"])
    scores = context.relevance.scores([fact.text for fact in facts], [fact.chunk_id for fact in facts])
    best: dict[str, _Neighbour] = {}
    for fact, score in zip(facts, scores, strict=True):
        for element in fact.key_elements:
            known = best.get(element.name)
            if element.name not in state["visited"] and (known is None or score > known.score):
                best[element.name] = _Neighbour(element.name, element.spelling, fact.text, score)
    return sorted(best.values(), key=lambda item: (-item.score, item.name))[:_MAX_NEIGHBOURS]


def _legal_moves(context: RunContext, chunk: Chunk, closed: set[str], room: bool) -> dict[str, str]:
    if not room:
        return {}
    before, after = context.neighbour_chunks(chunk)
    moves = {_PREVIOUS: before, _SUBSEQUENT: after}
    return {action: chunk_id for action, chunk_id in moves.items() if chunk_id is not None and chunk_id not in closed}


def _unread_sentences(document: Document, chunk: Chunk, state: ExplorerState) -> list[tuple[int, int]]:
    shown = (entry["detail"]["shown"] for entry in state["trace"] if entry["detail"].get("chunk") == chunk.id)
    read_to = max((span[2] for spans in shown for span in spans), default=chunk.start)
    sentences = readable_sentences(document, chunk.start, chunk.end)
    return [(max(start, read_to), end) for start, end in sentences if end > read_to]


def _with_notes(state: ExplorerState, spans: list[tuple[str, str, int, int]]) -> list[NoteState]:
    """The notes with those spans added that no note of this explorer covers yet."""
    notes = list(state["notes"])
    for document_id, chunk_id, start, end in spans:
        covered = any(
            note["document_id"] == document_id and note["start"] <= start and end <= note["end"] for note in notes
        )
        if not covered:
            notes.append(note_state(Note(document_id, chunk_id, start, end, state["explorer"])))
    return notes


def _places(shown: list[list[Any]], state: ExplorerState, notes: list[NoteState]) -> Update:
    """Where what the model was shown in a step stands, and what it noted of it: for evaluation."""
    new = notes[len(state["notes"]) :]
    return {"shown": shown, "notes": [[note["document_id"], note["start"], note["end"]] for note in new]}


def _advance(context: RunContext, state: ExplorerState, phase: Phase, action: str, **detail: Any) -> Update:  # noqa: ANN401
    return _update(context, state | {"phase": phase, "steps": state["steps"] + 1}, action, detail)


def _done(
    context: RunContext,
    state: ExplorerState,
    stopped_by: StoppedBy,
    action: str = "stop",
    counts: bool = False,
    **detail: Any,  # noqa: ANN401 - JSON values
) -> Update:
    steps = state["steps"] + (1 if counts else 0)
    changed = state | {"phase": Phase.DONE, "steps": steps, "stopped_by": stopped_by}
    return _update(context, changed, action, detail | {"stopped_by": stopped_by.value})


def _update(context: RunContext, state: ExplorerState, action: str, detail: dict[str, Any]) -> Update:
    entry = trace_step(f"explorer {state['explorer']}", action, **detail)
    context.on_step(TraceStep(entry["actor"], entry["action"], entry["detail"]))
    return dict(state | {"trace": [*state["trace"], entry]})
