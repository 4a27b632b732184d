"""The contract of every storage of memories: turns, search, several processes, deletion."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from contract.library_contract import start_python
from contract.memory_contract import NOON, bytes_of, keep, open_memory_place, put, said, say
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory.errors import BlockConflictError, EmbeddingError
from memory.records import AgentState, Block, Kind, Search, Shelf, Summary, Turn
from memory.storage import Storage

AWKWARD = [
    "O'Reilly wrote it", "it cost $1,234.5 then", "id 0b9e4c1e-7d55-4f0a-9c1e-3f2a7b6d5e4f.", "salt AND pepper, NOT OR",
    "检索增强生成", "他说：检", "NEAR(\"a\" b)* ^x -y", "50% of a_b", "\\ backslash \" quote", "🙂 smile 🙂🙂",
    "naïve Straße İstanbul",
    "ends with nul \x00 inside", "x" * 300 + "needle" + "y" * 300,
    "  spaces  ", "ひらがなとカタカナ", "a\nb\tc",
]  # fmt: skip


def find(storage: Storage, phrase: str, shelf: Shelf = Shelf.RECALL, agent: str = "ana") -> list[int]:
    return storage.find(agent, Search(shelf, phrase=phrase))


def test_an_unknown_agent_has_nothing(storage: Storage) -> None:
    assert storage.state("nobody") == AgentState("nobody")
    assert storage.agents() == []
    assert storage.find("nobody", Search(Shelf.RECALL, phrase="a")) == []
    assert storage.items("nobody", Shelf.RECALL, [1]) == []


def test_gives_back_a_turn_after_reopening(storage: Storage, memory_place: str) -> None:
    messages = [said("Hello"), said("Hi!", 0.5, Kind.REPLY), said("from a book", 1, Kind.READING, "book.pdf")]
    entry = said("kept", 2, Kind.ARCHIVED)
    block = Block("human", "Name: Ana", 50, "the user")
    state = put(storage, "ana", messages, [entry], [block])
    assert (state.last_message, state.last_entry) == (3, 1)
    assert state.blocks == (replace(block, version=1),)
    assert [replace(item, number=0) for item in state.queue] == messages
    storage.close()
    again = open_memory_place(memory_place)
    assert again.state("ana") == state
    assert again.items("ana", Shelf.RECALL, [3, 9, 1]) == [state.queue[2], state.queue[0]]
    assert [replace(item, number=0) for item in again.items("ana", Shelf.ARCHIVAL, [1])] == [entry]
    assert again.numbers("ana", Shelf.RECALL, 2, 9) == [2, 3]
    assert again.agents() == ["ana"]
    again.close()


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_text_is_found_by_all_of_its_parts(storage: Storage, text: str) -> None:
    say(storage, "ana", "something else", text)
    assert storage.items("ana", Shelf.RECALL, [2])[0].text == text
    for length in {1, 2, 3, 5, 8, len(text)}:
        for start in range(max(1, len(text) - length + 1)):
            phrase = text[start : start + length]
            assert 2 in find(storage, phrase), phrase
            assert 2 in find(storage, phrase.upper() if phrase.isascii() else phrase)


#: Each example has an agent of its own.
NUMBERS = itertools.count()
TEXTS = st.text(alphabet="abAB1 .'$_é检索生ßİǰ", max_size=14) | st.sampled_from(AWKWARD)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS, min_size=1, max_size=8), data=st.data())
def test_a_phrase_is_found_exactly_where_a_scan_finds_it(
    storage: Storage, texts: list[str], data: st.DataObject
) -> None:
    agent = f"agent {next(NUMBERS)}"
    say(storage, agent, *texts)
    text = data.draw(st.sampled_from(texts))
    start = data.draw(st.integers(0, len(text)))
    phrase = data.draw(st.just(text[start : start + data.draw(st.integers(1, 6))]) | TEXTS)
    expected = [number for number, one in enumerate(texts, 1) if phrase.casefold() in one.casefold()]
    assert find(storage, phrase, agent=agent) == expected[::-1]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hours=st.lists(st.integers(-60, 60), max_size=12), since=st.integers(-60, 60), length=st.integers(0, 60))
def test_dates_are_inclusive(storage: Storage, hours: list[int], since: int, length: int) -> None:
    agent = f"agent {next(NUMBERS)}"
    put(storage, agent, [said(f"at {hour}", hour) for hour in hours])
    first, last = NOON + timedelta(hours=since), NOON + timedelta(hours=since + length)
    found = storage.find(agent, Search(Shelf.RECALL, since=first, until=last))
    expected = [number for number, hour in enumerate(hours, 1) if since <= hour <= since + length]
    assert found == expected[::-1]
    both = storage.find(agent, Search(Shelf.RECALL, phrase="at", since=first))
    assert both == [number for number, hour in enumerate(hours, 1) if hour >= since][::-1]


def test_words_are_ranked_by_how_rare_they_are_and_calls_are_left_out(storage: Storage) -> None:
    say(storage, "ana", "the adoption agency called", "the weather", "the adoption", "the cat", "adopted dogs")
    say(storage, "ana", "the adoption agency", kind=Kind.CALL)
    assert storage.find("ana", Search(Shelf.RECALL, words="the adoption agency")) == [1, 3, 4, 2, 5]
    assert storage.find("ana", Search(Shelf.RECALL, words="adoption")) == [3, 1, 5]
    assert find(storage, "the adoption agency") == [1]
    assert storage.find("ana", Search(Shelf.RECALL, phrase="the adoption agency", everything=True)) == [6, 1]


@pytest.mark.parametrize("words", ["", "red blue green"])
def test_a_ranking_up_to_a_number_never_changes(storage: Storage, words: str) -> None:
    chance = random.Random(7)
    texts = [" ".join(chance.choices(["red", "blue", "green", "other"], k=4)) for _ in range(60)]
    say(storage, "ana", *texts)
    search = Search(Shelf.RECALL, phrase="" if words else "red", words=words, through=60)
    before = storage.find("ana", search)
    assert len(before) > 10
    for _ in range(5):
        say(storage, "ana", "red green", "blue")
        say(storage, "ben", "red blue")
        assert storage.find("ana", search) == before


def test_agents_are_isolated(storage: Storage) -> None:
    names = ["foo", "foobar", "Foo", "foo.", "fo", "foo%", "foo'--", "", "食"]
    for name in names:
        put(storage, name, [said(f"secret of {name!r}")], [said(f"kept by {name!r}", kind=Kind.ARCHIVED)],
            [Block("human", name, 9)])  # fmt: skip
        storage.put_vectors(name, "m", [((Shelf.RECALL, 1), [1.0, 0.0])])
    assert storage.agents() == sorted(names)
    for name in names:
        state = storage.state(name)
        assert [item.text for item in state.queue] == [f"secret of {name!r}"]
        assert [block.text for block in storage.blocks(name)] == [name]
        assert find(storage, "secret", agent=name) == [1]
        assert storage.find(name, Search(Shelf.RECALL, words="secret of")) == [1]
        assert storage.nearest(name, Shelf.RECALL, "m", [1.0, 0.0], 99, 99) == [1]
        assert [place for place, _ in storage.without_vector(name, "m", 99)] == [(Shelf.ARCHIVAL, 1)]
    gone = storage.forget_agent("foo")
    assert (gone.messages, gone.entries, gone.edited_blocks) == ((1,), (1,), ("human",))
    assert storage.state("foo") == AgentState("foo")
    for name in names[1:]:
        assert storage.state(name).last_message == 1
        assert find(storage, "secret", agent=name) == [1]


# blocks and summaries ------------------------------------------------------------------------------------------
def test_the_second_edit_of_a_block_is_told_of_the_conflict_and_nothing_of_its_turn_is_stored(storage: Storage) -> None:
    block = put(storage, "ana", edits=[Block("human", "", 50)]).blocks[0]
    put(storage, "ana", [said("first")], edits=[replace(block, text="first")])
    with pytest.raises(BlockConflictError, match="human") as conflict:
        put(storage, "ana", [said("second")], [said("kept", kind=Kind.ARCHIVED)], [replace(block, text="second")])
    assert conflict.value.blocks == ("human",)
    state = storage.state("ana")
    assert (state.last_message, state.last_entry, state.blocks[0].text) == (1, 0, "first")
    with pytest.raises(BlockConflictError):
        storage.put_block("ana", Block("human", "as if new", 50))
    assert storage.put_block("ana", replace(state.blocks[0], text="third")).version == 3


def test_a_block_can_be_deleted(storage: Storage) -> None:
    put(storage, "ana", edits=[Block("human", "", 50), Block("task", "", 50)])
    assert storage.forget_block("ana", "human").edited_blocks == ("human",)
    assert storage.forget_block("ana", "human").edited_blocks == ()
    assert [block.name for block in storage.blocks("ana")] == ["task"]


def test_the_ledger_tells_what_each_summary_covers(storage: Storage) -> None:
    say(storage, "ana", "a", "b", "c", "d")
    put(storage, "ana", summaries=[Summary(1, 0, 1, 2, "ab", frozenset({"x.pdf"})), Summary(2, 1, 3, 3, "abc")])
    state = storage.state("ana")
    assert (state.summary.number, state.summary.through, state.summary.text) == (2, 3, "abc")
    assert [item.text for item in state.queue] == ["d"]
    ledger = storage.ledger("ana")
    assert [(one.previous, one.first, one.through) for one in ledger] == [(0, 1, 2), (1, 3, 3)]
    assert ledger[0].sources == {"x.pdf"}


def test_summaries_are_left_out_where_others_wrote_in_between(storage: Storage) -> None:
    before = say(storage, "ana", "a", "b")
    say(storage, "ana", "from another")
    turn = Turn(2, 0, (said("c"), said("d")), summaries=(Summary(1, 0, 1, 2, "ab"), Summary(2, 1, 3, 3, "abc")))
    assert storage.commit("ana", turn) == 5
    state = storage.state("ana")
    assert state.summary.text == "ab", "what is covered by it was known to both"
    assert [item.text for item in state.queue] == ["from another", "c", "d"]
    late = Turn(before.last_message, 0, (said("e"),), summaries=(Summary(1, 0, 1, 1, "a"),))
    storage.commit("ana", late)
    assert storage.state("ana").summary.text == "ab", "another has summarised already"
    assert not storage.put_summary("ana", Summary(previous=0, through=1))


# meaning -------------------------------------------------------------------------------------------------------
def _vector(chance: random.Random, dimensions: int = 48) -> list[float]:
    raw = [chance.gauss(0, 1) for _ in range(dimensions)]
    length = math.sqrt(sum(one * one for one in raw))
    return [one / length for one in raw]


def test_nearest_in_meaning(storage: Storage) -> None:
    chance = random.Random(3)
    say(storage, "ana", *(f"text {number}" for number in range(200)))
    pending = storage.without_vector("ana", "m", 1000)
    assert [place[1] for place, _ in pending] == list(range(1, 201))
    vectors = {place[1]: _vector(chance) for place, _ in pending}
    storage.put_vectors("ana", "m", [((Shelf.RECALL, number), vectors[number]) for number in range(1, 151)])
    assert len(storage.without_vector("ana", "m", 1000)) == 50
    storage.put_vectors("ana", "m", [((Shelf.RECALL, number), vectors[number]) for number in range(151, 201)])
    shared = 0
    for _ in range(10):
        query = _vector(chance)
        exact = sorted(vectors, key=lambda number: -sum(a * b for a, b in zip(query, vectors[number], strict=True)))
        found = storage.nearest("ana", Shelf.RECALL, "m", query, 200, 10)
        shared += len(set(found) & set(exact[:10]))
        assert storage.nearest("ana", Shelf.RECALL, "m", vectors[7], 200, 1) == [7]
        assert all(number <= 100 for number in storage.nearest("ana", Shelf.RECALL, "m", query, 100, 10))
    assert shared >= 60, "of vectors by chance, all nearly at right angles, the worst case for rounding"
    storage.forget("ana", [7])
    assert 7 not in storage.nearest("ana", Shelf.RECALL, "m", vectors[7], 200, 200)
    assert storage.nearest("ana", Shelf.RECALL, "other", vectors[7], 200, 5) == []


@pytest.mark.parametrize("vector", [[1.0], [1.0, 0.0, 0.0], [math.nan, 1.0], []])
def test_a_vector_of_another_shape_is_refused(storage: Storage, vector: list[float]) -> None:
    say(storage, "ana", "a", "b")
    storage.put_vectors("ana", "m", [((Shelf.RECALL, 1), [1.0, 0.0])])
    with pytest.raises(EmbeddingError):
        storage.put_vectors("ana", "m", [((Shelf.RECALL, 2), vector)])
    assert len(storage.without_vector("ana", "m", 9)) == 1


# deletion ------------------------------------------------------------------------------------------------------
def test_deletion_deletes(storage: Storage, memory_place: str) -> None:
    secret, word = "the Zanzibar password is plugh-42", "zanzibar"
    before = say(storage, "ana", "hello", secret, "bye")
    quoting = replace(said('{"hits": "Zanzibar"}', kind=Kind.RESULT), quotes=frozenset({2}))
    quoting_that = replace(said('{"hits": "about Zanzibar"}', kind=Kind.RESULT), quotes=frozenset({4}))
    put(storage, "ana", [quoting])
    keep(storage, "ana", secret, "kept")
    put(storage, "ana", [quoting_that, said("more")],
        summaries=[Summary(1, 0, 1, 1, "hello"), Summary(2, 1, 2, 3, "they told of Zanzibar")])  # fmt: skip
    storage.put_vectors("ana", "m", [((Shelf.RECALL, number), [0.5, 0.5]) for number in (1, 2, 3)])
    assert before.last_message == 3
    assert word.encode() in bytes_of(memory_place).lower()
    gone = storage.forget("ana", [2], [1])
    assert (gone.messages, gone.entries, gone.withdrawn_summaries) == ((2, 4, 5), (1,), (2,))
    assert gone.erased
    assert word.encode() not in bytes_of(memory_place).lower()
    assert b"plugh" not in bytes_of(memory_place).lower()
    assert find(storage, word) == []
    assert storage.find("ana", Search(Shelf.RECALL, words=word)) == []
    assert find(storage, "e", Shelf.ARCHIVAL) == [2]
    assert storage.nearest("ana", Shelf.RECALL, "m", [0.5, 0.5], 99, 9) == [3, 1]
    assert storage.items("ana", Shelf.RECALL, [1, 2, 3]) == storage.items("ana", Shelf.RECALL, [1, 3])
    state = storage.state("ana")
    assert state.summary.withdrawn
    assert state.summary.text == ""
    assert [item.number for item in state.queue] == [6]
    assert not storage.ledger("ana")[0].withdrawn
    assert say(storage, "ana", "next").last_message == 7, "no number is given twice"
    assert find(storage, "hello") == [1]


def test_words_that_others_use_stay_findable_after_a_deletion(storage: Storage) -> None:
    say(storage, "ana", "a shared word", "a shared word too")
    keep(storage, "ana", "shared")
    storage.forget("ana", [1])
    assert find(storage, "share") == [2]
    assert find(storage, "hared", Shelf.ARCHIVAL) == [1]


# several processes ---------------------------------------------------------------------------------------------
_WRITER = """
import sys
from contract.memory_contract import NOON, open_memory_place, said
from memory.records import Turn
place, me, turns = sys.argv[1], sys.argv[2], int(sys.argv[3])
storage = open_memory_place(place)
for turn in range(turns):
    state = storage.state("ana")
    storage.commit("ana", Turn(state.last_message, 0, (said(f"{me} asks {turn}."), said(f"{me} is told {turn}."))))
    print(turn, flush=True)
