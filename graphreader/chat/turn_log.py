"""What happens to documents within one turn of a conversation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from graphreader.agent.evidence import Excerpt, support
from graphreader.agent.evidence import cite as quote_of
from graphreader.records import Answer, Citation, Document, Passage, Usage

#: A quote is shown beside a reply if it holds this share of the reply's own words.
_STATED = 0.5
_MAX_CITATIONS = 4


@dataclass(slots=True)
class TurnLog:
    """Filled as the turn goes on. ``answer``: the verified one that was sent as it stands."""

    answer: Answer | None = None
    read: list[Excerpt] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    #: Questions to which the documents gave no answer, and whether any was asked.
    unanswered: list[str] = field(default_factory=list)

    def spend(self, usage: Usage) -> None:
        """Count what a call cost."""
        self.usage += usage

    def read_passages(self, passages: Sequence[Passage]) -> None:
        """Passages were shown to the model."""
        self.read += [Excerpt(one.document_id, one.chunk_id, one.start, one.end, 0, 0.0) for one in passages]

    @property
    def read_documents(self) -> bool:
        """Whether anything was looked up in documents."""
        return self.answer is not None or bool(self.read) or bool(self.unanswered)


def citations_of(
    reply: str, message: str, read: Sequence[Excerpt], document: Callable[[str], Document]
) -> tuple[Citation, ...]:
    """Quotes of what the model read that state a reply it wrote itself, the best first; none where nothing does."""
    documents = {one: document(one) for one in dict.fromkeys(excerpt.document_id for excerpt in read)}
    found = [quote_of(excerpt, reply, message, documents[excerpt.document_id]) for excerpt in dict.fromkeys(read)]
    worth = {one: support(reply, message, one.quote) for one in found if one is not None}
    stated = sorted((one for one in worth if worth[one] >= _STATED), key=lambda one: -worth[one])
    return tuple(stated[:_MAX_CITATIONS])
