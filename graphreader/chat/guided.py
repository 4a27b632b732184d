"""A turn in which the program decides, step by step, what to do with a message: for small models.

Sentences are sorted; what the user tells goes to working context in the user's own words; what the user asks of the
documents is made self-contained and answered from them; the rest is answered from the memory. A reply in place of an
answer that the documents do not give must not say more than the user did.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from graphreader.agent.answer import NOT_SAID
from graphreader.chat.document_functions import ANSWER_FROM_DOCUMENTS, Reading, spoken
from graphreader.chat.turn_log import TurnLog
from graphreader.chat.understanding import Exchange, Kind, self_contained, sort_message
from graphreader.llm.gate import Gate
from graphreader.records import Answer
from graphreader.text.terms import terms
from memory import recall
from memory.agent import Agent
from memory.errors import BlockConflictError, CapacityError, FunctionError, UnusableReplyError
from memory.functions import parse_call, reply_schema
from memory.loop import Outcome, Stop
from memory.memory_functions import SEND_MESSAGE, memory_functions
from memory.protocols import Model
from memory.records import Item, Json
from memory.records import Kind as ItemKind
from memory.session import Session, open_session

_BLOCK_OF = {Kind.ABOUT_USER: "user", Kind.WISH: "task"}
_TRIES = 3
_MAX_CONFLICTS = 3

#: Told of each thing the program does, by name and arguments, as of a call.
OnAction = Callable[[str, Mapping[str, Json]], None]


@dataclass(frozen=True, slots=True)
class Guide:
    """What a guided turn works with. ``ask`` is None where there are no documents."""

    agent: Agent
    #: The agent's model, with nobody told of its replies: for those that may not be used.
    silent: Model
    gate: Gate
    reading: Callable[[Session], Reading]
    ask: Callable[[str], Awaitable[Answer]] | None
    log: TurnLog
    on_action: OnAction


async def guided_turn(guide: Guide, event: Item) -> Outcome:
    """As ``memory.loop.turn``: stored as a whole when this returns; whatever is raised, nothing of it is."""
    session = await open_session(guide.agent)
    session.functions = tuple(one for one in memory_functions(session) if one.name == SEND_MESSAGE)
    exchanges = _exchanges(session.queue)
    session.add(event)
    sentences = await sort_message(guide.gate, event.text)
    notes = [(_BLOCK_OF[kind], text) for text, kind in sentences if kind in _BLOCK_OF]
    for block, text in notes:
        await _note(guide, session, block, text)
    question = " ".join(text for text, kind in sentences if kind is Kind.DOCUMENTS)
    if question and guide.ask is not None:
        reply = await _from_documents(guide, session, await self_contained(guide.gate, question, exchanges))
    else:
        if any(kind is Kind.CONVERSATION for _, kind in sentences):
            await _look_back(guide, session, event.text)
        reply = await _from_memory(session, guide.agent.model)
        session.add(Item(ItemKind.REPLY, reply, guide.agent.clock(), session.untrusted_source()))
    last = await _commit(guide, session, notes)
    warning = await recall.embed_new(session)
    return Outcome(reply, Stop.REPLIED, guide.gate.usage.llm_calls, session.evicted_messages, last, warning)


def _exchanges(queue: Sequence[Item]) -> list[Exchange]:
    found: list[Exchange] = []
    asked = ""
    for item in queue:
        if item.kind is ItemKind.USER_MESSAGE:
            asked = item.text
        elif item.kind in (ItemKind.REPLY, ItemKind.ANSWER) and asked:
            found.append(Exchange(asked, item.text.partition("\n")[0]))
            asked = ""
    return found


async def _note(guide: Guide, session: Session, block: str, text: str) -> None:
    """A sentence of the user's, word for word, to working context."""
    _called(guide, session, "working_append", {"block": block, "text": text})
    try:
        edited = await session.append(block, text)
        told = f"Noted in {edited.name!r}."
    except CapacityError as error:
        guide.log.warnings.append(f"The notes in {block!r} are full: /forget what is no longer needed.")
        told = str(error)
    session.add(Item(ItemKind.RESULT, json.dumps(told, ensure_ascii=False), guide.agent.clock()))


def _called(guide: Guide, session: Session, function: str, arguments: Mapping[str, Json]) -> None:
    call = json.dumps({"function": function, **arguments}, ensure_ascii=False)
    session.add(Item(ItemKind.CALL, call, guide.agent.clock(), session.untrusted_source()))
    guide.on_action(function, arguments)


async def _from_documents(guide: Guide, session: Session, question: str) -> str:
    assert guide.ask is not None
    _called(guide, session, ANSWER_FROM_DOCUMENTS, {"question": question})
    answer = await guide.ask(question)
    guide.log.spend(answer.usage)
    clock = guide.agent.clock
    if answer.answerable:
        guide.log.answer = answer
        source = guide.reading(session).titles([one.document_id for one in answer.citations])
        session.add(Item(ItemKind.ANSWER, spoken(answer), clock(), source))
        return spoken(answer)
    session.add(Item(ItemKind.RESULT, json.dumps({"answer": NOT_SAID}), clock()))
    guide.log.unanswered.append(question)
    reply = await _from_memory(session, guide.silent)
    if not _stands_in(reply, session):
        guide.log.answer = answer
        reply = NOT_SAID
    session.add(Item(ItemKind.REPLY, reply, clock(), session.untrusted_source()))
    return reply


def _stands_in(reply: str, session: Session) -> bool:
    """Whether working context or what the user said earlier holds all that a reply says beside the question's words."""
    asked, *earlier = [item.text for item in session.queue if item.kind is ItemKind.USER_MESSAGE][::-1]
    own = set(terms(reply)) - set(terms(asked))
    told = [block.text for block in session.blocks if block.source is None]
    return bool(own) and own <= set(terms("\n".join([*told, *earlier])))


async def _look_back(guide: Guide, session: Session, text: str) -> None:
    """What was said on a matter and is no longer shown, before a question about the conversation is answered."""
    if session.summary.through == 0:
        return
    _called(guide, session, "recall_search", {"query": text, "cursor": ""})
    result = await recall.search_recall(session, text, "")
    body = json.dumps(result.body, ensure_ascii=False)
    session.add(Item(ItemKind.RESULT, body, guide.agent.clock(), result.source, result.quotes))


async def _from_memory(session: Session, model: Model) -> str:
    """What the model says from what the request shows."""
    problem = ""
    for _ in range(_TRIES):
        reply = await model.complete(
            await session.request(warn=False),
            schema=reply_schema(session.functions, ask_heartbeat=False),
            max_tokens=session.agent.reply_tokens,
        )
        try:
            call = parse_call(reply, session.functions, ask_heartbeat=False)
        except FunctionError as error:
            problem = str(error)
            session.add(Item(ItemKind.SYSTEM_ALERT, problem, session.agent.clock()))
            continue
        return str(call.arguments["message"])
    raise UnusableReplyError(_TRIES, problem)


async def _commit(guide: Guide, session: Session, notes: Sequence[tuple[str, str]]) -> int:
    """Store the turn; notes are put into blocks again that another changed meanwhile."""
    for _ in range(_MAX_CONFLICTS):
        try:
            return await session.commit()
        except BlockConflictError as conflict:
            for block, text in notes:
                if block in conflict.blocks:
                    await session.append(block, text)
    return await session.commit()
