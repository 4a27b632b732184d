"""Pages: complete, true totals, within the window, steady while others insert."""

from __future__ import annotations

import json
import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_doubles import NOON, LetterEmbedder, ListArchive, ScriptedModel, agent_in, replies, say, tokens

from memory.agent import Agent
from memory.errors import CursorError, FunctionError
from memory.protocols import Excerpt
from memory.recall import embed_new, read_message, search_archive, search_recall, search_recall_dates
from memory.records import Item, Kind, Search, Shelf, Turn
from memory.session import open_session
from memory.storage import Storage


def agent_of(folder: Path, window: int = 4000, **more: Any) -> Agent:
    return agent_in(folder, ScriptedModel(replies(say("")), window), **more)


def insert(storage: Storage, *texts: str, shelf: Shelf = Shelf.RECALL, source: str | None = None) -> None:
    state = storage.state("ana")
    kind = Kind.USER_MESSAGE if shelf is Shelf.RECALL else Kind.ARCHIVED
    items = tuple(Item(kind, text, NOON, source) for text in texts)
    messages, entries = (items, ()) if shelf is Shelf.RECALL else ((), items)
    storage.commit("ana", Turn(state.last_message, 0, messages, entries))


async def all_pages(agent: Agent, query: str, shelf: Shelf, meanwhile: Any = lambda: None) -> list[dict[str, Any]]:
    """Pages until the last, each read in a turn of its own, as after a restart."""
    cursor, pages = "", []
    while True:
        session = await open_session(agent)
        search = search_recall if shelf is Shelf.RECALL else search_archive
        body: Any = (await search(session, query, cursor)).body
        assert tokens(json.dumps(body, ensure_ascii=False)) <= session.page_tokens()
        pages.append(body)
        cursor = body["next_page_cursor"]
        if not cursor:
            return pages
        assert len(pages) < 500
        meanwhile()


def joined(pages: list[dict[str, Any]], label: str) -> list[tuple[int, str]]:
    """Hits with the parts of split ones put together."""
    hits: list[tuple[int, str]] = []
    for hit in (hit for page in pages for hit in page["hits"]):
        if hit.get("from_character"):
            number, text = hits.pop()
            assert number == hit[label]
            assert len(text) == hit["from_character"]
            hits.append((number, text + hit["text"]))
        else:
            hits.append((hit[label], hit["text"]))
    return hits


TEXTS = st.lists(
    st.builds("{0} {1}".format, st.sampled_from(["red", "blue red" * 60, "检索red" * 200, "none"]), st.integers(0, 99)),
    min_size=1,
    max_size=25,
)  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(texts=TEXTS, window=st.sampled_from([2000, 8000]), shelf=st.sampled_from(list(Shelf)))
@pytest.mark.parametrize("query", ["red", "", "blue things"])
async def test_the_pages_together_are_the_ranking(texts: list[str], window: int, shelf: Shelf, query: str) -> None:
    with TemporaryDirectory() as folder:
        agent = agent_of(Path(folder), window)
        insert(agent.storage, *texts, shelf=shelf)
        exact = agent.storage.find("ana", Search(shelf, phrase=query))
        words = agent.storage.find("ana", Search(shelf, words=query)) if query else []
        ranking = exact + [number for number in words if number not in exact]
        chance = random.Random(1)

        def meanwhile() -> None:
            insert(agent.storage, *["red and blue things"] * chance.randrange(3), shelf=shelf)

        pages = await all_pages(agent, query, shelf, meanwhile)
        assert joined(pages, "message" if shelf is Shelf.RECALL else "entry") == [
            (number, texts[number - 1]) for number in ranking
        ]
        assert {page["found"] for page in pages} == {len(ranking)}
        agent.storage.close()


async def test_meaning_adds_to_words_and_pages_stay_complete(tmp_path: Path) -> None:
    agent = agent_of(tmp_path, embedder=LetterEmbedder())
    insert(agent.storage, "listen to it", "a banana", "silent", *(f"other {n}" for n in range(40)))
    pages = await all_pages(agent, "silent", Shelf.RECALL, lambda: insert(agent.storage, "tinsel"))
    numbers = [number for number, _ in joined(pages, "message")]
    assert numbers[:2] == [3, 1]
    assert len(numbers) == len(set(numbers)) == pages[0]["found"]


@pytest.mark.parametrize("embedder", [None, LetterEmbedder()])
async def test_an_identifier_is_found_alone_and_its_parts_only_where_it_is_not(tmp_path: Path, embedder: Any) -> None:
    agent = agent_of(tmp_path, embedder=embedder)
    one, other = "b62acdc6-db88-4be5-a82d-f347d1a528fc", "49cd3619-c4a9-4be5-9dc6-8d2b4edd34f1"
    insert(
        agent.storage, f"a key: {one}", f"another: {other}", "it cost $1,234.5", "and $1,234.9", "4be5 runs", "he ran"
    )

    async def found(query: str) -> list[int]:
        return [number for number, _ in joined(await all_pages(agent, query, Shelf.RECALL), "message")]

    assert await found(one) == [1]
    assert await found("$1,234.5") == [3]
    assert set(await found("00000000-4be5")) >= {1, 2, 5}
    assert set(await found(f"{one} runs")) >= {1, 2, 5}


