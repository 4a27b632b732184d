"""Recall and archival storage as the model searches them: rankings, and pages of them that fit the window."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from memory.errors import EmbeddingError, FunctionError
from memory.functions import Result
from memory.main_context import several_sources, short_source
from memory.paging import Cursor, Hit, Page, fill, longest, read_cursor
from memory.records import SAID, Item, Json, Kind, Search, Shelf
from memory.session import Session

#: Beside all items with the words, this many are offered that only mean something similar.
_NEAREST = 30
#: Of reciprocal rank fusion (Cormack et al. 2009).
_FUSION = 60
#: Texts embedded for one search, if writing them down did not get around to it.
_EMBED_BATCH = 64

_SPEAKERS = {
    Kind.USER_MESSAGE: "user",
    Kind.REPLY: "you",
    Kind.ANSWER: "you",
    Kind.READING: "document",
    Kind.ARCHIVED: "you",
}


async def embed_new(session: Session) -> str:
    """Give vectors to what has none yet. Empty, or what went wrong: then the next one tries again."""
    embedder, storage, name = session.agent.embedder, session.agent.storage, session.agent.name
    if embedder is None:
        return ""
    while batch := await asyncio.to_thread(storage.without_vector, name, embedder.name, _EMBED_BATCH):
        try:
            vectors = await asyncio.to_thread(embedder.embed, [text for _, text in batch])
            pairs = [(place, vector) for (place, _), vector in zip(batch, vectors, strict=True)]
            await asyncio.to_thread(storage.put_vectors, name, embedder.name, pairs)
        except Exception as error:
            return f"The embedder failed ({type(error).__name__}: {error})."
    return ""


async def ranking(session: Session, shelf: Shelf, query: str, through: int) -> tuple[list[int], str]:
    """All items up to ``through`` that hold the query, the newest first, then those that hold some of its words or mean
    something similar; and, if meanings could not be compared, why.

    Where an identifier or an amount stands as it is, its parts and its meaning are not searched for: in a table of
    identifiers ``4be5`` of one stands in others as well, and a model takes those for hits.
    """
    storage, name = session.agent.storage, session.agent.name

    async def find(phrase: str = "", words: str = "") -> list[int]:
        return await asyncio.to_thread(storage.find, name, Search(shelf, phrase, words, through=through))

    exact = await find(phrase=query)
    if not query or (exact and _is_one_sign(query)):
        return exact, ""
    lists = [await find(words=query)]
    problem = ""
    if session.agent.embedder is not None:
        problem = await embed_new(session)
        if not problem:
            try:
                vectors = await asyncio.to_thread(session.agent.embedder.embed_queries, [query])
                model = session.agent.embedder.name
                near = await asyncio.to_thread(storage.nearest, name, shelf, model, vectors[0], through, _NEAREST)
                lists.append(near)
            except EmbeddingError as error:
                problem = str(error)
            except Exception as error:
                problem = f"The embedder failed ({type(error).__name__}: {error})."
    found = set(exact)
    return exact + [number for number in _fused(lists) if number not in found], problem


def _is_one_sign(query: str) -> bool:
    """Whether it is one word with digits or marks in it, like ``b62acdc6-db88`` or ``$1,234.5``.

    A sentence of a script without spaces is none, though it ends in a mark.
    """
    word = query.strip()
    return word.isascii() and not word.isalpha() and not re.search(r"\s", word)


def _fused(lists: Sequence[Sequence[int]]) -> list[int]:
    if len(lists) == 1:
        return list(lists[0])
    scores: dict[int, float] = {}
    for ranked in lists:
        for place, number in enumerate(ranked):
            scores[number] = scores.get(number, 0.0) + 1 / (_FUSION + place)
    return sorted(scores, key=lambda number: (-scores[number], -number))


async def search_recall(session: Session, query: str, cursor_text: str) -> Result:
    """``recall_search``. Messages of this turn that scrolled out come first."""
    last = session.state.last_message
    cursor = read_cursor(cursor_text, last + len(session.messages))
    stored, problem = await ranking(session, Shelf.RECALL, query, min(cursor.through, last))
    pending = [item.number for item in _pending(session) if query.casefold() in item.text.casefold()]
    page = await _page(session, Shelf.RECALL, _upto(cursor, pending) + stored, cursor)
    return await _result(session, Shelf.RECALL, page, problem)


async def search_recall_dates(session: Session, first: str, last: str, cursor_text: str) -> Result:
    """``recall_search_date``: all messages of some days, the newest first."""
    since, until = _day(session, first, "start"), _day(session, last, "end")
    if until < since:
        raise FunctionError(f"The last date, {last}, is before the first, {first}.")
    cursor = read_cursor(cursor_text, session.state.last_message + len(session.messages))
    search = Search(Shelf.RECALL, since=since, until=until, through=min(cursor.through, session.state.last_message))
    stored = await asyncio.to_thread(session.agent.storage.find, session.agent.name, search)
    pending = [item.number for item in _pending(session) if since <= item.time <= until]
    page = await _page(session, Shelf.RECALL, _upto(cursor, pending) + stored, cursor)
    return await _result(session, Shelf.RECALL, page, "")


def _pending(session: Session) -> list[Item]:
    return [item for item in session.hidden() if item.kind in SAID]


def _upto(cursor: Cursor, numbers: list[int]) -> list[int]:
    return [number for number in numbers if number <= cursor.through]


def _day(session: Session, text: str, edge: Literal["start", "end"]) -> datetime:
    """A date's first or last instant in the agent's zone, or the instant that a date with a time names."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise FunctionError(f"{text!r:.40} is not a date. Write dates like 2024-01-31.") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=session.agent.zone)
    try:
        if edge == "end" and len(text.strip()) <= len("2024-01-31"):
            moment += timedelta(days=1) - timedelta(microseconds=1)
        return moment
    except OverflowError:
        return moment


