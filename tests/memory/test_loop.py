"""A turn: events in, calls checked and run, errors told, and an end to every loop."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from memory_doubles import NOON, LetterEmbedder, ScriptedModel, Summariser, agent_in, replies, say

from memory import events
from memory.errors import BlockConflictError, FunctionError, ModelSilentError, UnusableReplyError
from memory.functions import Arguments, Call, Function, Parameter, Result, describe, parse_call, reply_schema
from memory.loop import Limits, Stop, turn
from memory.memory_functions import memory_functions
from memory.records import Block, Kind, Search, Shelf
from memory.session import Session, open_session
from memory.storage import Storage

APPEND = {"function": "working_append", "block": "human", "text": "Name: Ana"}


def counter(results: list[str]) -> Function:
    async def run(arguments: Arguments) -> Result:
        if not results:
            raise FunctionError("there is nothing left")
        return Result(results.pop(0))

    return Function("count", "Count.", (Parameter("by", "how many", "integer"), Parameter("up", "", "boolean")), run)


COUNT = {"function": "count", "by": 1, "up": True}


async def test_a_conversation_goes_on_where_it_stopped(tmp_path: Path) -> None:
    model = ScriptedModel(replies(APPEND, say("Hello Ana!"), say("You are Ana.")))
    agent = agent_in(tmp_path, model)
    first = await turn(agent, events.user_message("I am Ana.", NOON))
    assert (first.reply, first.stopped_by, first.calls, first.last_message) == ("Hello Ana!", Stop.REPLIED, 2, 4)
    agent.storage.close()
    again = agent_in(tmp_path, model)
    second = await turn(again, events.user_message("Who am I?", NOON))
    assert second.reply == "You are Ana."
    assert '"text": "Name: Ana"' in model.requests[-1][0].content
    assert "I am Ana." in model.last_shown
    assert json.dumps(say("Hello Ana!")) in model.last_shown
    kinds = [item.kind for item in again.storage.state("ana").queue]
    assert kinds == [Kind.USER_MESSAGE, Kind.CALL, Kind.RESULT, Kind.REPLY, Kind.USER_MESSAGE, Kind.REPLY]


async def test_calls_of_the_program_come_before_the_models_first(tmp_path: Path) -> None:
    model = ScriptedModel(replies(say("Your cat is Tom.")))
    agent = agent_in(tmp_path, model)
    await turn(agent, events.user_message("My cat is Tom.", NOON))
    made: list[str] = []

    def look_up(session: Session) -> list[Call]:
        (search,) = [one for one in session.functions if one.name == "recall_search"]
        return [Call(search, {"query": "cat", "cursor": ""}, heartbeat=True)]

    event = events.user_message("Who is Tom?", NOON)
    limits = Limits(first_calls=look_up)
    outcome = await turn(agent, event, limits=limits, on_call=lambda call, _: made.append(call.function.name))
    assert (outcome.reply, outcome.calls, made) == ("Your cat is Tom.", 1, ["recall_search", "send_message"])
    assert '"query": "cat"' in model.requests[-1][-2].content
    assert "My cat is Tom." in model.requests[-1][-1].content


async def test_events_of_every_kind_are_shown_for_what_they_are(tmp_path: Path) -> None:
    model = ScriptedModel(replies(say("ok")))
    agent = agent_in(tmp_path, model)
    for event in (
        events.user_message("hello", NOON), events.system_alert("disk is slow", NOON),
        events.document_loaded("annual.pdf", NOON), events.timed("it is nine", NOON),
    ):  # fmt: skip
        await turn(agent, event)
    for shown in (
        '"user_message", "time": "2024-01-20 12:00+00:00", "text": "hello"', '"system_alert"', '"timed"',
        '"document_loaded", "time": "2024-01-20 12:00+00:00", "quoted_from": "annual.pdf"',
    ):  # fmt: skip
        assert shown in model.last_shown


# calls ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ("", "not one whole JSON object"),
        ('{"function": "count", "by": 1', "not one whole JSON object"),
        ("[1]", "not a JSON object"),
        ("[" * 100_000, "not one whole JSON object"),
        ({"function": "fly"}, "There is no function 'fly'. Call one of: count"),
        ({"by": 1}, "There is no function None"),
        ({"function": ["count"]}, "There is no function ['count']"),
        ({"function": "count", "by": 1}, "the arguments up are missing"),
        ({**COUNT, "more": 1}, "count takes by, up, not more"),
        ({**COUNT, "by": "1"}, "by must be of type integer, not '1'"),
        ({**COUNT, "by": True}, "by must be of type integer"),
        ({**COUNT, "up": 1}, "up must be of type boolean"),
        ({**COUNT, "request_heartbeat": "yes"}, "request_heartbeat must be true or false"),
    ],
)
async def test_a_call_that_is_wrong_is_told_to_the_model_which_goes_on(tmp_path: Path, reply: Any, told: str) -> None:
    def answer(messages: Any, asked: int) -> Any:
        return reply if asked == 0 else say("sorry")

    model = ScriptedModel(answer)
    agent = agent_in(tmp_path, model)
    outcome = await turn(agent, events.user_message("go", NOON), more_functions=lambda _: [counter(["1"])])
    assert outcome.reply == "sorry"
    with pytest.raises(FunctionError) as wrong:
        parse_call(reply if isinstance(reply, str) else json.dumps(reply), [counter([])], ask_heartbeat=True)
    assert told in str(wrong.value)
    if "Call one of" not in told:
        assert told.replace('"', '\\"') in model.last_shown


async def test_a_fenced_reply_and_a_lone_surrogate_are_taken(tmp_path: Path) -> None:
    model = ScriptedModel(replies('```json\n{"function": "send_message", "message": "a\\ud800b"}\n```'))
    outcome = await turn(agent_in(tmp_path, model), events.user_message("x\ud800", NOON))
    assert outcome.reply == "a\ufffd\ufffd\ufffdb" or outcome.reply == "a\ufffdb"


async def test_the_schema_admits_the_legal_calls_alone(tmp_path: Path) -> None:
    model = ScriptedModel(replies(say("hi")))
    await turn(agent_in(tmp_path, model), events.user_message("go", NOON), more_functions=lambda _: [counter([])])
    shapes = {shape["properties"]["function"]["enum"][0]: shape for shape in model.schemas[0]["anyOf"]}
    assert next(iter(shapes)) == "send_message"
    assert shapes["count"] == {
        "type": "object",
        "properties": {
            "function": {"type": "string", "enum": ["count"]}, "by": {"type": "integer"}, "up": {"type": "boolean"},
        },
        "required": ["function", "by", "up"],
        "additionalProperties": False,
    }  # fmt: skip
    assert shapes["working_append"]["properties"]["block"] == {"type": "string", "enum": ["human"]}
    asked = reply_schema([counter([])], ask_heartbeat=True)
    assert asked["properties"]["request_heartbeat"] == {"type": "boolean"}
    assert '- {"function": "count", "by": integer, "up": boolean}: Count.' in describe([counter([])])


@pytest.mark.parametrize("garbage", ["garbage", {"function": "unknown"}, {"function": "recall_search", "query": 3}])
async def test_garbage_again_and_again_is_a_typed_error_and_nothing_is_stored(tmp_path: Path, garbage: Any) -> None:
    model = ScriptedModel(replies(say("hi")))
    agent = agent_in(tmp_path, model)
    await turn(agent, events.user_message("hello", NOON))
    before = agent.storage.state("ana")
    model.script = replies(garbage)
    with pytest.raises(UnusableReplyError, match="nothing of this turn was stored"):
        await turn(agent, events.user_message("again", NOON))
    assert len(model.requests) == 4
    assert agent.storage.state("ana") == before


async def test_a_model_that_stops_answering_or_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    class Stuck(ScriptedModel):
        async def complete(self, *_args: Any, **_more: Any) -> str:
            await asyncio.sleep(60)
            return ""

    model = ScriptedModel(replies(APPEND, say("hi")))
    agent = agent_in(tmp_path, model)
    await turn(agent, events.user_message("hello", NOON))
    before = agent.storage.state("ana")
    stuck = replace(agent, model=Stuck(replies(""), 8000))
    with pytest.raises(ModelSilentError, match=r"did not answer within 0 s.*send the message again"):
        await turn(stuck, events.user_message("again", NOON), limits=Limits(max_seconds_per_call=0.05))

    def fail(*_: Any) -> Any:
        raise ConnectionResetError("server gone")

    model.script = fail
    with pytest.raises(ConnectionResetError, match="server gone"):
        await turn(agent, events.user_message("again", NOON))
    assert agent.storage.state("ana") == before


# an end to every loop ------------------------------------------------------------------------------------------
async def test_the_same_call_with_the_same_result_three_times_stops(tmp_path: Path) -> None:
    model = ScriptedModel(replies({"function": "recall_search", "query": "nothing", "cursor": ""}))
    outcome = await turn(agent_in(tmp_path, model), events.user_message("go", NOON))
    assert (outcome.stopped_by, outcome.calls, outcome.reply) == (Stop.NO_PROGRESS, 3, None)


async def test_the_same_call_with_other_results_is_progress(tmp_path: Path) -> None:
    model = ScriptedModel(replies(*[COUNT] * 5, say("done")))
    results = list("12345")
    outcome = await turn(
        agent_in(tmp_path, model), events.user_message("go", NOON), more_functions=lambda _: [counter(results)]
    )
    assert (outcome.stopped_by, outcome.calls) == (Stop.REPLIED, 6)


async def test_failing_the_same_way_three_times_stops(tmp_path: Path) -> None:
    model = ScriptedModel(replies(COUNT))
    agent = agent_in(tmp_path, model)
    outcome = await turn(agent, events.user_message("go", NOON), more_functions=lambda _: [counter([])])
    assert outcome.stopped_by is Stop.NO_PROGRESS
    results = agent.storage.find("ana", Search(Shelf.RECALL, phrase="nothing left", everything=True))
    assert len(results) == 3


async def test_calls_and_time_are_limited(tmp_path: Path) -> None:
    model = ScriptedModel(lambda _messages, asked: {"function": "recall_search", "query": str(asked), "cursor": ""})
    agent = agent_in(tmp_path, model)
    outcome = await turn(agent, events.user_message("go", NOON), limits=Limits(max_calls=5))
    assert (outcome.stopped_by, outcome.calls) == (Stop.CALL_LIMIT, 5)
    outcome = await turn(agent, events.user_message("go", NOON), limits=Limits(max_seconds=0))
    assert (outcome.stopped_by, outcome.calls) == (Stop.TIME_LIMIT, 0)
    assert '"You were stopped: call limit."' in "".join(
        json.dumps(item.text) for item in agent.storage.state("ana").queue
    )


@pytest.mark.parametrize(("asks", "calls"), [(True, 2), (False, 1)])
async def test_where_heartbeats_are_asked_for_no_other_call_follows_by_itself(
    tmp_path: Path, asks: bool, calls: int
) -> None:
    model = ScriptedModel(replies({**APPEND, "request_heartbeat": asks}, {**say("hi"), "request_heartbeat": False}))
    outcome = await turn(
        agent_in(tmp_path, model), events.user_message("go", NOON), limits=Limits(ask_heartbeat=True)
    )  # fmt: skip
    assert outcome.calls == calls
    assert outcome.stopped_by is (Stop.REPLIED if asks else Stop.YIELDED)


async def test_a_failed_call_is_followed_by_another_unasked(tmp_path: Path) -> None:
    failing = {"function": "recall_search_date", "first_date": "x", "last_date": "y", "cursor": ""}
    model = ScriptedModel(replies({**failing, "request_heartbeat": False}, {**say("hi"), "request_heartbeat": False}))
    outcome = await turn(agent_in(tmp_path, model), events.user_message("go", NOON), limits=Limits(ask_heartbeat=True))
    assert (outcome.reply, outcome.calls) == ("hi", 2)


# working context -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "told"),
    [
        ({"function": "working_append", "block": "human", "text": "word " * 100}, "at capacity: it would have "),
        ({"function": "working_append", "block": "human", "text": "  "}, "no text to append"),
        ({"function": "working_replace", "block": "human", "old": "Bob", "new": ""}, "does not hold 'Bob'"),
        ({"function": "working_replace", "block": "human", "old": "a", "new": ""}, "2 times"),
        ({"function": "working_replace", "block": "human", "old": "", "new": "x"}, "does not hold ''"),
        ({"function": "archival_insert", "text": " "}, "no text to keep"),
    ],
)  # fmt: skip
async def test_an_edit_that_cannot_be_is_told_to_the_model(tmp_path: Path, call: dict[str, str], told: str) -> None:
    model = ScriptedModel(replies(APPEND, call, say("ok")))
    agent = agent_in(tmp_path, model)
    outcome = await turn(agent, events.user_message("I am Ana", NOON))
    assert outcome.reply == "ok"
    assert told in model.last_shown.replace("\\u", "u")
    assert agent.storage.blocks("ana")[0].text == "Name: Ana"


async def test_a_block_is_edited_and_a_line_is_not_doubled(tmp_path: Path) -> None:
    change = {"function": "working_replace", "block": "human", "old": "Ana", "new": "Anna"}
    model = ScriptedModel(replies(APPEND, APPEND, {**APPEND, "text": "Likes tea"}, change, say("ok")))
    agent = agent_in(tmp_path, model)
    await turn(agent, events.user_message("go", NOON))
    (block,) = agent.storage.blocks("ana")
    assert (block.text, block.version) == ("Name: Anna\nLikes tea", 1)
    empty = {"function": "working_replace", "block": "human", "old": "Name: Anna", "new": ""}
    model.script = replies(*[say("")] * 5, empty, say("ok"))
    await turn(agent, events.user_message("go", NOON))
    assert agent.storage.blocks("ana")[0].text == "Likes tea"


def test_what_is_too_long_already_may_be_shortened(tmp_path: Path) -> None:
    from memory.working import replaced

    def count(texts: Any) -> list[int]:
        return [len(text) for text in texts]

    block = Block("human", "far too long", 5)
    assert replaced(block, "far ", "", count).text == "too long"


def edit_by_another(storage: Storage) -> None:
    (block,) = storage.blocks("ana")
    storage.put_block("ana", replace(block, text="Name: Bob"))


async def test_an_edit_of_a_block_that_another_changed_is_told_at_once(tmp_path: Path) -> None:
    model = ScriptedModel(replies(APPEND, say("hi")))
    agent = agent_in(tmp_path, model)
    await turn(agent, events.user_message("I am Ana", NOON))

    def script(_messages: Any, asked: int) -> Any:
        if asked == 2:
            edit_by_another(agent.storage)
        return {**APPEND, "text": "Likes tea"} if asked in (2, 3) else say("ok")

    model.script = script
    await turn(agent, events.user_message("I like tea", NOON))
    assert "was changed by another since you read it" in model.last_shown
    assert agent.storage.blocks("ana")[0].text == "Name: Bob\nLikes tea"


async def test_a_conflict_at_the_end_of_a_turn_is_told_and_the_turn_is_kept(tmp_path: Path) -> None:
    model = ScriptedModel(replies(APPEND, say("hi")))
    agent = agent_in(tmp_path, model)
    await turn(agent, events.user_message("I am Ana", NOON))

    def script(_messages: Any, asked: int) -> Any:
        if asked == 3:
            edit_by_another(agent.storage)
        return {**APPEND, "text": "Likes tea"} if asked == 2 else say(f"ok {asked}")

    model.script = script
    outcome = await turn(agent, events.user_message("I like tea", NOON))
    assert outcome.reply == "ok 3\n\nok 4"
    assert "was changed by another since it was read" in model.last_shown
    assert "Name: Bob" in model.requests[-1][0].content
    assert agent.storage.blocks("ana")[0].text == "Name: Bob"
    assert agent.storage.find("ana", Search(Shelf.RECALL, phrase="I like tea")) != []


async def test_a_program_that_edits_a_block_is_told_of_a_conflict(tmp_path: Path) -> None:
    agent = agent_in(tmp_path, ScriptedModel(replies(APPEND, say("hi"))))
    await turn(agent, events.user_message("I am Ana", NOON))
    session = await open_session(agent)
    session.functions = memory_functions(session)
    await session.append("human", "Likes tea")
    edit_by_another(agent.storage)
    with pytest.raises(BlockConflictError):
        await session.commit()
    assert session.blocks[0].text == "Name: Bob"
    await session.append("human", "Likes tea")
    await session.commit()
    assert agent.storage.blocks("ana")[0].text == "Name: Bob\nLikes tea"


async def test_turns_of_one_agent_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """Their summaries, too, cover every message once: one made of what another knew nothing of is left out."""
    model = ScriptedModel(replies(say("yes " * 30)), 2000)
    agent = agent_in(tmp_path, model)

    async def talk(who: str) -> None:
        for number in range(12):
            await turn(agent, events.user_message(f"{who} says {number}. " + "and so on " * 15, NOON))
            await asyncio.sleep(0)

    await asyncio.gather(*(talk(who) for who in ("Ana", "Ben", "Eva")))
    for who in ("Ana", "Ben", "Eva"):
        numbers = agent.storage.find("ana", Search(Shelf.RECALL, phrase=f"{who} says"))
        texts = [item.text.split(".")[0] for item in agent.storage.items("ana", Shelf.RECALL, numbers[::-1])]
        assert texts == [f"{who} says {number}" for number in range(12)]
    through = 0
    for summary in agent.storage.ledger("ana"):
        assert summary.first == through + 1
        through = summary.through
    assert through > 20
    state = agent.storage.state("ana")
    assert [item.number for item in state.queue] == list(range(through + 1, state.last_message + 1))


# no model inside a transaction ---------------------------------------------------------------------------------
async def test_no_model_summary_or_embedding_is_called_inside_a_write_transaction(tmp_path: Path) -> None:
    import apsw

    checked: list[str] = []

    def unlocked(who: str) -> None:
        """Nobody holds the write lock: another connection gets it without waiting."""
        other = apsw.Connection(str(tmp_path / "memory.db"))
        other.set_busy_timeout(0)
        other.execute("BEGIN IMMEDIATE; ROLLBACK")
        other.close()
        checked.append(who)

    embedder, summarise = LetterEmbedder(), Summariser(on_call=lambda: unlocked("summarise"))
    embedder.on_call = lambda: unlocked("embed")
    search = {"function": "recall_search", "query": "yes", "cursor": ""}
    model = ScriptedModel(
        lambda _messages, asked: [APPEND, search, say("yes " * 60)][asked % 3], 2000, on_call=lambda: unlocked("model")
    )
    agent = agent_in(tmp_path, model, embedder=embedder, summarise=summarise)
    for number in range(12):
        await turn(agent, events.user_message(f"message {number} " * 12, NOON))
    assert {"model", "summarise", "embed"} == set(checked)
    numbers = [number for number, _ in agent.storage.without_vector("ana", "letters", 99)]
    assert numbers == []


async def test_what_could_not_be_embedded_is_a_warning_and_the_turn_is_kept(tmp_path: Path) -> None:
    embedder = LetterEmbedder()
    embedder.failure = RuntimeError("no memory")
    agent = agent_in(tmp_path, ScriptedModel(replies(say("hi"))), embedder=embedder)
    outcome = await turn(agent, events.user_message("hello", NOON))
    assert "no memory" in outcome.warning
    assert outcome.last_message == 2
    embedder.failure = None
    assert (await turn(agent, events.user_message("hello", NOON))).warning == ""
    assert agent.storage.without_vector("ana", "letters", 9) == []


async def test_what_scrolled_out_in_this_very_turn_is_found(tmp_path: Path) -> None:
    async def read(_arguments: Arguments) -> Result:
        pages.append(f"page {len(pages)} tells of quince-{len(pages)}. " + "filler " * 200)
        return Result({"text": pages[-1]}, source="long.pdf")

    pages: list[str] = []
    found: list[Any] = []

    def watch(_call: Any, result: Result) -> None:
        if isinstance(result.body, dict) and "hits" in result.body:
            found.append(result.body)

    calls = [{"function": "read"}] * 6 + [{"function": "recall_search", "query": "quince-0", "cursor": ""}]
    model = ScriptedModel(replies(*calls, say("ok")), 2600)
    agent = agent_in(tmp_path, model)
    outcome = await turn(
        agent, events.user_message("read it all", NOON), on_call=watch,
        more_functions=lambda _: [Function("read", "Read on.", (), read)],
    )  # fmt: skip
    assert outcome.evicted_messages > 2
    (body,) = found
    assert "quince-0" in body["hits"][0]["quotation"]
    assert body["hits"][0]["quoted_from"] == "long.pdf"


async def test_a_function_answers_the_user_as_it_stands_and_its_document_writes_nothing(tmp_path: Path) -> None:
    async def run(_arguments: Arguments) -> Result:
        return Result("sent", "annual.pdf", says='It was 1802.\n[1] "in 1802"')

    look = Function("look_up", "Look it up.", (), run)
    model = ScriptedModel(replies({"function": "look_up"}, APPEND, say("Done.")))
    agent = agent_in(tmp_path, model)
    outcome = await turn(agent, events.user_message("When?", NOON), more_functions=lambda _session: (look,))
    assert (outcome.reply, outcome.stopped_by, outcome.calls) == ('It was 1802.\n[1] "in 1802"', Stop.REPLIED, 1)
    answer = agent.storage.state("ana").queue[-1]
    assert (answer.kind, answer.source) == (Kind.ANSWER, "annual.pdf")
    assert agent.storage.find("ana", Search(Shelf.RECALL, phrase='[1] "in 1802"')) == [answer.number]
    await turn(agent, events.user_message("Thank you", NOON))
    assert '"type": "answer_sent_to_user"' in model.last_shown
    assert [block.source for block in agent.storage.blocks("ana") if block.text] == ["annual.pdf"]
