"""Pages of a ranking: each fits a token limit, and a cursor says where the next begins.

A cursor holds up to which number was searched, the place of the next hit, how much of that hit was shown, and a digest
of the ranking. What others insert meanwhile has higher numbers, so the ranking comes out the same; where it does not,
because something was deleted, the digest tells.
"""

from __future__ import annotations

import json
import re
import zlib
from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from memory.errors import CursorError
from memory.records import Json

CountTokens = Callable[[Sequence[str]], list[int]]

MAX_HITS_PER_PAGE = 10
#: What a page costs beside its hits: the totals and the cursor.
PAGE_OVERHEAD_TOKENS = 60
_CURSOR = re.compile(r"(\d{1,18})\.(\d{1,18})\.(\d{1,18})\.([0-9a-f]{8})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins. ``through``: the last number searched; ``position``: hits already shown whole;
    ``offset``: characters of the next hit already shown.
    """

    through: int
    position: int = 0
    offset: int = 0
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.through}.{self.position}.{self.offset}.{self.digest}"


@dataclass(frozen=True, slots=True)
class Hit:
    """One hit: what is said of it, and its text. ``key`` identifies it, ``source`` marks text of a document."""

    key: str
    labels: dict[str, Json]
    text: str
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Hits shown, the last one perhaps in part; how many there are in all; where it goes on, if it does."""

    hits: tuple[Hit, ...]
    total: int
    next: Cursor | None

    def body(self) -> dict[str, Json]:
        """The page as a model is shown it."""
        body: dict[str, Json] = {"found": self.total, "hits": [_shown(hit) for hit in self.hits]}
        body["next_page_cursor"] = "" if self.next is None else str(self.next)
        return body


def read_cursor(text: str, through: int) -> Cursor:
    """The cursor a model gave; an empty one is the first page of what was stored up to ``through``."""
    if not text.strip():
        return Cursor(through)
    found = _CURSOR.fullmatch(text.strip())
    if found is None or int(found[1]) > through:
        raise CursorError(f"{text!r:.60} is not a cursor that was given out. Use one as it stands, or an empty one.")
    return Cursor(int(found[1]), int(found[2]), int(found[3]), found[4])


def digest_of(ranking: Sequence[int] | Sequence[str]) -> str:
    """Eight hexadecimal digits that change with the ranking."""
    numbers = [one if isinstance(one, int) else zlib.crc32(one.encode("utf-8", "replace")) for one in ranking]
    return f"{zlib.crc32(array('q', numbers).tobytes()):08x}"


async def fill(
    ranking: Sequence[int] | Sequence[str],
    fetch: Callable[[Sequence[int]], Awaitable[Sequence[Hit]]],
    cursor: Cursor,
    count_tokens: CountTokens,
    max_tokens: int,
) -> Page:
    """The page at ``cursor``, of at most ``max_tokens``; ``fetch`` gives the hits at places of the ranking.

    A hit that fits no page is split over several. Raises ``CursorError`` where the ranking is another than it was.
    """
    digest = digest_of(ranking)
    if (cursor.digest and cursor.digest != digest) or cursor.position > len(ranking):
        raise CursorError("Something among these hits was deleted or changed. Search again with an empty cursor.")
    places = range(cursor.position, min(cursor.position + MAX_HITS_PER_PAGE, len(ranking)))
    room = max(1, max_tokens - PAGE_OVERHEAD_TOKENS)
    shown: list[Hit] = []
    offset = cursor.offset
    for place, hit in zip(places, await fetch(places) if places else (), strict=True):
        rest = _from(hit, offset)
        cost = _cost(rest, count_tokens)
        if cost > room and shown:
            return Page(tuple(shown), len(ranking), Cursor(cursor.through, place, 0, digest))
        if cost > room:
            part = _beginning(rest, count_tokens, room)
            if len(part.text) < len(rest.text):
                offset += len(part.text)
                return Page((part,), len(ranking), Cursor(cursor.through, place, offset, digest))
        shown.append(rest)
        room -= cost
        offset = 0
    end = cursor.position + len(shown)
    return Page(tuple(shown), len(ranking), Cursor(cursor.through, end, 0, digest) if end < len(ranking) else None)


def _shown(hit: Hit) -> Json:
    # What comes from a document is named as a quotation, so that it is not taken for what somebody said.
    return {**hit.labels, "text": hit.text} if hit.source is None else {
        **hit.labels, "quoted_from": hit.source, "quotation": hit.text,
    }  # fmt: skip


def _cost(hit: Hit, count_tokens: CountTokens) -> int:
    return count_tokens([json.dumps(_shown(hit), ensure_ascii=False)])[0] + 2


def _from(hit: Hit, offset: int) -> Hit:
    if offset == 0:
        return hit
    return Hit(hit.key, {**hit.labels, "from_character": offset}, hit.text[offset:], hit.source)


def _beginning(hit: Hit, count_tokens: CountTokens, max_tokens: int) -> Hit:
    """As much of a hit as fits, at least one character, ended at a space where there is one near the end."""
    labels: dict[str, Json] = {**hit.labels, "goes_on": True}

    def part(length: int) -> Hit:
        return Hit(hit.key, labels, hit.text[:length], hit.source)

    length = longest(len(hit.text), lambda length: _cost(part(length), count_tokens) <= max_tokens)
    space = hit.text.rfind(" ", length - length // 8, length) + 1
    return part(max(1, space if space > 0 and length < len(hit.text) else length))


def longest(most: int, fits: Callable[[int], bool]) -> int:
    """The greatest length up to ``most`` that fits, 0 if none does; lengths are tried by doubling, then by halving."""
    low, high = 0, 1
    while high <= most and fits(high):
        low, high = high, high * 2
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
