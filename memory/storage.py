"""What a storage of memories is to the rest of the package. One contract suite holds for every backend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from memory.records import AgentState, Block, Forgotten, Item, Search, Shelf, Summary, Turn

#: A vector's place: shelf and number of its item.
Place = tuple[Shelf, int]


class Storage(Protocol):
    """Agents with their messages, entries, blocks and summaries. Safe to share between threads; several processes may
    use one storage at once. Each method is one transaction, and none calls a model.

    Agents are isolated: nothing given for one name is ever seen under another. All methods raise ``MemoryFileError``.
    """

    def agents(self) -> list[str]:
        """The names of all agents that stored something."""

    def state(self, agent: str) -> AgentState:
        """What is stored of an agent; an empty state for one that is not known."""

    def blocks(self, agent: str) -> tuple[Block, ...]:
        """An agent's blocks, in the order in which they were made."""

    def commit(self, agent: str, turn: Turn) -> int:
        """Store a turn, durably, all or nothing. The number of its last message.

        Summaries are left out where others wrote in between what makes them wrong; the next turn makes them anew.
        Raises ``BlockConflictError`` where a block's version is not the one that was edited.
        """

    def items(self, agent: str, shelf: Shelf, numbers: Sequence[int]) -> list[Item]:
        """Items by number, in the order asked for; unknown and deleted ones are left out."""

    def numbers(self, agent: str, shelf: Shelf, first: int, last: int) -> list[int]:
        """The numbers from ``first`` to ``last``, both inclusive, that are stored, ascending."""

    def find(self, agent: str, search: Search) -> list[int]:
        """The numbers of all items found, best first: see ``Search``."""

    def without_vector(self, agent: str, model: str, limit: int) -> list[tuple[Place, str]]:
        """Places and texts of searchable items that have no vector of this embedder yet, oldest first."""

    def put_vectors(self, agent: str, model: str, vectors: Sequence[tuple[Place, Sequence[float]]]) -> None:
        """Keep unit vectors; of items that were deleted meanwhile nothing is kept."""

    def nearest(
        self, agent: str, shelf: Shelf, model: str, vector: Sequence[float], through: int, limit: int
    ) -> list[int]:
        """The numbers up to ``through`` of the items most similar in meaning, best first."""

    def ledger(self, agent: str) -> list[Summary]:
        """All summaries, oldest first."""

    def put_summary(self, agent: str, summary: Summary) -> bool:
        """Put a summary in place of a withdrawn one, of which it carries the number as ``previous``.

        False, and nothing done, where that is not the agent's summary any more.
        """

    def put_block(self, agent: str, block: Block) -> Block:
        """Store one block by itself. Raises ``BlockConflictError`` as ``commit`` does."""

    def forget(self, agent: str, messages: Iterable[int] = (), entries: Iterable[int] = ()) -> Forgotten:
        """Delete items, results that quote them, their vectors and index terms, from the file's bytes too.

        Summaries that cover one of them are withdrawn.
        """

    def forget_block(self, agent: str, name: str) -> Forgotten:
        """Delete a block."""

    def forget_agent(self, agent: str) -> Forgotten:
        """Delete all of an agent."""

    def purge(self) -> bool:
        """Clear what was deleted out of the file's bytes. False where other processes' readers prevent it."""

    def close(self) -> None:
        """Give the file up."""
