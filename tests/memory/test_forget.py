"""Forgetting a text: messages, what quoted them, entries, blocks, summaries, and the bytes of the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from memory_doubles import NOON, ScriptedModel, Summariser, agent_in, replies, say

from memory import events
from memory.errors import SummaryError
from memory.forget import forget_text, would_forget
from memory.loop import turn
from memory.records import Search, Shelf


def on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("memory.db*")).lower()


async def test_a_secret_is_gone_from_everywhere(tmp_path: Path) -> None:
    secret = 'my "PIN" is 4711'
    calls = [
        {"function": "working_append", "block": "human", "text": secret},
        {"function": "archival_insert", "text": f"They said: {secret}"},
        say("Noted."),
        {"function": "recall_search", "query": "PIN", "cursor": ""},
        say("I know it."),
    ]
    model = ScriptedModel(replies(*calls))
    agent = agent_in(tmp_path, model)
    await turn(agent, events.user_message(f"Remember: {secret}", NOON))
    await turn(agent, events.user_message("What do you know?", NOON))
    assert b"4711" in on_disk(tmp_path)
    before = agent.storage.state("ana")
    would = would_forget(agent.storage, "ana", secret)
    assert agent.storage.state("ana") == before
    gone = forget_text(agent.storage, "ana", secret)
    assert set(would.messages) <= set(gone.messages)
    assert (would.entries, would.edited_blocks) == (gone.entries, gone.edited_blocks)
    assert gone.edited_blocks == ("human",)
    assert len(gone.entries) == 1
    assert len(gone.messages) == 4, "the message, both calls that hold it, the result that quotes the message"
    assert gone.erased
    assert b"4711" not in on_disk(tmp_path)
    await turn(agent, events.user_message("And now?", NOON))
    assert "4711" not in model.last_shown
    assert "What do you know?" in model.last_shown


async def test_a_summary_of_what_was_forgotten_is_made_anew_without_it(tmp_path: Path) -> None:
    summarise = Summariser()
    model = ScriptedModel(replies(say("yes " * 50)), 2000)
    agent = agent_in(tmp_path, model, summarise=summarise)
    await turn(agent, events.user_message("the code is xyzzy", NOON))
    number = 0
    while len(agent.storage.ledger("ana")) < 3:
        number += 1
        await turn(agent, events.user_message(f"message {number} " * 12, NOON))
    before = agent.storage.state("ana")
    assert "xyzzy" in "".join(summarise.calls[0][1])
    gone = forget_text(agent.storage, "ana", "xyzzy")
    assert gone.withdrawn_summaries == (1, 2, 3)
    withdrawn = agent.storage.state("ana").summary
    assert (withdrawn.withdrawn, withdrawn.text, withdrawn.through) == (True, "", before.summary.through)

    summarise.failure = OSError("offline")
    with pytest.raises(SummaryError, match="offline"):
        await turn(agent, events.user_message("hello", NOON))
    summarise.failure, known = None, len(summarise.calls)
    await turn(agent, events.user_message("hello", NOON))
    made_of = [message for _, messages in summarise.calls[known:] for message in messages]
    assert "xyzzy" not in "".join(made_of)
    assert sum("message 1 " in message for message in made_of) == 1
    renewed = next(one for one in agent.storage.ledger("ana") if one.number == 4)
    assert (renewed.first, renewed.through, renewed.previous) == (1, before.summary.through, 3)
    assert renewed.text
    assert "There is no summary" not in model.last_shown


async def test_only_summaries_from_the_forgotten_message_on_are_made_anew(tmp_path: Path) -> None:
    summarise = Summariser()
    model = ScriptedModel(replies(say("yes " * 50)), 2000)
    agent = agent_in(tmp_path, model, summarise=summarise)
    number = 0
    while len(agent.storage.ledger("ana")) < 3:
        number += 1
        await turn(agent, events.user_message(f"message-{number} " * 12, NOON))
    first, second, _ = agent.storage.ledger("ana")
    target = agent.storage.find("ana", Search(Shelf.RECALL, phrase="message-"))
    inside = max(one for one in target if first.through < one <= second.through)
    agent.storage.forget("ana", [inside])
    known = len(summarise.calls)
    await turn(agent, events.user_message("hello", NOON))
    renewed = next(one for one in agent.storage.ledger("ana") if one.number == 4)
    assert renewed.first == first.through + 1
    assert summarise.calls[known][0] == first.text


async def test_forgetting_nothing_is_refused(tmp_path: Path) -> None:
    agent = agent_in(tmp_path, ScriptedModel(replies(say("hi"))))
    with pytest.raises(ValueError, match="no text"):
        forget_text(agent.storage, "ana", "  ")
    assert forget_text(agent.storage, "ana", "unknown").messages == ()
