"""One turn of an agent: an event comes in, the model calls functions until it yields, and all is stored at once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from memory.agent import Agent
from memory.errors import BlockConflictError, FunctionError, ModelSilentError, UnusableReplyError
from memory.functions import Call, Function, Result, parse_call, reply_schema
from memory.memory_functions import SEND_MESSAGE, memory_functions
from memory.recall import embed_new
from memory.records import Item, Kind
from memory.session import Session, open_session

#: The same call with the same result this many times is no progress.
_MAX_REPEATS = 3
_MAX_UNUSABLE = 3
_MAX_CONFLICTS = 3
#: So many observed items share a transaction.
_BATCH = 64


class Stop(StrEnum):
    """Why a turn ended."""

    REPLIED = "replied"
    YIELDED = "yielded"  # a call that asked for no heartbeat
    NO_PROGRESS = "no progress"
    CALL_LIMIT = "call limit"
    TIME_LIMIT = "time limit"


#: Which of the turn's functions the next call may be of, at least one.
Offer: TypeAlias = Callable[[Session], Sequence[Function]]
#: Calls that the program makes before the model's first, shown as if the model had made them.
FirstCalls: TypeAlias = Callable[[Session], Sequence[Call]]


def all_functions(session: Session) -> Sequence[Function]:
    """Any of them."""
    return session.functions


def no_calls(_session: Session) -> Sequence[Call]:
    """The model makes all calls."""
    return ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What one turn may take. ``ask_heartbeat``: a call is followed by another only if it asks so, as in the paper;
    otherwise every call but the answer is, which suits models that were not trained to ask. ``offer`` is asked before
    each call; the request lists all functions whatever it says, so that its beginning stays the same. ``first_calls``
    are made before the model is asked: small models do not think of the words to search for.
    """

    max_calls: int = 16
    max_seconds: float = 300.0
    max_seconds_per_call: float = 120.0
    ask_heartbeat: bool = False
    offer: Offer = all_functions
    first_calls: FirstCalls = no_calls


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a turn. ``reply`` is None where the model stopped without one. ``warning``: what was stored cannot
    yet be found by meaning, and why.
    """

    reply: str | None
    stopped_by: Stop
    calls: int
    evicted_messages: int
    last_message: int
    warning: str = ""


#: Called with the session to make the functions of a turn beside those of memory.
MakeFunctions: TypeAlias = Callable[[Session], Sequence[Function]]
#: Told of each call and its result, as they happen.
OnCall: TypeAlias = Callable[[Call, Result], None]


def no_functions(_session: Session) -> Sequence[Function]:
    """None beside those of memory."""
    return ()


async def turn(
    agent: Agent,
    event: Item,
    *,
    limits: Limits | None = None,
    more_functions: MakeFunctions = no_functions,
    on_call: OnCall | None = None,
    user_allows_writes: bool = False,
) -> Outcome:
    """Give an event to an agent and let it act until it yields. When this returns, the turn is stored durably.

    ``user_allows_writes``: the user asked that something of a document be remembered, so writes are not quarantined.
    Whatever is raised (``AgentMemoryError``, or what the model or a function raises), nothing of the turn is stored.
    """
    session = await _begun(agent, more_functions)
    session.writes_allowed = user_allows_writes
    session.add(event)
    run = _Run(session, limits or Limits(), on_call)
    stopped_by = await run.until_yield()
    for conflicts in range(_MAX_CONFLICTS + 1):
        try:
            last_message = await session.commit()
            break
        except BlockConflictError as conflict:
            if conflicts == _MAX_CONFLICTS:
                raise
            session.add(Item(Kind.SYSTEM_ALERT, f"{conflict} What you wrote to it was not kept.", agent.clock()))
            if conflicts < _MAX_CONFLICTS - 1:
                stopped_by = await run.until_yield()
    warning = await embed_new(session)
    return Outcome(run.reply, stopped_by, run.calls, session.evicted_messages, last_message, warning)


async def consider(
    agent: Agent,
    event: Item,
    *,
    limits: Limits | None = None,
    more_functions: MakeFunctions = no_functions,
    on_call: OnCall | None = None,
) -> Outcome:
    """As ``turn``, but nothing of it is stored: the agent is afterwards as it was. Several may go on at once.

    For questions that must not see each other. Functions of ``more_functions`` that do things have done them.
    """
    session = await _begun(agent, more_functions)
    session.add(event)
    run = _Run(session, limits or Limits(), on_call)
    stopped_by = await run.until_yield()
    return Outcome(run.reply, stopped_by, run.calls, session.evicted_messages, session.state.last_message)


@dataclass(frozen=True, slots=True)
class Observed:
    """What observing came to: as in ``Outcome``."""

    evicted_messages: int
    last_message: int
    last_entry: int
    warning: str = ""


async def observe(agent: Agent, items: Iterable[Item], *, batch_size: int = _BATCH) -> Observed:
    """Take in what happened without asking the model: each message enters the queue as in a turn, and older ones are
    evicted and summarised by the same rules; an item of kind ``ARCHIVED`` goes to archival storage as it is.

    Nobody is warned of an eviction, since nobody could act on it. When this returns all items are stored durably.
    ``batch_size`` of them, at most, share a transaction; if something is raised (as by ``turn``), the batches before
    are stored, and ``Storage.state`` tells how far that is. Without items only what exceeds the budget is evicted.
    """
    evicted = 0
    session = await _begun(agent, no_functions)
    for item in items:
        if item.kind is Kind.ARCHIVED:
            session.keep(item)
        else:
            session.add(item)
            await session.request(warn=False)
        if session.evicted_messages or len(session.messages) + len(session.entries) >= batch_size:
            await session.commit()
            evicted += session.evicted_messages
            session = await _begun(agent, no_functions)
    await session.request(warn=False)
    last_message = await session.commit()
    warning = await embed_new(session)
    last_entry = session.state.last_entry + len(session.entries)
    return Observed(evicted + session.evicted_messages, last_message, last_entry, warning)


async def _begun(agent: Agent, more_functions: MakeFunctions) -> Session:
    session = await open_session(agent)
    session.functions = (*memory_functions(session), *more_functions(session))
    return session


class _Run:
    """The calls of one turn."""

    def __init__(self, session: Session, limits: Limits, on_call: OnCall | None) -> None:
        self.reply: str | None = None
        self.calls = 0
        self._session = session
        self._limits = limits
        self._on_call = on_call
        self._first_calls = limits.first_calls
        self._seen: Counter[tuple[str, str]] = Counter()
        self._ends = asyncio.get_running_loop().time() + limits.max_seconds

    async def until_yield(self) -> Stop:
        """Make the first calls, if that was not done, and call the model until it yields or a limit is reached."""
        first_calls, self._first_calls = self._first_calls(self._session), no_calls
        for first_call in first_calls:
            stop = await self._perform(first_call)
            if stop is not None:
                return stop
        while True:
            if self.calls >= self._limits.max_calls:
                return self._stop(Stop.CALL_LIMIT)
            if asyncio.get_running_loop().time() >= self._ends:
                return self._stop(Stop.TIME_LIMIT)
            call = await self._next_call()
            if call is None:
                continue
            stop = await self._perform(call)
            if stop is not None:
                return stop

    def _stop(self, stop: Stop) -> Stop:
        self._session.add(Item(Kind.SYSTEM_ALERT, f"You were stopped: {stop.value}.", self._session.agent.clock()))
        return stop

    async def _next_call(self) -> Call | None:
        """The model's next call, None where a limit came first. It is told what is wrong with one it got wrong."""
        session = self._session
        problem = ""
        for _ in range(_MAX_UNUSABLE):
            if self.calls >= self._limits.max_calls:
                return None
            self.calls += 1
            offered = self._limits.offer(session)
            reply = await self._ask(offered)
            try:
                return parse_call(reply, offered, ask_heartbeat=self._limits.ask_heartbeat)
            except FunctionError as error:
                problem = str(error)
                session.add(Item(Kind.SYSTEM_ALERT, problem, session.agent.clock()))
        raise UnusableReplyError(_MAX_UNUSABLE, problem)

    async def _ask(self, offered: Sequence[Function]) -> str:
        session, seconds = self._session, self._limits.max_seconds_per_call
        messages = await session.request()
        schema = reply_schema(offered, ask_heartbeat=self._limits.ask_heartbeat)
        try:
            async with asyncio.timeout(seconds) as timer:
                return await session.agent.model.complete(
                    messages, schema=schema, max_tokens=session.agent.reply_tokens
                )
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise ModelSilentError(seconds) from error

    async def _perform(self, call: Call) -> Stop | None:
        session, now = self._session, self._session.agent.clock
        if call.function.name == SEND_MESSAGE:
            message = str(call.arguments["message"])
            self._say(Item(Kind.REPLY, message, now(), session.untrusted_source()))
            self._tell(call, Result("sent"))
            return None if call.heartbeat and not self._repeats(call, "sent") else Stop.REPLIED
        session.add(Item(Kind.CALL, call.as_json(), now(), session.untrusted_source()))
        result, failed = await self._run(call)
        if result.says:
            self._say(Item(Kind.ANSWER, result.says, now(), result.source, result.quotes))
            self._tell(call, result)
            return Stop.REPLIED
        text = json.dumps(result.body, ensure_ascii=False)
        kind = Kind.RESULT if result.shown_again else Kind.READING
        session.add(Item(kind, text, now(), result.source, result.quotes))
        self._tell(call, result)
        if self._repeats(call, text):
            return self._stop(Stop.NO_PROGRESS)
        goes_on = failed or call.heartbeat or not self._limits.ask_heartbeat
        return None if goes_on else Stop.YIELDED

    def _say(self, item: Item) -> None:
        self._session.add(item)
        self.reply = item.text if self.reply is None else f"{self.reply}\n\n{item.text}"

    async def _run(self, call: Call) -> tuple[Result, bool]:
        try:
            return await call.function.run(call.arguments), False
        except FunctionError as error:
            return Result({"failed": str(error)}, shown_again=True), True

    def _repeats(self, call: Call, result: str) -> bool:
        key = (call.as_json(), result)
        self._seen[key] += 1
        return self._seen[key] >= _MAX_REPEATS

    def _tell(self, call: Call, result: Result) -> None:
        if self._on_call is not None:
            self._on_call(call, result)