async def read_message(session: Session, number: int, start: int) -> Result:
    """``recall_read``: one message's text from a character on, as much as a page holds."""
    waiting = [item for item in session.messages if item.number == number]
    items = waiting or await asyncio.to_thread(session.agent.storage.items, session.agent.name, Shelf.RECALL, [number])
    if not items or number < 1:
        raise FunctionError(f"There is no message {number}. There are messages 1 to {session.state.last_message}.")
    item = items[0]
    if not 0 <= start < max(1, len(item.text)):
        raise FunctionError(f"Message {number} has {len(item.text)} characters; {start} is not within.")
    rest, most = item.text[start:], max(1, session.page_tokens() // 2)
    count = session.agent.model.count_tokens
    length = max(1, longest(len(rest), lambda length: count([rest[:length]])[0] <= most)) if rest else 0
    labels: dict[str, Json] = {**_labels(item), "from_character": start, "of_characters": len(item.text)}
    end = start + length
    labels["next_from_character"] = end if end < len(item.text) else -1
    text: dict[str, Json] = {"text": rest[:length]}
    if item.source is not None:
        text = {"quoted_from": short_source(item.source), "quotation": rest[:length]}
    return Result({**labels, **text}, item.source, frozenset({number}), shown_again=True)


async def search_archive(session: Session, query: str, cursor_text: str) -> Result:
    """``archival_search``: the agent's own entries and the archive's excerpts, best of both first."""
    last = session.state.last_entry
    cursor = read_cursor(cursor_text, last + len(session.entries))
    stored, problem = await ranking(session, Shelf.ARCHIVAL, query, min(cursor.through, last))
    pending = [entry.number for entry in session.entries if query.casefold() in entry.text.casefold()][::-1]
    own = [f"own:{number}" for number in _upto(cursor, pending) + stored]
    archive = session.agent.archive
    outside = [] if archive is None or not query else [f"archive:{key}" for key in await archive.rank(query)]
    page = await _mixed_page(session, _interleaved(own, outside), cursor)
    return await _result(session, Shelf.ARCHIVAL, page, problem)


def _interleaved(first: Sequence[str], second: Sequence[str]) -> list[str]:
    shorter = min(len(first), len(second))
    mixed = [key for pair in zip(first, second, strict=False) for key in pair]
    return [*mixed, *first[shorter:], *second[shorter:]]


async def _mixed_page(session: Session, keys: Sequence[str], cursor: Cursor) -> Page:
    archive = session.agent.archive

    async def fetch(places: Sequence[int]) -> Sequence[Hit]:
        wanted = [keys[place] for place in places]
        own = await _own(session, Shelf.ARCHIVAL, [int(key[4:]) for key in wanted if key.startswith("own:")])
        outside = [key.removeprefix("archive:") for key in wanted if key.startswith("archive:")]
        excerpts = await archive.fetch(outside) if archive is not None and outside else []
        hits = {hit.key: hit for hit in own}
        for key, excerpt in zip(outside, excerpts, strict=True):
            hits[f"archive:{key}"] = Hit(f"archive:{key}", {}, excerpt.text, short_source(excerpt.source))
        return [hits[key] for key in wanted]

    return await fill(keys, fetch, cursor, session.agent.model.count_tokens, session.page_tokens())


async def _page(session: Session, shelf: Shelf, numbers: Sequence[int], cursor: Cursor) -> Page:
    async def fetch(places: Sequence[int]) -> Sequence[Hit]:
        return await _own(session, shelf, [numbers[place] for place in places])

    return await fill(numbers, fetch, cursor, session.agent.model.count_tokens, session.page_tokens())


async def _own(session: Session, shelf: Shelf, numbers: Sequence[int]) -> list[Hit]:
    """Hits of own items. One that was deleted between ranking and reading says so."""
    waiting = session.messages if shelf is Shelf.RECALL else session.entries
    first = (session.state.last_message if shelf is Shelf.RECALL else session.state.last_entry) + 1
    stored = [number for number in numbers if number < first]
    items = await asyncio.to_thread(session.agent.storage.items, session.agent.name, shelf, stored)
    by_number = {item.number: item for item in [*items, *waiting]}
    return [_hit(shelf, number, by_number.get(number)) for number in numbers]


def _hit(shelf: Shelf, number: int, item: Item | None) -> Hit:
    key = str(number) if shelf is Shelf.RECALL else f"own:{number}"
    if item is None:
        return Hit(key, {"deleted": True}, "")
    return Hit(key, _labels(item), item.text, None if item.source is None else short_source(item.source))


def _labels(item: Item) -> dict[str, Json]:
    time = item.time.isoformat(sep=" ", timespec="minutes")
    number = "entry" if item.kind is Kind.ARCHIVED else "message"
    return {number: item.number, "time": time, "from": _SPEAKERS.get(item.kind, item.kind.value)}


async def _result(session: Session, shelf: Shelf, page: Page, problem: str) -> Result:
    body = page.body()
    if problem:
        body["note"] = f"Found by words alone: {problem:.200}"
    sources = list(dict.fromkeys(hit.source for hit in page.hits if hit.source is not None))
    quotes = frozenset(int(hit.key) for hit in page.hits) if shelf is Shelf.RECALL else frozenset()
    # Text of the archive is found in the archive again; it need not be found in recall storage too.
    return Result(body, several_sources(sources) or None, quotes, shown_again=True)