"""


def test_eight_processes_on_one_agent_lose_nothing(storage: Storage, memory_place: str) -> None:
    turns = 12
    writers = [start_python(_WRITER, memory_place, f"writer {me}", str(turns)) for me in range(8)]
    acknowledged = [len(writer.communicate(timeout=60)[0].split()) for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 8
    assert acknowledged == [turns] * 8
    state = storage.state("ana")
    assert state.last_message == 8 * turns * 2
    assert [item.number for item in state.queue] == list(range(1, 8 * turns * 2 + 1))
    for me in range(8):
        asked = storage.items("ana", Shelf.RECALL, find(storage, f"writer {me} asks")[::-1])
        assert [item.text for item in asked] == [f"writer {me} asks {turn}." for turn in range(turns)]
        told = storage.items("ana", Shelf.RECALL, [item.number + 1 for item in asked])
        assert [item.text for item in told] == [f"writer {me} is told {turn}." for turn in range(turns)]


_EDITOR = """
import sys
from dataclasses import replace
from contract.memory_contract import open_memory_place
from memory.errors import BlockConflictError
place, me, edits = sys.argv[1], sys.argv[2], int(sys.argv[3])
storage = open_memory_place(place)
done = 0
while done < edits:
    (block,) = storage.blocks("ana")
    try:
        storage.put_block("ana", replace(block, text=f"{block.text}{me} {done}\\n"))
        done += 1
    except BlockConflictError:
        pass
"""


def test_edits_of_one_block_by_many_lose_nothing(storage: Storage, memory_place: str) -> None:
    storage.put_block("ana", Block("human", "", 1000))
    editors = [start_python(_EDITOR, memory_place, str(me), "5") for me in range(4)]
    for editor in editors:
        editor.communicate(timeout=60)
    (block,) = storage.blocks("ana")
    assert sorted(block.text.split("\n")[:-1]) == sorted(f"{me} {edit}" for me in range(4) for edit in range(5))
    assert block.version == 21
