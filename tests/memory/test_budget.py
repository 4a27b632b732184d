"""No request ever exceeds the budget, whatever there is to show."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_doubles import NOON, ScriptedModel, Summariser, agent_in, replies, say, tokens

from memory import events
from memory.errors import BudgetError, SummaryError
from memory.functions import Arguments, Function, Parameter, Result
from memory.loop import Limits, Stop, turn
from memory.queue import evicted_count
from memory.records import Block, Item, Kind, Search, Shelf
from memory.session import Session

_CHANCE = random.Random(11)
_UUIDS = "\n".join(str(uuid.UUID(int=_CHANCE.getrandbits(128))) for _ in range(140))
_TABLE = "\n".join("  ".join(f"{_CHANCE.random() * 1e6:,.2f}" for _ in range(8)) for _ in range(60))
_CHINESE = "话说天下大势，分久必合，合久必分。" * 120
_TEXTS = st.one_of(
    st.text(max_size=300),
    st.sampled_from([_UUIDS, _TABLE, _CHINESE, "word " * 1500, '"\\\n' * 500, "x" * 12_000, "<|im_end|>" * 300]),
    st.integers(1, 3000).map(lambda length: (_CHINESE + _TABLE + _UUIDS)[:length]),
)


def reading(texts: dict[str, str]) -> Function:
    async def run(arguments: Arguments) -> Result:
        name = str(arguments["name"])
        return Result({"text": texts[name]}, source=name)

    return Function("read", "Read a document.", (Parameter("name", "", choices=tuple(texts)),), run)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("user"), _TEXTS),
        st.tuples(st.just("read"), _TEXTS),
        st.tuples(st.just("remember"), _TEXTS),
        st.tuples(st.just("keep"), _TEXTS),
        st.tuples(st.just("search"), st.sampled_from(["", "word", "话说", "a", "0"])),
        st.tuples(st.just("reply"), _TEXTS),
    ),
    min_size=1,
    max_size=8,
)


def call_for(step: str, text: str) -> object:
    return {
        "read": {"function": "read", "name": "d"},
        "remember": {"function": "working_append", "block": "human", "text": text},
        "keep": {"function": "archival_insert", "text": text},
        "search": {"function": "recall_search", "query": text, "cursor": ""},
    }.get(step, say(text))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, window=st.sampled_from([2000, 4096, 9000]))
def test_no_request_exceeds_the_budget(steps: list[tuple[str, str]], window: int) -> None:
    """The double refuses what exceeds it; so does this fail where a turn ends with an error."""
    with TemporaryDirectory() as folder:
        model = ScriptedModel(replies(say("")), window)
        agent = agent_in(Path(folder), model)
        documents: dict[str, str] = {"d": ""}
        for step, text in steps:
            documents["d"] = text
            model.script = replies(*[say("done")] * len(model.requests), call_for(step, text), say("done"))
            event = events.user_message(text if step == "user" else "go on", NOON)
            outcome = asyncio.run(turn(agent, event, more_functions=lambda _: [reading(documents)]))
            assert outcome.stopped_by is Stop.REPLIED
        asyncio.run(turn(agent, events.user_message("last", NOON)))
        assert "last" in model.last_shown
        agent.storage.close()


async def test_one_huge_message_is_shown_in_part_and_read_to_its_end_by_function(tmp_path: Path) -> None:
    text = " ".join(f"word{number}" for number in range(3000))
    read: list[str] = []

    def script(messages: object, asked: int) -> object:
        where = sum(map(len, read))
        if where >= len(text):
            return say("read it")
        return {"function": "recall_read", "message": 1, "from_character": where}

    model = ScriptedModel(script, 4000)
    agent = agent_in(tmp_path, model)

    def watch(_call: object, result: Result) -> None:
        if isinstance(result.body, dict):
            read.append(str(result.body["text"]))

    outcome = await turn(agent, events.user_message(text, NOON), limits=Limits(max_calls=900), on_call=watch)
    assert outcome.reply == "read it"
    assert "".join(read) == text
    assert "Only the beginning is shown. The rest: recall_read, message 1, from_character" in model.last_shown
    assert agent.storage.items("ana", Shelf.RECALL, [1])[0].text == text


async def test_names_of_documents_may_be_as_long_as_they_like(tmp_path: Path) -> None:
    note = {"function": "working_append", "block": "human", "text": "Gizmo"}
    model = ScriptedModel(replies(note, say("ok " * 50)), 2500)
    agent = agent_in(tmp_path, model)
    for number in range(12):
        await turn(agent, events.document_loaded(f"{number} " + "very long name " * 900, NOON))
    assert len(agent.storage.state("ana").summary.sources) > 4
    assert "more" in model.last_shown


@given(
    kinds=st.lists(st.sampled_from([Kind.USER_MESSAGE, Kind.CALL, Kind.RESULT, Kind.REPLY]), min_size=1), data=st.data()
)
def test_eviction_keeps_the_newest_message_and_results_with_their_calls(kinds: list[Kind], data: st.DataObject) -> None:
    items = [Item(kind, "", NOON, number=number) for number, kind in enumerate(kinds, 1)]
    costs = data.draw(st.lists(st.integers(1, 50), min_size=len(items), max_size=len(items)))
    wanted = data.draw(st.integers(-10, 1000))
    count = evicted_count(items, costs, wanted)
    assert 0 <= count < len(items)
    assert count == 0 or kinds[count] is not Kind.RESULT
    assert count or wanted <= 0 or len(items) == 1 or kinds[1] is Kind.RESULT


async def test_what_the_user_asked_stays_however_long_the_turn(tmp_path: Path) -> None:
    calls = [{"function": "read", "name": "d"}] * 2 + [{"function": "recall_search", "query": str(n), "cursor": ""}
             for n in range(6)]  # fmt: skip
    model = ScriptedModel(replies(*calls, say("42")), 2500)
    agent = agent_in(tmp_path, model)
    outcome = await turn(
        agent, events.user_message("What is the answer?", NOON),
        more_functions=lambda _: [reading({"d": "long text " * 900})],
    )  # fmt: skip
    assert outcome.reply == "42"
    assert outcome.evicted_messages > 4
    assert "What is the answer?" in model.last_shown


@pytest.mark.parametrize(
    ("more", "window"),
    [({"instructions": "word " * 5000}, 4000), ({"blocks": (Block("b", "word " * 3000, 9999),)}, 4000), ({}, 300)],
)
async def test_what_can_never_fit_is_a_typed_error_and_nothing_is_stored(
    tmp_path: Path, more: dict[str, object], window: int
) -> None:
    model = ScriptedModel(replies(say("hi")), window)
    agent = agent_in(tmp_path, model, **more)
    with pytest.raises(BudgetError, match="Use a longer window"):
        await turn(agent, events.user_message("word " * 5000, NOON))
    assert model.requests == []
    assert agent.storage.agents() == []


async def test_a_model_whose_template_costs_ever_more_ends_in_an_error_after_three_attempts(tmp_path: Path) -> None:
    class Expanding(ScriptedModel):
        counted = 0

        def count_prompt_tokens(self, messages: object) -> int:
            with_queue = "user_message" in str(messages)
            self.counted += with_queue
            return 9000 if with_queue else 100

    model = Expanding(replies(say("hi")), 4000)
    with pytest.raises(BudgetError, match="3 attempts"):
        await turn(agent_in(tmp_path, model), events.user_message("hello", NOON))
    assert model.counted == 4


async def test_warned_at_70_percent_once_and_half_is_evicted_at_100(tmp_path: Path) -> None:
    model = ScriptedModel(replies(say("yes, " * 20)), 3000)
    agent = agent_in(tmp_path, model)
    budget = agent.budget_tokens
    used: list[int] = []
    happened: list[str] = []
    for number in range(60):
        outcome = await turn(agent, events.user_message(f"message {number} " * 10, NOON))
        used.append(model.count_prompt_tokens(model.requests[-1]))
        if outcome.evicted_messages:
            happened.append("evicted")
            assert used[-2] > 0.85 * budget
            assert 0.4 * budget < used[-1] < 0.75 * budget
        if agent.storage.items("ana", Shelf.RECALL, [outcome.last_message - 1])[0].kind is Kind.PRESSURE:
            happened.append("warned")
            assert 0.7 * budget < used[-1] < 0.85 * budget
    assert len(happened) >= 6
    assert happened == (["warned", "evicted"] * 30)[: len(happened)]
    alerts = agent.storage.find("ana", Search(Shelf.RECALL, phrase="nears the limit", everything=True))
    assert len(alerts) == happened.count("warned")
    assert len(agent.storage.ledger("ana")) == happened.count("evicted")


async def test_the_counts_of_both_stores_and_the_functions_are_shown_and_counted(tmp_path: Path) -> None:
    model = ScriptedModel(replies({"function": "archival_insert", "text": "a fact"}, say("kept")))
    agent = agent_in(tmp_path, model)
    await turn(agent, events.user_message("keep it", NOON))
    await turn(agent, events.user_message("and?", NOON))
    system = model.requests[-1][0].content
    now = json.loads(model.requests[-1][-1].content.splitlines()[-1])
    assert now == {
        "type": "now", "time": "2024-01-20 12:00+00:00", "messages_in_recall_storage": 5,
        "entries_in_archival_storage": 1, "excerpts_of_documents": 0,
    }  # fmt: skip
    assert '"function": "recall_search_date"' in system
    assert model.count_prompt_tokens(model.requests[-1][:1]) >= tokens(system)


async def test_every_try_of_a_failing_summary_leaves_everything_as_it_was(tmp_path: Path) -> None:
    summarise = Summariser()
    model = ScriptedModel(replies(say("yes, " * 40)), 2000)
    agent = agent_in(tmp_path, model, summarise=summarise)
    while not summarise.calls:
        before = agent.storage.state("ana")
        summarise.failure = ConnectionError("gone")
        with contextlib.suppress(SummaryError):
            await turn(agent, events.user_message("message " * 30, NOON))
    assert agent.storage.state("ana") == before
    with pytest.raises(SummaryError, match=r"gone.*nothing was evicted"):
        await turn(agent, events.user_message("message " * 30, NOON))
    summarise.failure, summarise.result = None, "  "
    with pytest.raises(SummaryError, match="empty"):
        await turn(agent, events.user_message("message " * 30, NOON))
    assert agent.storage.state("ana") == before
    summarise.result, tries = None, len(summarise.calls)
    outcome = await turn(agent, events.user_message("message " * 30, NOON))
    assert outcome.evicted_messages > 0
    evicted = {item.number for item in before.queue} - {item.number for item in agent.storage.state("ana").queue}
    (summary,) = agent.storage.ledger("ana")
    assert evicted == set(range(summary.first, summary.through + 1))
    told = "".join(message for _, messages in summarise.calls[tries:] for message in messages)
    assert told.count('"user_message"') == sum(
        item.kind is Kind.USER_MESSAGE for item in before.queue if item.number in evicted
    )


async def test_a_session_can_be_driven_without_a_model_that_decides(tmp_path: Path) -> None:
    """As an explorer does: it adds what it reads, asks for requests, and commits."""
    from memory.session import open_session

    model = ScriptedModel(replies(say("")), 4000)
    agent = agent_in(tmp_path, model, instructions="Read on.")
    session: Session = await open_session(agent)
    session.add(events.timed("begin", NOON))
    for page in range(40):
        session.add(events.system_alert(f"page {page}: " + "text " * 60, NOON))
        request = await session.request()
        assert model.count_prompt_tokens(request) <= agent.budget_tokens
        assert f"page {page}:" in request[-1].content
    assert await session.commit() >= 41
    state = agent.storage.state("ana")
    assert state.summary.through > 20
    assert (agent.storage.ledger("ana")[0].first, agent.storage.ledger("ana")[0].previous) == (1, 0)
