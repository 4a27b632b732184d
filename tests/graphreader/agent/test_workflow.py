from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from fakes import ScriptedModel, by_step, random_reply, step_of

from graphreader.agent import workflow
from graphreader.agent.answer import NOT_SAID
from graphreader.agent.context import RunContext
from graphreader.agent.state import new_explorer, note_state
from graphreader.errors import ModelUnreachableError
from graphreader.library.protocol import Library
from graphreader.records import Note, StoppedBy

TERMINATE = {"notes": [], "action": "termination"}


def first_fact(_: str, schema: Any) -> Any:
    letters = schema["properties"]["read_chunks"]["items"].get("enum", [])
    return {"notes": [1], "read_chunks": letters[:1]}


def note_all_and_go_on(_: str, schema: Any) -> Any:
    numbers = schema["properties"]["notes"]["items"]["enum"]
    return {"notes": numbers[1:4], "action": "search_more"}


def answer(text: str, answerable: str = "yes") -> Any:
    return {"answerable": answerable, "answer": text, "excerpts": [1]}


CAREFUL = {
    "plan": {"steps": ["keeper who saved Captain Hale", "birthplace of that keeper"]},
    "nodes": lambda _, schema: {"nodes": schema["properties"]["nodes"]["items"]["enum"][:3]},
    "facts": first_fact,
    "chunk": note_all_and_go_on,
    "neighbour": lambda _, schema: {"neighbour": schema["properties"]["neighbour"]["enum"][-1]},
    "answer": answer("Tarn Bridge"),
}


async def test_the_whole_way_to_a_cited_answer(make_context: Any) -> None:
    model = ScriptedModel(by_step(CAREFUL))
    context: RunContext = make_context(model)
    state = await workflow.run(context, "run")
    result = state["result"]
    assert result["answer"] == "Tarn Bridge"
    assert result["answerable"]
    assert "Mina Pell was born in Tarn Bridge." in " ".join(quote["quote"] for quote in result["citations"])
    for citation in result["citations"]:
        text = context.documents[citation["document_id"]].text
        assert text[citation["start"] : citation["end"]] == citation["quote"]
    assert result["read"]
    assert model.steps()[:2] == ["plan", "nodes"]
    assert model.steps()[-1] == "answer"
    assert context.library.run_records("run") == {}


async def test_explorers_run_side_by_side(make_context: Any) -> None:
    model = ScriptedModel(by_step(CAREFUL))
    await workflow.run(make_context(model), "run")
    assert model.most_at_once == 3


async def test_explorers_may_be_fewer_than_start_nodes(make_context: Any) -> None:
    model = ScriptedModel(by_step(CAREFUL))
    state = await workflow.run(make_context(model, max_explorers=1), "run")
    assert len(state["explorers"]) == 1


@pytest.mark.parametrize("seed", range(25))
async def test_whatever_legal_thing_the_model_says_a_run_ends_within_its_limits(make_context: Any, seed: int) -> None:
    rng = random.Random(seed)
    model = ScriptedModel(lambda _, schema: random_reply(schema, rng))
    context: RunContext = make_context(model, max_steps=7, max_chunk_reads=3)
    state = await workflow.run(context, f"run-{seed}")
    counted = Counter(model.steps())
    assert counted["plan"] == counted["nodes"] == 1
    assert counted["answer"] <= 1
    assert len(model.calls) <= 3 + 5 * 7
    for explorer in state["explorers"]:
        assert len(explorer["read"]) == len(set(explorer["read"])) <= 3
        assert len(explorer["visited"]) == len(set(explorer["visited"]))
        assert explorer["steps"] <= 7
        for note in explorer["notes"]:
            assert context.text(note["document_id"], note["start"], note["end"])
    for citation in state["result"]["citations"]:
        text = context.documents[citation["document_id"]].text
        assert text[citation["start"] : citation["end"]] == citation["quote"]
    if not state["result"]["answerable"]:
        assert state["result"]["answer"] == NOT_SAID
        assert state["result"]["citations"] == []


