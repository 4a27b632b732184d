"""A turn under way: a window over what is stored of an agent, and what the turn has changed. Nothing is stored before
``commit``.

A session is for one turn and one task. The loop in ``loop`` drives it for a model that decides; a program that decides
itself may drive it too: ``add`` what happens, ask for a ``request``, ``commit``.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from memory import queue, working
from memory.agent import Agent
from memory.errors import BlockConflictError, FunctionError
from memory.functions import Function
from memory.main_context import shown_sources
from memory.records import AgentState, Block, Item, Kind, Shelf, Summary, Turn, numbered, storable
from memory.trust import quarantine_name, said_by_user
from memory.window import SUMMARY_INPUT_SHARE, SUMMARY_SHARE, Window

_PAGE_SHARE = 0.2


class Session(Window):
    """See above. Open one with ``open_session``."""

    def __init__(self, agent: Agent, state: AgentState, functions: tuple[Function, ...] = ()) -> None:
        super().__init__(agent.frame(), state, functions)
        self.agent = agent
        #: Set by whoever knows that the user asked for it: writes are not quarantined in this turn.
        self.writes_allowed = False
        self._edited: set[str] = set()

    def page_tokens(self) -> int:
        """What one page of search results may have."""
        return min(self.agent.page_tokens, int(self.room_tokens() * _PAGE_SHARE))

    def keep(self, entry: Item) -> Item:
        """Put an entry into archival storage as it is; its number may still change when it is stored."""
        entry = numbered(replace(entry, text=storable(entry.text)), self.state.last_entry + len(self.entries) + 1)
        self.entries.append(entry)
        return entry

    # working context -------------------------------------------------------------------------------------------
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
        most = min(agent.queue_limits.max_summary_tokens, max(1, int(room * SUMMARY_SHARE)))
        new = await queue.summarised(
            agent.summarise, base, items, agent.model.count_tokens,
            max_tokens=most, max_input_tokens=int(room * SUMMARY_INPUT_SHARE),
        )  # fmt: skip
        summary = replace(summary, text=new.text, sources=new.sources)
    await asyncio.to_thread(agent.storage.put_summary, agent.name, summary)
