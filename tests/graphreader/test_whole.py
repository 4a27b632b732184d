"""Modes ``full`` and ``auto``, and batches, through the Python API with a scripted model."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from fakes import ScriptedModel, WordEmbedder, by_step
from hypothesis import given
from hypothesis import strategies as st

from graphreader import Asked, GraphReader, Mode, Settings
from graphreader.agent.route import Shape, Situation, choose_mode, shape_of
from graphreader.agent.whole import grown
from graphreader.batch import in_shared_order, outcomes
from graphreader.errors import DocumentsTooLongError, GraphReaderError, ModelRefusedError

PARTS = [
    f"## Part {number}\n\nThe ferry of year {number} carried {number} hundred sheep to isle{number}. Its master was "
    f"Jon{number} Ardal, who was born in Tarn{number}.\n"
    for number in range(1, 41)
]
FERRIES = "# Ferries\n\n" + "\n".join(PARTS)
BEES = "# Bees\n\nThe bee hall of Orrin has forty hives. Its keeper is Tomas Vell.\n"
ANSWERS = {"answer": {"excerpts": [1], "answerable": "yes", "answer": "Tomas Vell"}}

MakeReader = Callable[..., GraphReader]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "ferries.md").write_text(FERRIES, encoding="utf-8")
    (folder / "bees.md").write_text(BEES, encoding="utf-8")
    return folder


@pytest.fixture
def make(tmp_path: Path, files: Path) -> Iterator[MakeReader]:
    opened: list[GraphReader] = []

    def make_reader(model: ScriptedModel, **settings: Any) -> GraphReader:
        loaded = Settings.load(index={"max_chunk_tokens": 60, "facts": "phrases"}, **settings)
        reader = GraphReader(tmp_path / "library.db", settings=loaded, model=model, embedder=WordEmbedder())
        reader.index(str(files))
        opened.append(reader)
        return reader

    yield make_reader
    for reader in opened:
        reader.close()


def test_the_whole_document_is_read_in_one_call(make: MakeReader) -> None:
    model = ScriptedModel(by_step({"answer": {"excerpts": [7], "answerable": "yes", "answer": "Tarn7"}}))
    answer = make(model).ask("Where was Jon7 Ardal born?", ["Ferries"], mode="full")
    assert model.steps() == ["answer"]
    assert all(f"isle{number}" in model.calls[0][1] for number in range(1, 41))
    assert answer.mode is Mode.FULL
    assert "Tarn7" in answer.citations[0].quote
    assert answer.citations[0].quote in FERRIES
    assert answer.trace[0].detail["tokens"] == answer.trace[0].detail["of_tokens"]


def test_questions_on_the_same_documents_share_their_beginning(make: MakeReader) -> None:
    model = ScriptedModel(by_step(ANSWERS))
    reader = make(model)
    for question in ("Who keeps the hives?", "What did the ferry of year 3 carry?"):
        reader.ask(question, mode="full")
    first, second = (prompt for _, prompt in model.calls)
    shared = len(first) - len("Question: Who keeps the hives?")
    assert first[:shared] == second[:shared]
    assert first.endswith("Question: Who keeps the hives?")


def test_what_exceeds_the_window_is_refused_with_its_numbers(make: MakeReader) -> None:
    model = ScriptedModel(by_step(ANSWERS), context_tokens=800)
    with pytest.raises(DocumentsTooLongError) as refused:
        make(model).ask("Who?", ["Ferries"], mode="full")
    assert refused.value.window_tokens == 800
    assert refused.value.prompt_tokens > refused.value.document_tokens > 800
    assert "800" in str(refused.value)
    assert "--allow-part" in str(refused.value)
    assert model.calls == []


@pytest.mark.parametrize("window", [520, 800, 1300])
def test_the_largest_part_around_the_best_chunk_is_read_where_that_is_allowed(make: MakeReader, window: int) -> None:
    model = ScriptedModel(by_step(ANSWERS), context_tokens=window)
    answer = make(model, full={"allow_part": True}).ask("Where was Jon20 Ardal born?", ["Ferries"], mode="full")
    prompt = model.calls[0][1]
    held = [number for number in range(1, 41) if f"isle{number}." in prompt]
    assert 20 in held
    assert held == list(range(held[0], held[-1] + 1))
    assert len(held) < 40
    detail = answer.trace[0].detail
    assert answer.usage.prompt_tokens + 128 <= window
    assert answer.usage.prompt_tokens + 128 > window - 150
    assert any("Only a part was read: Ferries" in warning for warning in answer.warnings)
    assert detail["tokens"] < detail["of_tokens"]


def test_a_window_that_holds_no_chunk_is_refused_even_where_a_part_is_allowed(make: MakeReader) -> None:
    model = ScriptedModel(by_step(ANSWERS), context_tokens=200)
    with pytest.raises(DocumentsTooLongError):
        make(model, full={"allow_part": True}).ask("Where was Jon20 Ardal born?", ["Ferries"], mode="full")


@given(
    st.lists(st.tuples(st.integers(1, 50), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=30),
    st.integers(0, 29),
    st.integers(0, 400),
)
def test_a_part_cannot_grow_further(chunks: list[tuple[int, float]], start: int, room: int) -> None:
    costs, scores = [cost for cost, _ in chunks], [score for _, score in chunks]
    start %= len(costs)
    first, last = grown(costs, scores, start, room)
    assert 0 <= first <= start <= last < len(costs)
    used = sum(costs[first : last + 1])
    assert used <= max(room, costs[start])
    for neighbour in (first - 1, last + 1):
        assert not (0 <= neighbour < len(costs)) or used + costs[neighbour] > room


def test_a_short_text_is_read_whole_and_a_long_one_is_searched(make: MakeReader) -> None:
    reader = make(ScriptedModel(by_step(ANSWERS)), full={"max_auto_tokens": 100})
    short = reader.ask("Who keeps the hives?", ["Bees"], mode="auto")
    assert (short.mode, short.trace[0].actor, short.trace[0].detail["reason"]) == (
        Mode.FULL,
        "route",
        "the text is short",
    )
    assert reader.ask("Who carried sheep?", ["Ferries"], mode="auto").mode is Mode.SEARCH


def test_what_was_sent_a_short_while_ago_is_sent_again(make: MakeReader) -> None:
    reader = make(ScriptedModel(by_step(ANSWERS)), full={"max_auto_tokens": 0})
    assert reader.ask("Who carried sheep?", ["Ferries"], mode="auto").mode is Mode.SEARCH
    reader.ask("Who carried sheep?", ["Ferries"], mode="full")
    again = reader.ask("Who carried sheep?", ["Ferries"], mode="auto")
    assert again.mode is Mode.FULL
    assert again.trace[0].detail["is_cached"]


def test_several_steps_are_explored_where_the_budget_allows(make: MakeReader) -> None:
    script = by_step(ANSWERS | {"plan": {"steps": ["master"]}, "facts": {"notes": [1], "read_chunks": []}})
    reader = make(ScriptedModel(script), full={"max_auto_tokens": 0})
    question = "Where was the master who sailed to isle9 born?"
    assert reader.ask(question, ["Ferries"], mode="auto").mode is Mode.GRAPH
    (earlier,) = reader.library.answers()
    reader.library.put_answer(earlier | {"usage": earlier["usage"] | {"seconds": 700.0}}, [])
    slow = reader.ask(question, ["Ferries"], mode="auto")
    assert slow.mode is Mode.SEARCH
    assert slow.trace[0].detail["graph_seconds"] > 2 * 75


@pytest.mark.parametrize(
    ("question", "shape"),
    [
        ("Who keeps the hives?", Shape.SINGLE),
        ("What was the revenue in 2019?", Shape.SINGLE),
        ("Summarise the report.", Shape.WHOLE),
        ("How many times is the ferry mentioned?", Shape.WHOLE),
        ("这篇文章概括了什么?", Shape.WHOLE),
        ("Where was the keeper who saved Captain Hale born?", Shape.STEPS),
        ("Which pier is older, North Pier or Tide Mill?", Shape.STEPS),
    ],
)
def test_the_shape_of_a_question(question: str, shape: Shape) -> None:
    assert shape_of(question) is shape


situations = st.builds(
    Situation,
    document_tokens=st.integers(0, 100_000),
    window_tokens=st.integers(1000, 50_000),
    is_cached=st.booleans(),
    max_whole_tokens=st.integers(0, 10_000),
    best_coverage=st.none() | st.floats(0, 1),
    seconds_per_1000_tokens=st.none() | st.floats(0, 100),
    graph_seconds=st.none() | st.floats(0, 1000),
    graph_tokens=st.none() | st.floats(0, 100_000),
    max_tokens=st.none() | st.integers(1, 100_000),
    max_seconds=st.none() | st.floats(0.1, 1000),
)


@given(st.sampled_from(["Who?", "Summarise it.", "Is A Pier or B Pier older?"]), situations)
def test_a_route_never_leaves_window_or_budget(question: str, situation: Situation) -> None:
    route = choose_mode(question, situation)
    assert route.mode is not Mode.AUTO
    assert route.reason
    json.dumps(route.considered)
    if route.mode is Mode.FULL:
        assert situation.document_tokens < situation.window_tokens
        assert situation.max_tokens is None or situation.document_tokens <= situation.max_tokens
        if situation.max_seconds is not None and not situation.is_cached:
            seconds = situation.seconds_per_1000_tokens
            assert situation.is_short or seconds is not None
            assert seconds is None or situation.document_tokens / 1000 * seconds <= situation.max_seconds
    if route.mode is Mode.GRAPH and situation.graph_seconds is not None and situation.max_seconds is not None:
        assert situation.graph_seconds <= 2 * situation.max_seconds


@given(
    st.lists(
        st.builds(
            Asked,
            question=st.sampled_from(["Who?", "When?"]),
            sources=st.sampled_from([(), ("a",), ("a", "b"), ("b", "a")]),
            mode=st.sampled_from(Mode),
            key=st.uuids().map(str),
        ),
        max_size=20,
    )
)
def test_questions_on_the_same_documents_follow_each_other(asked: list[Asked]) -> None:
    ordered = in_shared_order(asked)
    assert sorted(one.key for one in ordered) == sorted(one.key for one in asked)
    groups = [(one.mode, frozenset(one.sources)) for one in ordered]
    assert len([key for key, _ in groupby(groups)]) == len(set(groups))
    for group in set(groups):
        members = [one for one in asked if (one.mode, frozenset(one.sources)) == group]
        assert [one for one in ordered if one in members] == members


def test_the_first_question_on_a_document_goes_ahead_of_its_others() -> None:
    asked = [Asked(f"Q{n}", (name,), Mode.FULL, f"{name}{n}") for n in range(3) for name in ("bees", "ferries")]
    begun: dict[str, Future[Any]] = {}

    def start(one: Asked) -> Future[Any]:
        begun[one.key] = Future()
        if len(begun) == 2:
            begun["ferries0"].set_result("answered")
        elif len(begun) > 2:
            begun[one.key].set_result("answered")
            if len(begun) == 4:
                begun["bees0"].set_result("answered")
        return begun[one.key]

    done = [one.key for one, _ in outcomes(asked, start, concurrency=8)]
    assert list(begun) == ["bees0", "ferries0", "ferries1", "ferries2", "bees1", "bees2"]
    assert sorted(done) == sorted(begun)


def test_a_batch_answers_every_question(make: MakeReader) -> None:
    asked = [Asked(f"Q{n}?", (name,), Mode.FULL, f"{name}{n}") for n in range(4) for name in ("Bees", "Ferries")]
    answered = list(make(ScriptedModel(by_step(ANSWERS))).ask_many(asked, concurrency=8))
    assert sorted(one.key for one, _ in answered) == sorted(one.key for one in asked)
    assert all(not isinstance(outcome, Exception) and outcome.mode is Mode.FULL for _, outcome in answered)


def test_a_failure_costs_its_own_question_alone(make: MakeReader) -> None:
    def script(prompt: str, schema: Any) -> Any:
        if "number 3" in prompt:
            raise ModelRefusedError("no")
        if "number 5" in prompt:
            raise ZeroDivisionError("a bug")
        return ANSWERS["answer"]

    asked = [Asked(f"What is number {number}?", (), Mode.SEARCH, str(number)) for number in range(1, 8)]
    asked += [Asked("  ", key="empty"), Asked("Who?", ("no such file.pdf",), key="absent")]
    results = {one.key: outcome for one, outcome in make(ScriptedModel(script)).ask_many(asked, concurrency=3)}
    failed = {key: type(outcome) for key, outcome in results.items() if isinstance(outcome, Exception)}
    assert failed.pop("3") is ModelRefusedError
    assert failed.pop("5") is ZeroDivisionError
    assert set(failed) == {"empty", "absent"}
    assert all(issubclass(kind, GraphReaderError) for kind in failed.values())
    assert len(results) == 9


def test_no_more_than_the_allowed_number_are_under_way(make: MakeReader) -> None:
    model = ScriptedModel(by_step(ANSWERS))
    asked = [Asked(f"What is number {number}?", (), Mode.SEARCH) for number in range(12)]
    assert len(list(make(model).ask_many(asked, concurrency=3))) == 12
    assert 1 <= model.most_at_once <= 3


def test_an_abandoned_batch_cancels_what_is_under_way(make: MakeReader) -> None:
    model = ScriptedModel(by_step(ANSWERS))
    batch = make(model).ask_many([Asked(f"What is number {n}?", (), Mode.SEARCH) for n in range(50)], concurrency=2)
    next(iter(batch))
    batch.close()  # type: ignore[attr-defined]
    made = len(model.calls)
    time.sleep(0.05)
    assert len(model.calls) == made < 50