@pytest.mark.parametrize("killed_at", range(1, 12))
async def test_a_killed_run_goes_on_from_its_last_finished_step(make_context: Any, killed_at: int) -> None:
    follow = by_step(CAREFUL)
    whole = ScriptedModel(follow)
    expected = await workflow.run(make_context(whole), "whole")

    calls = 0

    def dying(prompt: str, schema: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == killed_at:
            raise ModelUnreachableError("pulled the plug")
        return follow(prompt, schema)

    first = ScriptedModel(dying)
    with pytest.raises(ModelUnreachableError):
        await workflow.run(make_context(first), "run")
    second = ScriptedModel(follow)
    seen = []
    context = make_context(second)
    resumed = RunContext(**{name: getattr(context, name) for name in context.__slots__} | {"on_step": seen.append})
    state = await workflow.run(resumed, "run")
    assert state["result"] == expected["result"]
    assert seen[0].action == "resumed"
    # Steps that had finished when the others were stopped are not asked for again; at most those under way are.
    assert len(second.calls) < len(whole.calls) or killed_at == 1
    assert len(first.calls) - 1 + len(second.calls) <= len(whole.calls) + 5
    # What the killed part had paid for is part of the cost; a step that was under way may be missing.
    assert context.gate.usage.llm_calls >= len(second.calls) + max(0, killed_at - 5)


@pytest.mark.parametrize("most", [1, 3])
async def test_an_explorer_that_finds_nothing_stops_wandering(make_context: Any, most: int) -> None:
    script = CAREFUL | {"facts": {"notes": [0], "read_chunks": []}, "neighbour": {"neighbour": 1}}
    model = ScriptedModel(by_step(script))
    state = await workflow.run(make_context(model, max_explorers=1, max_fruitless_nodes=most), "run")
    assert model.steps().count("facts") == most
    assert state["explorers"][0]["notes"] == []


async def test_a_step_limit_ends_with_the_best_answer_so_far(make_context: Any) -> None:
    model = ScriptedModel(by_step(CAREFUL))
    state = await workflow.run(make_context(model, max_steps=1), "run")
    assert state["result"]["stopped_by"] == StoppedBy.STEP_LIMIT
    assert state["result"]["answer"] == "Tarn Bridge"


@pytest.mark.parametrize(
    ("limits", "stopped_by"),
    [({"max_total_tokens": 10}, StoppedBy.TOKEN_LIMIT), ({"max_seconds": 1e-6}, StoppedBy.TIME_LIMIT)],
)
async def test_token_and_time_limits(make_context: Any, limits: dict[str, Any], stopped_by: StoppedBy) -> None:
    model = ScriptedModel(by_step(CAREFUL))
    state = await workflow.run(make_context(model, **limits), "run")
    assert state["result"]["stopped_by"] == stopped_by
    assert state["result"]["answer"] == "Tarn Bridge"
    assert set(model.steps()) == {"plan", "nodes", "answer"}


async def test_the_documents_do_not_say(make_context: Any) -> None:
    model = ScriptedModel(by_step(CAREFUL | {"answer": answer("Paris", "no")}))
    result = (await workflow.run(make_context(model), "run"))["result"]
    assert (result["answer"], result["answerable"], result["citations"]) == (NOT_SAID, False, [])


async def test_an_answer_that_no_quote_states_says_so(make_context: Any) -> None:
    model = ScriptedModel(by_step(CAREFUL | {"answer": answer("Constantinople")}))
    result = (await workflow.run(make_context(model), "run"))["result"]
    assert result["answerable"]
    assert "check it" in result["warnings"][0]


async def test_an_answer_that_runs_in_circles_is_cut(make_context: Any) -> None:
    endless = '{"excerpts": [1], "answerable": "yes", "answer": "Tarn Bridge ' + "on the river " * 200
    model = ScriptedModel(by_step(CAREFUL | {"answer": endless}))
    result = (await workflow.run(make_context(model), "run"))["result"]
    assert result["answer"].startswith("Tarn Bridge on the river")
    assert len(result["answer"]) <= 120
    assert model.steps().count("answer") == 1


async def test_without_a_plan_the_question_is_the_plan(make_context: Any) -> None:
    model = ScriptedModel(by_step(CAREFUL | {"plan": "nonsense"}))
    state = await workflow.run(make_context(model), "run")
    assert state["plan"] == ["Where was the keeper who saved Captain Hale born?"]
    assert state["result"]["answer"] == "Tarn Bridge"
    assert "problem" in state["trace"][0]["detail"]


async def test_one_explorer_that_talks_nonsense_does_not_stop_the_others(make_context: Any) -> None:
    def facts(prompt: str, schema: Any) -> Any:
        return "nonsense" if facts_calls.pop() else first_fact(prompt, schema)

    facts_calls = [False] * 50 + [True, True]
    model = ScriptedModel(by_step(CAREFUL | {"facts": facts}))
    result = (await workflow.run(make_context(model), "run"))["result"]
    assert result["answer"] == "Tarn Bridge"


async def test_checkpoints_hold_ids_and_not_texts(make_context: Any, library: Library) -> None:
    class Plug(Exception):
        """Ends the run before its answer."""

    def pull(*_: Any) -> Any:
        raise Plug

    model = ScriptedModel(by_step(CAREFUL | {"answer": pull}))
    with pytest.raises(Plug):
        await workflow.run(make_context(model), "run")
    stored = b"".join(library.run_records("run").values())
    assert stored
    assert b"Albatross was lost" not in stored
    assert len(stored) < 200_000


async def test_facts_already_seen_by_schema_only_unread_chunks_are_offered(make_context: Any) -> None:
    offered: list[list[str]] = []

    def facts(_: str, schema: Any) -> Any:
        offered.append(schema["properties"]["read_chunks"]["items"].get("enum", []))
        return first_fact(_, schema)

    model = ScriptedModel(by_step(CAREFUL | {"facts": facts}))
    state = await workflow.run(make_context(model, max_explorers=1, max_chunk_reads=1), "run")
    assert len(state["explorers"][0]["read"]) == 1
    assert offered[0]
    assert all(not letters for letters in offered[1:])
    assert step_of({"properties": {"steps": {}}}) == "plan"


@pytest.mark.parametrize(
    ("name", "least", "probability", "answerable"),
    [
        ("scripted", None, 0.51, True),
        ("scripted", None, 0.49, False),
        ("scripted", 0.8, 0.79, False),
        ("qwen2.5-coder-1.5b-instruct", None, 0.93, False),
        ("qwen2.5-coder-1.5b-instruct", None, 0.98, True),
        ("qwen2.5-coder-1.5b-instruct", 0.0, 0.1, True),
    ],
)
async def test_an_answer_the_model_is_not_sure_of_is_withheld_but_told(
    make_context: Any, name: str, least: float | None, probability: float, answerable: bool
) -> None:
    model = ScriptedModel(by_step(CAREFUL), name=name, weights={"yes": probability, "no": 1 - probability})
    result = (await workflow.run(make_context(model, least_probable=least), "run"))["result"]
    assert result["answerable"] is answerable
    if not answerable:
        assert result["answer"] == NOT_SAID
        assert result["citations"] == []
        assert "Tarn Bridge" in result["warnings"][0]


def noted(context: RunContext, *sentences: str) -> list[Any]:
    """An explorer for each sentence of the story, which noted it."""
    ((document_id, document),) = context.documents.items()
    explorers = []
    for number, sentence in enumerate(sentences, start=1):
        start = document.text.index(sentence)
        (chunk,) = (chunk for chunk in context.library.chunks(document_id) if chunk.start <= start < chunk.end)
        note = Note(document_id, chunk.id, start, start + len(sentence), number)
        explorers.append(new_explorer(number, "", []) | {"notes": [note_state(note)]})
    return explorers


def test_passages_and_notes_take_turns(make_context: Any) -> None:
    context: RunContext = make_context(ScriptedModel(by_step(CAREFUL)))
    text = next(iter(context.documents.values())).text
    apart = [hit for hit in context.found if "born" not in text[hit.start : hit.end]][:2]
    explorers = noted(context, "Mina Pell was born in Tarn Bridge.", "She came from Port Selby.")
    evidence = workflow.evidence_of(replace(context, found=tuple(apart)), explorers)
    assert evidence[0] == apart[0]
    assert "born in Tarn Bridge" in text[evidence[1].start : evidence[1].end]
    assert [bool(excerpt.votes) for excerpt in evidence[:3]] == [False, True, False]


def test_a_note_within_a_passage_is_read_once(make_context: Any) -> None:
    context: RunContext = make_context(ScriptedModel(by_step(CAREFUL)))
    evidence = workflow.evidence_of(context, noted(context, "Mina Pell was born in Tarn Bridge."))
    spans = sorted((excerpt.document_id, excerpt.start, excerpt.end) for excerpt in evidence)
    assert all(one[0] != other[0] or one[2] <= other[1] for one, other in pairwise(spans))
    assert not any(excerpt.votes for excerpt in evidence)
    assert {(hit.start, hit.end) for hit in context.found} <= {(one.start, one.end) for one in evidence}
