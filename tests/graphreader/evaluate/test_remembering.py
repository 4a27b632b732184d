"""Modes ``memory`` and ``last-tokens``: fed once, asked apart, scored by the pieces that were shown."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fakes import ScriptedModel

import prompts
from graphreader import Settings
from graphreader.agent.answer import NOT_SAID
from graphreader.evaluate.cases import Case, Dataset, Part, SourceText, Unit
from graphreader.evaluate.datasets import load_dataset
from graphreader.evaluate.datasets.texts import part_evidence
from graphreader.evaluate.run import Run, evaluate
from graphreader.settings import EvaluateSettings
from memory.records import Shelf
from memory.sqlite import open_storage

from .conftest import OpenReader

MODES = ["memory", "last-tokens"]
SMALL = Settings(evaluate=EvaluateSettings(window_tokens=1024))
START = datetime(2023, 5, 8, 13, 56, tzinfo=UTC)
FILLER = "we talked about the weather again and about the long way home from work today"


def conversation(turns: int = 120) -> Dataset:
    """Two people over many days; on the fourth Mel says when she ran, on the last but one who won."""
    text, parts = "", []
    for number in range(turns):
        said = {3: "Mel: I ran the harbour race yesterday", turns - 2: "Ana: Osric won the regatta"}.get(
            number, f"{('Mel', 'Ana')[number % 2]}: turn {number} {FILLER}"
        )
        parts.append(Part(f"D{number}", len(text), len(text) + len(said), START + timedelta(days=number)))
        text += f"{said}\n\n"
    document = SourceText("talk", "Conversation of Mel and Ana", text, parts=tuple(parts))
    asked = [("When did Mel run the harbour race?", "10 May 2023", 3), ("Who won the regatta?", "Osric", turns - 2)]
    cases = [
        Case(f"q{place}", question, (answer,), ("talk",), evidence=(part_evidence(document, parts[turn], Unit.TURN),))
        for place, (question, answer, turn) in enumerate(asked)
    ]
    cases.append(Case("q2", "Who sold the boat?", (), ("talk",), answerable=False))
    return Dataset("talks", tuple(cases), {"talk": document})


def reader_of_talk(prompt: str, schema: Any) -> Any:
    """Summarises badly, answers from excerpts or the window badly, and from what it finds well."""
    if "noted" in schema.get("properties", {}):
        return {"noted": ["They talked."]}
    if "excerpts" in schema.get("properties", {}):
        found = re.search(r"(\w+) won the regatta", prompt)
        return {"excerpts": [1], "answerable": "yes" if found else "no", "answer": found[1] if found else ""}
    if '"quotation": "Mel: I ran the harbour race yesterday"' in prompt and "2023-05-11" in prompt:
        return {"function": "send_message", "message": "10 May 2023"}
    won = re.search(r'"quotation": "Ana: (\w+) won', prompt)
    if won:
        return {"function": "send_message", "message": won[1]}
    return {"function": "recall_search", "query": "regatta", "cursor": ""}


def ask(open_reader: OpenReader, out: Path, model: ScriptedModel, dataset: Dataset, **more: Any) -> Run:
    with open_reader(model, SMALL) as reader:
        return evaluate(dataset, reader, out=out, **{"modes": MODES, "concurrency": 3, **more})


def steps_of(run: Run, key: str, mode: str = "memory") -> list[dict[str, Any]]:
    record = next(record for record in run.records if record.key == (key, mode))
    steps: list[dict[str, Any]] = json.loads((run.folder / record.trace).read_text(encoding="utf-8"))
    return steps


# a conversation ------------------------------------------------------------------------------------------------
def test_what_scrolled_out_is_found_in_memory_and_not_in_the_plain_window(
    open_reader: OpenReader, tmp_path: Path
) -> None:
    run = ask(open_reader, tmp_path / "run", ScriptedModel(reader_of_talk), conversation())
    by_key = {record.key: record for record in run.records}
    assert not any(record.failed for record in run.records), [record.error for record in run.records]
    early = by_key["q0", "memory"]
    assert (early.answer, early.scores["f1"]) == ("10 May 2023", 1.0)
    assert early.evidence == {stage: {"turn": 1.0} for stage in ("retrieved", "read", "cited")}
    assert by_key["q0", "last-tokens"].evidence["read"] == {"turn": 0.0}
    assert by_key["q1", "last-tokens"].evidence["read"] == {"turn": 1.0}
    assert by_key["q1", "last-tokens"].answer == "Osric"
    assert early.warnings == ("No quote states this answer word for word: check it against the source.",)
    window, looked_up, answer, _ = steps_of(run, "q0")
    assert (window["action"], looked_up["action"], answer["action"]) == ("window", "recall_search", "send_message")
    assert 0 < len(window["detail"]["shown"]) < 60
    assert looked_up["detail"]["call"] == {"query": "When did Mel run the harbour race?", "cursor": ""}
    assert looked_up["detail"]["total"] >= 1
    # What the question's own words do not find the model searches for.
    queries = [step["detail"]["call"].get("query") for step in steps_of(run, "q2")[1:3]]
    assert queries == ["Who sold the boat?", "regatta"]


def test_plain_windows_of_questions_of_like_length_begin_alike(open_reader: OpenReader, tmp_path: Path) -> None:
    model = ScriptedModel(reader_of_talk)
    ask(open_reader, tmp_path / "run", model, conversation(), modes=["last-tokens"])
    assert len({prompt.partition("Question:")[0] for step, prompt in model.calls if step == "answer"}) == 1


def test_what_was_found_is_answered_from_by_the_last_step_of_the_other_modes(
    open_reader: OpenReader, tmp_path: Path
) -> None:
    model = ScriptedModel(reader_of_talk)
    modes = ["memory", "memory-found"]
    run = ask(open_reader, tmp_path / "run", model, conversation(), modes=modes, concurrency=1)
    found = {record.id: record for record in run.records if record.mode == "memory-found"}
    assert (found["q1"].answer, found["q1"].evidence["read"], found["q2"].answerable) == ("Osric", {"turn": 1.0}, True)
    assert found["q1"].citations[0]["quote"] == "Ana: Osric won the regatta"
    (excerpts,) = (prompt for step, prompt in model.calls if step == "answer" and "harbour race" in prompt)
    assert "Mel: I ran the harbour race yesterday" in excerpts
    assert "turn 118" not in excerpts
    assert Counter(model.steps())["call"] == 4
    assert [step["action"] for step in steps_of(run, "q1", "memory-found")] == [
        "recall_search", "send_message", "found", "answer",
    ]  # fmt: skip


def test_every_turn_is_fed_under_its_date_and_only_once(open_reader: OpenReader, tmp_path: Path) -> None:
    model = ScriptedModel(reader_of_talk)
    dataset = conversation()
    run = ask(open_reader, tmp_path / "run", model, dataset, modes=["memory"])
    summaries = model.steps().count("summarise")
    (fed,) = run.summary["memories"].values()
    assert (fed["pieces"], fed["documents"], fed["usage"]["llm_calls"]) == (120, 1, summaries)
    assert summaries >= fed["summaries"] > 0
    storage = open_storage(tmp_path / "run" / "memories.db")
    (agent,) = storage.agents()
    state = storage.state(agent)
    items = storage.items(agent, Shelf.RECALL, range(1, 200))
    storage.close()
    assert state.last_message == 120
    document = dataset.documents["talk"]
    told = [(document.text[part.start : part.end], part.time) for part in document.parts]
    assert [(item.text, item.time) for item in items] == told
    assert {item.source for item in items} == {"Conversation of Mel and Ana"}
    # A run that goes on asks what is left and feeds nothing.
    records = (tmp_path / "run" / "records.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "run" / "records.jsonl").write_text(records[0], encoding="utf-8")
    (tmp_path / "run" / "replies.db").unlink()
    again = ScriptedModel(reader_of_talk)
    ask(open_reader, tmp_path / "run", again, dataset, modes=["memory"])
    assert Counter(again.steps()) == {"call": 3}


def test_feeding_goes_on_where_a_failure_stopped_it(open_reader: OpenReader, tmp_path: Path) -> None:
    asked = 0

    def fails_once(prompt: str, schema: Any) -> Any:
        nonlocal asked
        if "noted" in schema.get("properties", {}):
            asked += 1
            if asked == 3:
                raise OSError("the machine is gone")
        return reader_of_talk(prompt, schema)

    run = ask(open_reader, tmp_path / "run", ScriptedModel(fails_once), conversation(), modes=["memory"], concurrency=1)
    assert [record.failed for record in run.records] == [True, False, False]
    assert run.records[0].error is not None
    assert "the machine is gone" in run.records[0].error["message"]
    storage = open_storage(tmp_path / "run" / "memories.db")
    (agent,) = storage.agents()
    starts = [(summary.first, summary.through) for summary in storage.ledger(agent)]
    assert storage.state(agent).last_message == 120
    storage.close()
    assert all(before[1] + 1 == after[0] for before, after in pairwise(starts))


def test_no_question_sees_another(open_reader: OpenReader, tmp_path: Path) -> None:
    model = ScriptedModel(reader_of_talk)
    run = ask(open_reader, tmp_path / "run", model, conversation(), modes=["memory"], concurrency=1)
    stored = [
        found[1]
        for step, prompt in model.calls
        if step == "call" and (found := re.search(r'"messages_in_recall_storage": (\d+)', prompt))
    ]
    # The question, its look-up and the result come to what was fed; the last question takes a search more.
    assert stored == ["123", "123", "123", "125"]
    assert {len(steps_of(run, key)[0]["detail"]["shown"]) for key in ("q0", "q1", "q2")} == {
        len(steps_of(run, "q0")[0]["detail"]["shown"])
    }


def test_what_was_never_said_is_not_answerable(open_reader: OpenReader, tmp_path: Path) -> None:
    def never(prompt: str, schema: Any) -> Any:
        reply = reader_of_talk(prompt, schema)
        return {**reply, "message": f" {NOT_SAID[:-1]} so."} if "message" in reply else reply

    run = ask(open_reader, tmp_path / "run", ScriptedModel(never), conversation(), modes=["memory"])
    assert [(record.answer, record.answerable) for record in run.records] == [(NOT_SAID, False)] * 3
    assert {record.id: record.scores["answerable"] for record in run.records} == {"q0": 0.0, "q1": 0.0, "q2": 1.0}
    for name in ("answer_conversation", "answer_archive"):
        assert NOT_SAID in prompts.render(name, question="?").system


@pytest.mark.parametrize("different", [True, False])
def test_a_model_that_only_searches_is_made_to_answer(open_reader: OpenReader, tmp_path: Path, different: bool) -> None:
    """At the last call, or when it has searched the same twice, there is nothing but the answer left to call."""
    offered: list[set[str]] = []

    def searching(prompt: str, schema: Any) -> Any:
        if "noted" in schema.get("properties", {}):
            return {"noted": ["They talked."]}
        shapes = schema.get("anyOf", [schema])
        names = {shape["properties"]["function"]["enum"][0] for shape in shapes}
        offered.append(names)
        if names == {"send_message"}:
            return {"function": "send_message", "message": "Osric"}
        return {"function": "recall_search", "query": f"turn {len(offered) if different else 7}", "cursor": ""}

    dataset = conversation()
    one = Dataset("one", dataset.cases[1:2], dataset.documents)
    run = ask(open_reader, tmp_path / "run", ScriptedModel(searching), one, modes=["memory"])
    assert run.records[0].answer == "Osric"
    assert offered[0] == {"recall_search", "recall_search_date", "send_message"}
    assert offered[-1] == {"send_message"}
    assert len(offered) == (12 if different else 3)


def test_a_document_that_fits_the_window_is_no_comparison(open_reader: OpenReader, tmp_path: Path) -> None:
    run = ask(open_reader, tmp_path / "run", ScriptedModel(reader_of_talk), conversation(20))
    assert [any("fit the window" in warning for warning in record.warnings) for record in run.records] == [
        record.mode == "memory" for record in run.records
    ]


# documents that are no conversation ----------------------------------------------------------------------------
class KeyFollower:
    """As an able model would: search the key, then its value, until a search finds no entry for it."""

    def __init__(self) -> None:
        self.key = ""

    def __call__(self, prompt: str, schema: Any) -> Any:
        asked = re.search(r"final value of the key (\S+)\?", prompt)
        if asked:
            self.key = asked[1]
        pairs = dict(re.findall(r'"quotation": "([0-9a-f-]{36}): ([0-9a-f-]{36})"', prompt))
        if not asked and self.key not in pairs:
            return {"function": "send_message", "message": self.key}
        self.key = pairs.get(self.key, self.key)
        return {"function": "archival_search", "query": self.key, "cursor": ""}


def test_nested_keys_are_followed_through_archival_storage(open_reader: OpenReader, tmp_path: Path) -> None:
    dataset = load_dataset("nested-keys:pairs=140,levels=0-4,n=5")
    model = ScriptedModel(KeyFollower())
    run = ask(open_reader, tmp_path / "run", model, dataset, modes=["memory"], concurrency=1)
    assert [record.error for record in run.records] == [None] * 5
    assert [record.scores["em"] for record in run.records] == [1.0] * 5
    assert [record.labels["hops"] for record in run.records] == ["1", "2", "3", "4", "5"]
    assert [record.evidence["read"] for record in run.records] == [{"sentence": 1.0}] * 5
    assert [fed["pieces"] for fed in run.summary["memories"].values()] == [140] * 5
    assert all(fed["usage"]["llm_calls"] == 0 for fed in run.summary["memories"].values())


def test_a_value_has_to_be_looked_up_before_it_may_be_the_answer(open_reader: OpenReader, tmp_path: Path) -> None:
    dataset = load_dataset("nested-keys:pairs=20,levels=1,n=1")
    follow, offered = KeyFollower(), []

    def watched(prompt: str, schema: Any) -> Any:
        offered.append("anyOf" in schema)
        return follow(prompt, schema)

    run = ask(open_reader, tmp_path / "run", ScriptedModel(watched), dataset, modes=["memory"])
    assert run.records[0].scores["em"] == 1.0
    assert offered == [False, False, False, True]


def test_of_a_text_without_parts_each_paragraph_is_an_entry(open_reader: OpenReader, tmp_path: Path) -> None:
    text = "The mill\n\nwas built by Ada\nin 1802.\n\n\nIt burnt in 1910.\n"
    case = Case("q", "When did it burn?", ("1910",), ("mill",))
    dataset = Dataset("mill", (case,), {"mill": SourceText("mill", "Mill", text)})

    def script(prompt: str, _schema: Any) -> Any:
        if '"function_result"' in prompt:
            return {"function": "send_message", "message": "1910"}
        return {"function": "archival_search", "query": "burnt down", "cursor": ""}

    run = ask(open_reader, tmp_path / "run", ScriptedModel(script), dataset, modes=["memory"])
    assert run.records[0].answer == "1910"
    assert run.records[0].citations[0]["quote"] == "It burnt in 1910."
    storage = open_storage(tmp_path / "run" / "memories.db")
    entries = storage.items(storage.agents()[0], Shelf.ARCHIVAL, range(1, 10))
    storage.close()
    assert [entry.text for entry in entries] == ["The mill", "was built by Ada\nin 1802.", "It burnt in 1910."]
    assert {entry.source for entry in entries} == {"Mill"}
