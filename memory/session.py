"""A turn under way: what it has seen and changed, and the requests made of it. Nothing is stored before ``commit``.

A session is for one turn and one task. The loop in ``loop`` drives it for a model that decides; a program that decides
itself, like an explorer, may drive it too: ``add`` what happens, ask for a ``request``, ``commit``.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

from memory import queue, working
from memory.agent import Agent
from memory.errors import BlockConflictError, BudgetError, FunctionError
from memory.functions import Function, describe
from memory.main_context import Shown, View, package, request, shown_sources
from memory.paging import longest
from memory.records import AgentState, Block, Item, Kind, PromptMessage, Shelf, Summary, Turn, numbered, storable
from memory.trust import quarantine_name, said_by_user

#: For each attempt to shrink a request: how much of the room beside the system message to fill, since templates cost
#: what no sum of parts foresees; and what one message may have of it. After the first, the turn's event, a call, its
#: result and the summary fit together.
_ATTEMPTS = ((1.0, 0.5), (0.7, 0.15), (0.4, 0.07))
_SUMMARY_SHARE = 0.25
_PAGE_SHARE = 0.2
#: Of the warning's share: what stands before a warning costs a little less when counted part by part.
_WARNED_SHARE = 0.85
_SUMMARY_INPUT_SHARE = 0.6
_MESSAGE_OVERHEAD_TOKENS = 8


class Session:
    """See above. Open one with ``open_session``."""

    def __init__(self, agent: Agent, state: AgentState, functions: tuple[Function, ...] = ()) -> None:
        self.agent = agent
        self.state = state
        self.functions = functions
        self.summary = state.summary
        self.messages: list[Item] = []
        self.entries: list[Item] = []
        self.evicted_messages = 0
        #: Set by whoever knows that the user asked for it: writes are not quarantined in this turn.
        self.writes_allowed = False
        self._summaries: list[Summary] = []
        self._blocks = {block.name: block for block in (*state.blocks, *_new_blocks(agent, state))}
        self._edited: set[str] = set()
        self._shown: dict[int, int] = {}  # message -> characters shown, of those that are cut
        self._max_summary_tokens: int | None = None

    # what happens ----------------------------------------------------------------------------------------------
    def add(self, item: Item) -> Item:
        """Put a message at the end of the queue; its number may still change when it is stored."""
        item = numbered(replace(item, text=storable(item.text)), self.state.last_message + len(self.messages) + 1)
        self.messages.append(item)
        return item

    def keep(self, entry: Item) -> Item:
        """Put an entry into archival storage as it is; its number may still change when it is stored."""
        entry = numbered(replace(entry, text=storable(entry.text)), self.state.last_entry + len(self.entries) + 1)
        self.entries.append(entry)
        return entry

    @property
    def queue(self) -> list[Item]:
        """The messages shown, oldest first. The event that began the turn stays, however long the turn."""
        return [*self._kept_event(), *self._unevicted()]

    def hidden(self) -> list[Item]:
        """Messages of this turn that the window does not show, or not whole; newest first."""
        shown = {item.number for item in self.queue} - self._shown.keys()
        return [item for item in self.messages[::-1] if item.number not in shown]

    def _unevicted(self) -> list[Item]:
        return [item for item in (*self.state.queue, *self.messages) if item.number > self.summary.through]

    def _kept_event(self) -> list[Item]:
        return [item for item in self.messages[:1] if item.number <= self.summary.through]

    # requests --------------------------------------------------------------------------------------------------
    async def request(self, *, warn: bool = True) -> list[PromptMessage]:
        """The next request, within the budget: cut and evicted as need be, and warned unless nobody is to read it.

        Raises ``BudgetError`` where at most three attempts do not make it fit, ``SummaryError`` where what would have
        to be evicted cannot be summarised.
        """
        for shrinks in range(len(_ATTEMPTS) + 1):
            messages = request(self._view())
            tokens = self.agent.model.count_prompt_tokens(messages)
            if tokens <= self.agent.budget_tokens:
                if not warn or not self._must_warn(tokens):
                    return messages
                self.add(Item(Kind.PRESSURE, queue.WARNING, self.agent.clock()))
                messages = request(self._view())
                tokens = self.agent.model.count_prompt_tokens(messages)
                if tokens <= self.agent.budget_tokens:
                    return messages
            if shrinks < len(_ATTEMPTS):
                await self._shrink(*_ATTEMPTS[shrinks])
        raise BudgetError(tokens, self.agent.budget_tokens, f"{len(_ATTEMPTS)} attempts to shrink it were not enough")

    def room_tokens(self) -> int:
        """What the budget leaves beside the system message. Raises ``BudgetError`` where that is nothing."""
        empty = replace(self._view(), queue=(), summary=Summary())
        used = self.agent.model.count_prompt_tokens(request(empty))
        room = self.agent.budget_tokens - used
        if room <= 0:
            raise BudgetError(used, self.agent.budget_tokens, "instructions, functions and working context fill it")
        return room

    def page_tokens(self) -> int:
        """What one page of search results may have."""
        return min(self.agent.page_tokens, int(self.room_tokens() * _PAGE_SHARE))

    def _must_warn(self, tokens: int) -> bool:
        budget, share = self.agent.budget_tokens, self.agent.queue_limits.warn_share
        if tokens <= share * budget:
            return False
        # A warning is for the time until the next eviction: one that has as much before it is of this time.
        later = list(itertools.takewhile(lambda item: item.kind is not Kind.PRESSURE, self.queue[::-1]))
        if len(later) == len(self.queue):
            return True
        later_tokens = sum(self.agent.model.count_tokens([package(Shown(item)) for item in later]))
        return tokens - later_tokens < _WARNED_SHARE * share * budget

    def _view(self) -> View:
        blocks = list(self._blocks.values())
        tokens = self.agent.model.count_tokens([block.text for block in blocks])
        return View(
            self.agent.instructions,
            describe(self.functions),
            tuple(zip(blocks, tokens, strict=True)),
            self.state.last_message + len(self.messages),
            self.state.last_entry + len(self.entries),
            0 if self.agent.archive is None else self.agent.archive.count(),
            self.agent.clock(),
            self._shown_summary(),
            tuple(Shown(item, self._shown.get(item.number)) for item in self.queue),
        )

    def _shown_summary(self) -> Summary:
        if self._max_summary_tokens is None:
            return self.summary
        most, count, text = self._max_summary_tokens, self.agent.model.count_tokens, self.summary.text
        return replace(self.summary, text=text[: longest(len(text), lambda end: count([text[:end]])[0] <= most)])

    async def _shrink(self, aim_share: float, message_share: float) -> None:
        """Show less: the beginnings of messages that are too large, then fewer messages."""
        room = self.room_tokens()
        aim, most = room * aim_share, max(1, int(room * message_share))
        self._max_summary_tokens = max(1, int(aim * _SUMMARY_SHARE))
        event, unevicted = self._cut(self._kept_event(), most), self._cut(self._unevicted(), most)
        over = sum(event) + sum(unevicted) - aim * (1 - _SUMMARY_SHARE)
        if over > 0:
            kept = aim * (1 - self.agent.queue_limits.evict_share)
            await self._evict(queue.evicted_count(self._unevicted(), unevicted, sum(unevicted) - kept))

    def _cut(self, items: list[Item], max_tokens: int) -> list[int]:
        """Show no more than the beginning of messages that are too large. What each then costs."""
        count = self.agent.model.count_tokens
        costs = [cost + _MESSAGE_OVERHEAD_TOKENS for cost in count([package(Shown(item)) for item in items])]
        for item, cost in zip(items, costs, strict=True):
            if cost > max_tokens:
                self._shown[item.number] = queue.clipped(item, count, max_tokens).characters or 0
        return [min(cost, max_tokens) for cost in costs]

    async def _evict(self, number_of_messages: int) -> None:
        evicted = self._unevicted()[:number_of_messages]
        if not evicted:
            return
        room = self.room_tokens()
        summary = await queue.summarised(
            self.agent.summarise,
            self.summary,
            evicted,
            self.agent.model.count_tokens,
            max_tokens=min(self.agent.queue_limits.max_summary_tokens, max(1, int(room * _SUMMARY_SHARE))),
            max_input_tokens=int(room * _SUMMARY_INPUT_SHARE),
        )
        previous = self.state.summary.number + len(self._summaries)
        self.summary = replace(summary, number=previous + 1, previous=previous)
        self._summaries.append(self.summary)
        self.evicted_messages += len(evicted)

    # working context -------------------------------------------------------------------------------------------
    @property
    def blocks(self) -> list[Block]:
        """Working context as this turn has changed it, quarantined blocks included."""
        return list(self._blocks.values())

    async def append(self, name: str, text: str) -> Block:
        """Append a line to a block, or to the notes about the document whose text is in the window.

        Raises ``FunctionError``, also where another changed the block since: the session then has it as it now is.
        """
        block = self._writable(name, text)
        return await self._edit(block, working.appended(block, text, self.agent.model.count_tokens))

    async def replace(self, name: str, old: str, new: str) -> Block:
        """Replace text in a block; raises as ``append`` does."""
        block = self._named(name)
        source = self.untrusted_source(new)
        if source is not None and block.source is None:
            raise FunctionError(
                f"While text of {source!r} is in the window, {name!r} is changed only as the user says. Append your "
                f"note instead: it is kept apart, as a note about {source!r}."
            )
        return await self._edit(block, working.replaced(block, old, new, self.agent.model.count_tokens))

    def archive(self, text: str) -> Item:
        """Keep an entry in archival storage; what may come from a document in the window is marked as its text."""
        if not text.strip():
            raise FunctionError("There is no text to keep.")
        return self.keep(Item(Kind.ARCHIVED, text, self.agent.clock(), self.untrusted_source(text)))

    def untrusted_source(self, text: str = "") -> str | None:
        """The document that ``text`` has to be taken for a note about; None where it may be written anywhere."""
        sources = shown_sources(self._view())
        said = [item.text for item in self.queue if item.kind is Kind.USER_MESSAGE and item.source is None]
        if not sources or self.writes_allowed or said_by_user(text, said):
            return None
        return sources[-1]

    def _named(self, name: str) -> Block:
        if name not in self._blocks:
            raise FunctionError(f"There is no block {name!r}. There are: {', '.join(self._blocks) or 'none'}.")
        return self._blocks[name]

    def _writable(self, name: str, text: str) -> Block:
        block = self._named(name)
        source = self.untrusted_source(text)
        if source is None or block.source is not None:
            return block
        quarantine = quarantine_name(source)
        if quarantine not in self._blocks:
            if sum(block.source is not None for block in self._blocks.values()) >= self.agent.max_quarantine_blocks:
                raise FunctionError("There are notes about too many documents already. Use archival_insert.")
            return Block(quarantine, "", self.agent.max_quarantine_tokens, source=source)
        return self._blocks[quarantine]

    async def _edit(self, read: Block, edited: Block) -> Block:
        stored = {block.name: block for block in await asyncio.to_thread(self.agent.storage.blocks, self.agent.name)}
        current = stored.get(read.name)
        if (0 if current is None else current.version) != read.version:
            self._take_current(read.name, current)
            raise FunctionError(
                f"{read.name!r} was changed by another since you read it. It is now shown as it is; edit it again."
            )
        if edited != read:
            self._edited.add(edited.name)
        self._blocks[edited.name] = edited
        return edited

    def _take_current(self, name: str, current: Block | None) -> None:
        self._edited.discard(name)
        self._blocks.pop(name, None)
        if current is not None:
            self._blocks[name] = current

    # the end ---------------------------------------------------------------------------------------------------
    async def commit(self) -> int:
        """Store the turn, all or nothing. The number of its last message.

        Raises ``BlockConflictError`` where another changed a block meanwhile: nothing is stored, the session has those
        blocks as they now are and the edits of them are gone, and it may be committed again.
        """
        turn = Turn(
            self.state.last_message,
            self.state.summary.number,
            tuple(self.messages),
            tuple(self.entries),
            tuple(self._blocks[name] for name in sorted(self._edited)),
            tuple(self._summaries),
        )
        try:
            return await asyncio.to_thread(self.agent.storage.commit, self.agent.name, turn)
        except BlockConflictError as conflict:
            stored = await asyncio.to_thread(self.agent.storage.blocks, self.agent.name)
            for name in conflict.blocks:
                self._take_current(name, next((block for block in stored if block.name == name), None))
            raise


def _new_blocks(agent: Agent, state: AgentState) -> list[Block]:
    known = {block.name for block in state.blocks}
    return [block for block in agent.blocks if block.name not in known]


async def open_session(agent: Agent) -> Session:
    """Begin a turn. Where the summary was withdrawn because of a deletion, it is first made anew.

    Raises ``SummaryError`` where that fails; the turn may be tried again.
    """
    state = await asyncio.to_thread(agent.storage.state, agent.name)
    if state.summary.withdrawn:
        await _renew_summary(agent, state)
        state = await asyncio.to_thread(agent.storage.state, agent.name)
    return Session(agent, state)


async def _renew_summary(agent: Agent, state: AgentState) -> None:
    """Summarise again, from the last summary that told nothing of what was deleted on."""
    summaries = await asyncio.to_thread(agent.storage.ledger, agent.name)
    whole = [summary for summary in summaries if not summary.withdrawn]
    base = max(whole, key=lambda summary: summary.through, default=Summary())
    through = state.summary.through
    numbers = await asyncio.to_thread(agent.storage.numbers, agent.name, Shelf.RECALL, base.through + 1, through)
    items = await asyncio.to_thread(agent.storage.items, agent.name, Shelf.RECALL, numbers)
    summary = replace(base, previous=state.summary.number, first=base.through + 1, through=through)
    if items:
        room = Session(agent, replace(state, summary=Summary(), queue=())).room_tokens()
        most = min(agent.queue_limits.max_summary_tokens, max(1, int(room * _SUMMARY_SHARE)))
        new = await queue.summarised(
            agent.summarise, base, items, agent.model.count_tokens,
            max_tokens=most, max_input_tokens=int(room * _SUMMARY_INPUT_SHARE),
        )  # fmt: skip
        summary = replace(summary, text=new.text, sources=new.sources)
    await asyncio.to_thread(agent.storage.put_summary, agent.name, summary)
