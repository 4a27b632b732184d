"""One turn of a conversation, guided by the program or left to the model."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from graphreader.agent.context import OnStep
from graphreader.chat.agent import archive_of, is_guided, make_agent, message_to, now
from graphreader.chat.document_functions import Reading, answer_function, reading_functions
from graphreader.chat.guided import Guide, guided_turn
from graphreader.chat.host import Host
from graphreader.chat.turn_log import TurnLog
from graphreader.llm.gate import Gate
from graphreader.llm.memory_model import MemoryModel
from graphreader.llm.protocol import OnText
from graphreader.records import Answer, Mode, TraceStep
from memory.agent import Agent
from memory.events import user_message
from memory.functions import Call, Function, Result
from memory.loop import Limits, Outcome, turn
from memory.records import Item, Json
from memory.session import Session
from memory.storage import Storage

_MAX_CALLS = 12
#: Within a turn an exploration may run; each model call has its own, shorter limit.
_MAX_TURN_SECONDS = 1800.0

_Ask = Callable[[str], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Said:
    """What the user said, of which documents, and who listens."""

    text: str
    document_ids: Sequence[str]
    mode: Mode
    on_text: OnText | None
    on_step: OnStep


async def take_turn(host: Host, name: str, storage: Storage, said: Said, log: TurnLog) -> Outcome:
    """Have the agent called ``name`` reply. The turn is stored as a whole, or, if this raises, not at all."""
    settings, on_text = host.settings.chat, said.on_text
    chat_model = await host.connection.model()
    silent = MemoryModel(chat_model, settings.window_tokens)
    told = MemoryModel(chat_model, settings.window_tokens, None if on_text is None else lambda: message_to(on_text))
    agent = make_agent(host, name, storage, told, silent, chat_model)
    event = user_message(said.text, now())
    gate = Gate(chat_model)

    async def ask(question: str) -> Answer:
        log.warnings += host.not_searched(said.document_ids)
        return await host.answer(question, said.document_ids, said.mode, said.on_step)

    def reading(session: Session) -> Reading:
        return Reading(session, host.library, said.document_ids, log)

    def on_action(function: str, arguments: Mapping[str, Json]) -> None:
        log.calls.append(json.dumps({"function": function, **arguments}, ensure_ascii=False))
        said.on_step(TraceStep("chat", function, arguments))

    try:
        if is_guided(settings, chat_model):
            asked = ask if said.document_ids else None
            return await guided_turn(Guide(agent, silent, gate, reading, asked, log, on_action), event)
        if said.document_ids:
            agent = replace(agent, archive=archive_of(host, said.document_ids, log))
        limits = Limits(_MAX_CALLS, _MAX_TURN_SECONDS, host.settings.model.timeout_seconds)
        return await _free_turn(agent, event, reading, ask if said.document_ids else None, limits, on_action)
    finally:
        for usage in (silent.usage, told.usage, replace(gate.usage, seconds=0.0)):
            log.spend(usage)


async def _free_turn(
    agent: Agent,
    event: Item,
    reading: Callable[[Session], Reading],
    ask: _Ask | None,
    limits: Limits,
    on_action: Callable[[str, Mapping[str, Json]], None],
) -> Outcome:
    """The model calls the functions it likes."""

    def functions(session: Session) -> Sequence[Function]:
        if ask is None:
            return ()
        return (answer_function(reading(session), ask), *reading_functions(reading(session)))

    def on_call(call: Call, _result: Result) -> None:
        on_action(call.function.name, dict(call.arguments))

    return await turn(agent, event, limits=limits, more_functions=functions, on_call=on_call)
