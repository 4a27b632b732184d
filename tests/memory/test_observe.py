"""Taking in what happened without a reply, and asking without leaving anything behind."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_doubles import NOON, LetterEmbedder, ScriptedModel, Summariser, agent_in, replies, say

from memory import events
from memory.errors import SummaryError
from memory.functions import Function
from memory.loop import Limits, Stop, consider, observe, turn
from memory.queue import QueueLimits
from memory.records import Item, Kind, Search, Shelf
from memory.session import Session, open_session

SEARCH = {"function": "recall_search", "query": "number 3 ", "cursor": ""}


def told(count: int, words: str = "and so on " * 20) -> list[Item]:
    return [events.user_message(f"number {place} {words}", NOON + timedelta(days=place)) for place in range(count)]


async def test_a_turn_sees_what_was_observed_before_it(tmp_path: Path) -> None:
    model = ScriptedModel(replies(SEARCH, say("four days later")), 2500)
    agent = agent_in(tmp_path, model, embedder=LetterEmbedder())
    observed = await observe(agent, told(60))
    assert (observed.last_message, model.requests) == (60, [])
    assert observed.evicted_messages > 30
    assert agent.storage.without_vector("ana", "letters", 10) == []
    await turn(agent, events.user_message("When was it?", NOON))
    assert "number 3 and" not in model.requests[0][-1].content
    assert "number 3 and" in model.last_shown
    assert '"time": "2024-01-23 12:00+00:00"' in model.last_shown
    by_date = agent.storage.find("ana", Search(Shelf.RECALL, since=NOON, until=NOON + timedelta(days=1)))
    assert set(by_date) >= {1, 2}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    texts=st.lists(st.sampled_from(["", "word " * 900, "话说天下大势" * 40, "1,234.5 " * 60, "short"]), max_size=30),
    window=st.sampled_from([2000, 4096]),
    batch_size=st.sampled_from([1, 3, 64]),
)
def test_after_observing_the_next_request_fits_and_the_ledger_covers_all(
    texts: list[str], window: int, batch_size: int
) -> None:
    with TemporaryDirectory() as folder:
        model = ScriptedModel(replies(say("done")), window)
        agent = agent_in(Path(folder), model)
        asyncio.run(observe(agent, (events.user_message(text, NOON) for text in texts), batch_size=batch_size))
        state, ledger = agent.storage.state("ana"), agent.storage.ledger("ana")
        assert state.last_message == len(texts)
        assert [item.number for item in state.queue] == list(range(state.summary.through + 1, len(texts) + 1))
        starts = [1, *(summary.through + 1 for summary in ledger)]
        assert [summary.first for summary in ledger] == starts[:-1]
        assert starts[-1] == state.summary.through + 1
        assert not any(item.kind is Kind.PRESSURE for item in state.queue)
        session = asyncio.run(open_session(agent))
        assert model.count_prompt_tokens(asyncio.run(session.request(warn=False))) <= agent.budget_tokens
        assert session.evicted_messages == 0 or not texts
        agent.storage.close()


async def test_the_size_of_a_batch_changes_nothing_that_is_kept(tmp_path: Path) -> None:
    states = []
    for batch_size in (1, 7, 64):
        agent = agent_in(tmp_path / str(batch_size), ScriptedModel(replies(say("")), 2500))
        await observe(agent, told(50), batch_size=batch_size)
        states.append(agent.storage.items("ana", Shelf.RECALL, range(1, 51)))
        assert [summary.through for summary in agent.storage.ledger("ana")]
    assert states[0] == states[1] == states[2]


async def test_entries_go_to_archival_storage_with_their_source(tmp_path: Path) -> None:
    model = ScriptedModel(replies({"function": "archival_search", "query": "b1", "cursor": ""}, say("c2")))
    agent = agent_in(tmp_path, model)
    pairs = [Item(Kind.ARCHIVED, text, NOON, "pairs.txt") for text in ("a0: b1", "b1: c2", "x: y")]
    assert (await observe(agent, pairs, batch_size=2)).last_entry == 3
    await consider(agent, events.user_message("a0?", NOON))
    assert '"found": 2' in model.last_shown
    assert '"entry": 2' in model.last_shown
    assert '"quoted_from": "pairs.txt", "quotation": "b1: c2"' in model.last_shown


async def test_what_was_stored_before_a_failure_stays_and_feeding_goes_on_there(tmp_path: Path) -> None:
    summarise = Summariser(failure=RuntimeError("out of memory"))
    agent = agent_in(tmp_path, ScriptedModel(replies(say("")), 2500), summarise=summarise)
    messages = told(60)
    with pytest.raises(SummaryError):
        await observe(agent, messages, batch_size=4)
    kept = agent.storage.state("ana").last_message
    assert 0 < kept < 60
    assert kept % 4 == 0
    summarise.failure = None
    await observe(agent, messages[kept:])
    assert [item.text for item in agent.storage.items("ana", Shelf.RECALL, range(1, 61))] == [
        message.text for message in messages
    ]


async def test_a_smaller_budget_makes_room(tmp_path: Path) -> None:
    agent = agent_in(tmp_path, ScriptedModel(replies(say("")), 3000))
    await observe(agent, told(20))
    before = len(agent.storage.state("ana").queue)
    assert (await observe(replace(agent, reply_tokens=1800), ())).evicted_messages > 0
    assert 0 < len(agent.storage.state("ana").queue) < before
    assert agent.storage.state("ana").last_message == 20


async def test_considering_leaves_nothing_behind(tmp_path: Path) -> None:
    model = ScriptedModel(replies(SEARCH, say("the third")), 2500)
    agent = agent_in(tmp_path, model, queue_limits=QueueLimits(warn_share=0.3))
    await observe(agent, told(40))
    before = agent.storage.state("ana"), agent.storage.ledger("ana")
    calls: list[str] = []
    for question in ("which?", "really?"):
        model.script = replies(*[SEARCH] * len(model.requests), SEARCH, say("the third"))
        outcome = await consider(
            agent, events.user_message(question, NOON), on_call=lambda call, _: calls.append(call.function.name)
        )
        assert (outcome.reply, outcome.stopped_by, outcome.calls) == ("the third", Stop.REPLIED, 2)
        assert question in model.last_shown
    assert "which?" not in model.last_shown
    assert calls == ["recall_search", "send_message"] * 2
    assert (agent.storage.state("ana"), agent.storage.ledger("ana")) == before


# which functions there are -------------------------------------------------------------------------------------
async def test_an_agent_may_have_some_of_the_functions_only(tmp_path: Path) -> None:
    model = ScriptedModel(replies({"function": "archival_insert", "text": "x"}, say("no")))
    agent = agent_in(tmp_path, model, function_names=frozenset({"send_message", "recall_search"}))
    outcome = await turn(agent, events.user_message("keep x", NOON))
    assert outcome.reply == "no"
    assert "archival" not in model.requests[0][0].content
    assert "There is no function 'archival_insert'. Call one of: send_message, recall_search." in model.last_shown


async def test_what_may_be_called_next_may_change_from_call_to_call(tmp_path: Path) -> None:
    def search_first(session: Session) -> tuple[Function, ...]:
        searched = any(item.kind is Kind.CALL for item in session.messages)
        return tuple(one for one in session.functions if searched or one.name == "recall_search")

    model = ScriptedModel(replies(say("at once"), SEARCH, say("found")))
    outcome = await turn(agent_in(tmp_path, model), events.user_message("?", NOON), limits=Limits(offer=search_first))
    assert (outcome.reply, outcome.calls) == ("found", 3)
    assert model.schemas[0] == model.schemas[1] != model.schemas[2]
    assert model.requests[0][0].content == model.requests[2][0].content
