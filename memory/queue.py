"""The queue manager: when to warn, what to evict, and the recursive summary of it. Nothing here stores anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memory.errors import SummaryError
from memory.main_context import Shown, package
from memory.paging import CountTokens, longest
from memory.protocols import Summarise
from memory.records import Item, Kind, Summary

_RESULTS = frozenset({Kind.RESULT, Kind.READING, Kind.ANSWER})
#: Not worth a word of the summary: the one repeats what is stored elsewhere, the other was for the moment.
_PASSING = frozenset({Kind.RESULT, Kind.PRESSURE})

WARNING = (
    "The conversation nears the limit of what is shown to you; older messages will soon be summarised and put away. "
    "Save what you need with working_append or archival_insert. recall_search finds the rest."
)


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Shares of the budget, as in the paper: warn at 70%, flush at 100%, evict half."""

    warn_share: float = 0.7
    evict_share: float = 0.5
    max_summary_tokens: int = 400


def evicted_count(items: Sequence[Item], tokens: Sequence[int], evict_tokens: float) -> int:
    """How many of the oldest messages to evict, so that about ``evict_tokens`` go.

    The newest message stays, and a result stays with its call.
    """
    count, freed = 0, 0
    while count < len(items) - 1 and freed < evict_tokens:
        freed += tokens[count]
        count += 1
    while 0 < count < len(items) and items[count].kind in _RESULTS:
        count += 1
    if count < len(items):
        return count
    count -= 1  # the newest is a result: it and its call stay
    while count > 0 and items[count].kind in _RESULTS:
        count -= 1
    return count


async def summarised(
    summarise: Summarise,
    previous: Summary,
    evicted: Sequence[Item],
    count_tokens: CountTokens,
    *,
    max_tokens: int,
    max_input_tokens: int,
) -> Summary:
    """The next summary: of the previous one and of what is evicted, in batches that ``summarise`` can read.

    Raises ``SummaryError`` where it gives nothing; what it raises itself becomes one.
    """
    told = [item for item in evicted if item.kind not in _PASSING]
    text = "" if previous.withdrawn else previous.text
    for batch in _batches(told, count_tokens, max(1, max_input_tokens - max_tokens)):
        try:
            text = (await summarise(text, batch, max_tokens)).strip()
        except Exception as error:
            raise SummaryError(
                f"Summarising {len(evicted)} messages failed ({type(error).__name__}: {error}); nothing was evicted. "
                "Check the model, then send the message again."
            ) from error
        if not text:
            raise SummaryError(
                f"The summary of {len(evicted)} messages came out empty; nothing was evicted. "
                "Send the message again, or use a larger model."
            )
        text = text[: longest(len(text), lambda length, text=text: count_tokens([text[:length]])[0] <= max_tokens)]  # type: ignore[misc]
    sources = {item.source for item in evicted if item.source is not None}
    return Summary(
        previous=previous.number,
        first=previous.through + 1,
        through=max(item.number for item in evicted),
        text=text,
        sources=previous.sources | sources,
    )


def _batches(items: Sequence[Item], count_tokens: CountTokens, max_tokens: int) -> list[list[str]]:
    """Packages in order, each batch within ``max_tokens``; of a message that is larger the beginning is taken."""
    batches: list[list[str]] = []
    room = 0
    for item, tokens in zip(items, count_tokens([package(Shown(item)) for item in items]), strict=True):
        shown = Shown(item) if tokens <= max_tokens else clipped(item, count_tokens, max_tokens)
        cost = min(tokens, max_tokens)
        if cost > room or not batches:
            batches.append([])
            room = max_tokens
        batches[-1].append(package(shown))
        room -= cost
    return batches


def clipped(item: Item, count_tokens: CountTokens, max_tokens: int) -> Shown:
    """As much of a message's beginning as fits ``max_tokens``."""

    def fits(length: int) -> bool:
        return count_tokens([package(Shown(item, length))])[0] <= max_tokens

    return Shown(item, longest(len(item.text), fits))
