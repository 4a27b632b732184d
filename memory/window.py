"""What is shown of a queue and of working context within a budget: warned, cut, evicted, summarised. Stores nothing.

An agent's turn is a window with storage behind it (``session``). A program that keeps its own records, as an explorer
does, opens a window over them: ``add`` what was read, ask for a ``request``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from memory import queue
from memory.errors import BudgetError
from memory.functions import Function, describe
from memory.main_context import Shown, View, package, request
from memory.paging import longest
from memory.protocols import Model, Summarise
from memory.queue import QueueLimits
from memory.records import AgentState, Block, Item, Kind, PromptMessage, Summary, numbered, storable

#: For each attempt to shrink a request: how much of the room beside the system message to fill, since templates cost
#: what no sum of parts foresees; and what one message may have of it. After the first, the turn's event, a call, its
#: result and the summary fit together.
_ATTEMPTS = ((1.0, 0.5), (0.7, 0.15), (0.4, 0.07))
SUMMARY_SHARE = 0.25
#: Of the warning's share: what stands before a warning costs a little less when counted part by part.
_WARNED_SHARE = 0.85
SUMMARY_INPUT_SHARE = 0.6
_MESSAGE_OVERHEAD_TOKENS = 8

#: Makes a request of all there is to show.
Render = Callable[[View], list[PromptMessage]]


def no_excerpts() -> int:
    """There is no archive."""
    return 0


def now() -> datetime:
    """The time, aware of its zone."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Frame:
    """What a window is made with. ``budget_tokens``: what a request may have, the window less the reply's reserve.

    ``render`` gives the request its form; ``excerpt_count`` tells how much an archive holds.
    """

    model: Model
    summarise: Summarise
    budget_tokens: int
    instructions: str = ""
    blocks: tuple[Block, ...] = ()
    queue_limits: QueueLimits = field(default_factory=QueueLimits)
    clock: Callable[[], datetime] = now
    excerpt_count: Callable[[], int] = no_excerpts
    render: Render = request


class Window:
    """See above. For one task; ``state`` is what was there before."""

    def __init__(self, frame: Frame, state: AgentState, functions: tuple[Function, ...] = ()) -> None:
        self.frame = frame
        self.state = state
        self.functions = functions
        self.summary = state.summary
        self.messages: list[Item] = []
        self.entries: list[Item] = []
        self.evicted_messages = 0
        self._summaries: list[Summary] = []
        self._blocks = {block.name: block for block in (*state.blocks, *_new_blocks(frame, state))}
        self._shown: dict[int, int] = {}  # message -> characters shown, of those that are cut
        self._max_summary_tokens: int | None = None

    # what happens ----------------------------------------------------------------------------------------------
    def add(self, item: Item) -> Item:
        """Put a message at the end of the queue; its number may still change when it is stored."""
        item = numbered(replace(item, text=storable(item.text)), self.state.last_message + len(self.messages) + 1)
        self.messages.append(item)
        return item

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
            messages = self.frame.render(self._view())
            tokens = self.frame.model.count_prompt_tokens(messages)
            if tokens <= self.frame.budget_tokens:
                if not warn or not self._must_warn(tokens):
                    return messages
                self.add(Item(Kind.PRESSURE, queue.WARNING, self.frame.clock()))
                messages = self.frame.render(self._view())
                tokens = self.frame.model.count_prompt_tokens(messages)
                if tokens <= self.frame.budget_tokens:
                    return messages
            if shrinks < len(_ATTEMPTS):
                await self._shrink(*_ATTEMPTS[shrinks])
        raise BudgetError(tokens, self.frame.budget_tokens, f"{len(_ATTEMPTS)} attempts to shrink it were not enough")

    def room_tokens(self) -> int:
        """What the budget leaves beside the system message. Raises ``BudgetError`` where that is nothing."""
        empty = replace(self._view(), queue=(), summary=Summary())
        used = self.frame.model.count_prompt_tokens(self.frame.render(empty))
        room = self.frame.budget_tokens - used
        if room <= 0:
            raise BudgetError(used, self.frame.budget_tokens, "instructions, functions and working context fill it")
        return room

    def _must_warn(self, tokens: int) -> bool:
        budget, share = self.frame.budget_tokens, self.frame.queue_limits.warn_share
        if tokens <= share * budget:
            return False
        # A warning is for the time until the next eviction: one that has as much before it is of this time.
        later = list(itertools.takewhile(lambda item: item.kind is not Kind.PRESSURE, self.queue[::-1]))
        if len(later) == len(self.queue):
            return True
        later_tokens = sum(self.frame.model.count_tokens([package(Shown(item)) for item in later]))
        return tokens - later_tokens < _WARNED_SHARE * share * budget

    def _view(self) -> View:
        blocks = list(self._blocks.values())
        tokens = self.frame.model.count_tokens([block.text for block in blocks])
        return View(
            self.frame.instructions,
            describe(self.functions),
            tuple(zip(blocks, tokens, strict=True)),
            self.state.last_message + len(self.messages),
            self.state.last_entry + len(self.entries),
            self.frame.excerpt_count(),
            self.frame.clock(),
            self._shown_summary(),
            tuple(Shown(item, self._shown.get(item.number)) for item in self.queue),
        )

    def _shown_summary(self) -> Summary:
        if self._max_summary_tokens is None:
            return self.summary
        most, count, text = self._max_summary_tokens, self.frame.model.count_tokens, self.summary.text
        return replace(self.summary, text=text[: longest(len(text), lambda end: count([text[:end]])[0] <= most)])

    async def _shrink(self, aim_share: float, message_share: float) -> None:
        """Show less: the beginnings of messages that are too large, then fewer messages."""
        room = self.room_tokens()
        aim, most = room * aim_share, max(1, int(room * message_share))
        self._max_summary_tokens = max(1, int(aim * SUMMARY_SHARE))
        event, unevicted = self._cut(self._kept_event(), most), self._cut(self._unevicted(), most)
        over = sum(event) + sum(unevicted) - aim * (1 - SUMMARY_SHARE)
        if over > 0:
            kept = aim * (1 - self.frame.queue_limits.evict_share)
            await self._evict(queue.evicted_count(self._unevicted(), unevicted, sum(unevicted) - kept))

    def _cut(self, items: list[Item], max_tokens: int) -> list[int]:
        """Show no more than the beginning of messages that are too large. What each then costs."""
        count = self.frame.model.count_tokens
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
            self.frame.summarise,
            self.summary,
            evicted,
            self.frame.model.count_tokens,
            max_tokens=min(self.frame.queue_limits.max_summary_tokens, max(1, int(room * SUMMARY_SHARE))),
            max_input_tokens=int(room * SUMMARY_INPUT_SHARE),
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


def _new_blocks(frame: Frame, state: AgentState) -> list[Block]:
    known = {block.name for block in state.blocks}
    return [block for block in frame.blocks if block.name not in known]