async def test_a_question_of_a_script_without_spaces_is_no_identifier(tmp_path: Path) -> None:
    agent = agent_of(tmp_path)
    insert(agent.storage, "谁救了船长？", "约纳斯救了船长。")
    hits = joined(await all_pages(agent, "谁救了船长？", Shelf.RECALL), "message")
    assert [number for number, _ in hits] == [1, 2]


async def test_a_failing_embedder_is_said_and_words_still_find(tmp_path: Path) -> None:
    embedder = LetterEmbedder()
    agent = agent_of(tmp_path, embedder=embedder)
    insert(agent.storage, "silent night")
    embedder.failure = OSError("no such model")
    session = await open_session(agent)
    body: Any = (await search_recall(session, "silent", "")).body
    assert body["found"] == 1
    assert "no such model" in body["note"]
    assert "no such model" in await embed_new(session)
    embedder.failure = None
    assert await embed_new(session) == ""
    assert agent.storage.without_vector("ana", "letters", 9) == []


async def test_a_deleted_hit_is_told_and_not_skipped(tmp_path: Path) -> None:
    agent = agent_of(tmp_path)
    insert(agent.storage, *(f"red {n}" for n in range(40)))
    session = await open_session(agent)
    body: Any = (await search_recall(session, "red", "")).body
    agent.storage.forget("ana", [35])
    with pytest.raises(CursorError, match="Search again"):
        await search_recall(session, "red", body["next_page_cursor"])


@pytest.mark.parametrize("cursor", ["2", "1.2.3.zzzzzzzz", "99999.0.0.00000000", "-1.0.0.00000000", "x" * 900])
async def test_a_cursor_that_was_not_given_out_is_an_error(tmp_path: Path, cursor: str) -> None:
    session = await open_session(agent_of(tmp_path))
    with pytest.raises(CursorError, match="cursor"):
        await search_recall(session, "red", cursor)


async def test_dates_as_a_model_writes_them(tmp_path: Path) -> None:
    agent = agent_of(tmp_path)
    insert(agent.storage, "on the day")
    session = await open_session(agent)
    for first, last, found in [
        ("2024-01-20", "2024-01-20", 1), ("2024-01-19", "2024-01-20", 1), ("2024-01-21", "2024-01-22", 0),
        ("2024-01-20T12:00", "2024-01-20T12:00", 1), ("2024-01-20T12:01", "2024-01-20", 0),
        ("0001-01-01", "9999-12-31", 1),
    ]:  # fmt: skip
        body: Any = (await search_recall_dates(session, first, last, "")).body
        assert body["found"] == found, (first, last)
    with pytest.raises(FunctionError, match="2024-01-31"):
        await search_recall_dates(session, "yesterday", "2024-01-20", "")
    with pytest.raises(FunctionError, match="before"):
        await search_recall_dates(session, "2024-01-20", "2024-01-19", "")


async def test_archival_search_covers_own_entries_and_the_archive_with_its_sources(tmp_path: Path) -> None:
    excerpts = [Excerpt(f"the tide mill, part {n} " + "long " * (700 if n == 3 else 3), f"mill.pdf, page {n}")
                for n in range(30)]  # fmt: skip
    agent = agent_of(tmp_path, archive=ListArchive(excerpts))
    insert(agent.storage, "my tide note", "something else", shelf=Shelf.ARCHIVAL)

    def meanwhile() -> None:
        insert(agent.storage, "a tide", shelf=Shelf.ARCHIVAL)

    pages = await all_pages(agent, "tide", Shelf.ARCHIVAL, meanwhile)
    hits = [hit for page in pages for hit in page["hits"]]
    assert {page["found"] for page in pages} == {31}
    assert hits[0] == {"entry": 1, "time": "2024-01-20 12:00+00:00", "from": "you", "text": "my tide note"}
    quoted: dict[str, str] = {}
    for hit in hits[1:]:
        assert "text" not in hit
        quoted[hit["quoted_from"]] = quoted.get(hit["quoted_from"], "") + hit["quotation"]
    assert quoted == {excerpt.source: excerpt.text for excerpt in excerpts}


async def test_an_archive_that_changed_between_pages_is_told(tmp_path: Path) -> None:
    archive = ListArchive([Excerpt(f"tide {n} " * 9, "a.pdf") for n in range(40)])
    session = await open_session(agent_of(tmp_path, archive=archive))
    body: Any = (await search_archive(session, "tide", "")).body
    archive.excerpts.insert(0, Excerpt("no match", "b.pdf"))
    with pytest.raises(CursorError, match="Search again"):
        await search_archive(session, "tide", body["next_page_cursor"])


@pytest.mark.parametrize(("number", "start"), [(0, 0), (2, 0), (-1, 0), (1, 5), (1, -1)])
async def test_reading_what_is_not_there_is_an_error(tmp_path: Path, number: int, start: int) -> None:
    agent = agent_of(tmp_path)
    insert(agent.storage, "short")
    with pytest.raises(FunctionError):
        await read_message(await open_session(agent), number, start)
