"""Runs: what is recorded, how failures count, how a run goes on, and that the same run again is the same."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import ScriptedModel, by_step, step_of

import graphreader.evaluate
from graphreader import Settings
from graphreader.errors import (
    GraphReaderError,
    MissingDependencyError,
    ModelRefusedError,
    ModelTimeoutError,
    ModelUnreachableError,
)
from graphreader.evaluate.folder import read_records
from graphreader.evaluate.modes import MODES
from graphreader.evaluate.run import Options, Watch, evaluate, read_run
from graphreader.settings import DEFAULT_MODEL

from .conftest import SCRIPT, OpenReader, mill_dataset

FIELDS = {
    "id", "mode", "question", "gold", "answer", "answerable", "citations", "scores", "evidence", "usage", "error",
    "trace",
}  # fmt: skip


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "records.jsonl").read_text(encoding="utf-8").splitlines()]


def repeated(folder: Path) -> list[dict[str, Any]]:
    """The records without what a clock tells, in an order of their own."""
    rows = lines(folder)
    for row in rows:
        row["usage"].pop("seconds")
        row.pop("replayed_calls")
        for citation in row["citations"]:
            citation.pop("source")
    return sorted(rows, key=lambda row: (row["mode"], row["id"]))


def failing(times: Callable[[str], bool], error: Exception) -> ScriptedModel:
    """A model that raises for the prompts that are chosen."""

    def script(prompt: str, schema: Any) -> Any:
        if times(prompt):
            raise error
        return by_step(SCRIPT)(prompt, schema)

    return ScriptedModel(script)


def test_a_record_for_each_question_and_mode(open_reader: OpenReader, tmp_path: Path) -> None:
    with open_reader() as reader:
        run = evaluate(mill_dataset(), reader, modes=list(MODES), out=tmp_path / "run")
    rows = lines(tmp_path / "run")
    answerable = sum(1 for case in mill_dataset().cases if case.evidence)
    assert len(rows) == 3 * (len(MODES) - 1) + answerable
    assert {(row["id"], row["mode"]) for row in rows} == {record.key for record in run.records}
    for row in rows:
        assert row.keys() >= FIELDS
        assert row["error"] is None
        assert set(row["usage"]) == {"llm_calls", "prompt_tokens", "cached_tokens", "completion_tokens", "seconds"}
        trace = json.loads((tmp_path / "run" / row["trace"]).read_text(encoding="utf-8"))
        assert isinstance(trace, list)
        assert row["context_tokens"] > 20


def test_scores_and_evidence_at_every_stage(open_reader: OpenReader, tmp_path: Path) -> None:
    with open_reader() as reader:
        run = evaluate(mill_dataset(), reader, modes=["graph", "search", "gold", "closed-book"], out=tmp_path / "run")
    by_key = {record.key: record for record in run.records}
    graph = by_key["q0", "graph"]
    assert graph.scores["em"] == graph.scores["score"] == graph.scores["citation_supporting"] == 1.0
    assert graph.evidence == {stage: {"sentence": 1.0} for stage in ("retrieved", "read", "noted", "cited")}
    assert set(by_key["q0", "search"].evidence) == {"retrieved", "read", "cited"}
    assert by_key["q0", "closed-book"].evidence == {}
    assert by_key["q2", "closed-book"].scores["answerable"] == 1.0
    assert by_key["q0", "closed-book"].scores["f1"] == 0.0
    assert by_key["q2", "search"].scores["answerable"] == 0.0
    graph_summary = run.summary["modes"]["graph"]
    assert (graph_summary["n"], graph_summary["failed"]) == (3, 0)
    assert graph_summary["scores"]["f1"]["low"] <= graph_summary["scores"]["f1"]["mean"] == 0.6667
    assert graph_summary["evidence"]["noted"]["sentence"]["mean"] == 1.0
    assert graph_summary["cost"]["llm_calls"]["total"] == sum(
        record.usage["llm_calls"] for record in run.records if record.mode == "graph"
    )
    assert run.summary["index"]["documents"] == 2
    assert json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8")) == run.summary


def test_gold_is_shown_and_nothing_else(open_reader: OpenReader, tmp_path: Path, model: ScriptedModel) -> None:
    with open_reader() as reader:
        evaluate(mill_dataset(1), reader, modes=["gold"], out=tmp_path / "run")
    ((step, prompt),) = model.calls
    assert step == "answer"
    assert "The tide mill at Orrin was built by Ada Brandt in 1802." in prompt
    assert "Lowick" not in prompt
    assert "bee hall" not in prompt


def test_of_a_page_and_a_sentence_on_it_the_sentence_is_gold(
    open_reader: OpenReader, tmp_path: Path, model: ScriptedModel
) -> None:
    from graphreader.evaluate.cases import GoldEvidence, Unit

    dataset = mill_dataset(1)
    page = GoldEvidence("tides", Unit.PAGE, page=1)
    case = replace(dataset.cases[0], evidence=(page, *dataset.cases[0].evidence))
    with open_reader() as reader:
        run = evaluate(replace(dataset, cases=(case,)), reader, modes=["gold"], out=tmp_path / "run")
    assert "Lowick" not in model.calls[0][1]
    assert run.records[0].evidence["read"] == {"page": 1.0, "sentence": 1.0}


def test_closed_book_is_told_nothing(open_reader: OpenReader, tmp_path: Path, model: ScriptedModel) -> None:
    with open_reader() as reader:
        evaluate(mill_dataset(1), reader, modes=["closed-book"], out=tmp_path / "run")
    ((step, prompt),) = model.calls
    assert step == "closed_book"
    assert "Orrin" not in prompt


def test_the_paper_begins_at_names_and_answers_from_notes(
    open_reader: OpenReader, tmp_path: Path, model: ScriptedModel
) -> None:
    model.script = by_step(SCRIPT | {"facts": {"notes": [0], "read_chunks": []}})
    with open_reader() as reader:
        run = evaluate(mill_dataset(1), reader, modes=["paper"], out=tmp_path / "run")
    nodes = next(prompt for step, prompt in model.calls if step == "nodes")
    assert "built by Ada Brandt" not in nodes
    assert "answer" not in model.steps()
    assert not run.records[0].answerable


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ModelRefusedError("no"), "ModelRefusedError"), (ZeroDivisionError("a mistake"), "ZeroDivisionError")],
)
def test_a_crash_costs_its_question(open_reader: OpenReader, tmp_path: Path, error: Exception, kind: str) -> None:
    model = failing(lambda prompt: "number 1" in prompt, error)
    with open_reader(model) as reader:
        run = evaluate(mill_dataset(4), reader, modes=["search"], out=tmp_path / "run")
    assert len(run.records) == 4
    (failed,) = (record for record in run.records if record.failed)
    assert failed.id == "q1"
    assert failed.error == {"type": kind, "message": str(error)}
    assert failed.answerable is None
    assert failed.scores["f1"] == failed.scores["score"] == failed.scores["answerable"] == 0.0
    assert failed.evidence == {stage: {"sentence": 0.0} for stage in ("retrieved", "read", "cited")}
    summary = run.summary["modes"]["search"]
    assert (summary["n"], summary["failed"], summary["failures"]) == (4, 1, {kind: 1})
    assert summary["scores"]["f1"]["mean"] == 0.5
    assert summary["scores"]["f1"]["mean_answered"] == 0.6667


def test_replies_that_do_not_fit_are_a_failure(open_reader: OpenReader, tmp_path: Path) -> None:
    with open_reader(ScriptedModel(lambda *_: "no JSON")) as reader:
        run = evaluate(mill_dataset(1), reader, modes=["search"], out=tmp_path / "run")
    assert run.records[0].error is not None
    assert run.records[0].error["type"] == "BadModelOutputError"
    assert run.records[0].usage["llm_calls"] == 2


def test_what_failed_is_asked_again_where_wanted(open_reader: OpenReader, tmp_path: Path) -> None:
    model = failing(lambda prompt: "number 1" in prompt, ModelRefusedError("no"))
    with open_reader(model) as reader:
        evaluate(mill_dataset(4), reader, modes=["search"], out=tmp_path / "run")
        model.script = by_step(SCRIPT)
        calls = len(model.calls)
        again = evaluate(mill_dataset(4), reader, modes=["search"], out=tmp_path / "run")
        assert len(model.calls) == calls
        assert again.summary["modes"]["search"]["failed"] == 1
        options = Options(retry_failed=True)
        mended = evaluate(mill_dataset(4), reader, modes=["search"], out=tmp_path / "run", options=options)
    assert len(model.calls) == calls + 1
    assert mended.summary["modes"]["search"]["failed"] == 0
    assert len(lines(tmp_path / "run")) == 4


def test_a_model_that_is_gone_ends_the_run_and_keeps_what_is_finished(open_reader: OpenReader, tmp_path: Path) -> None:
    answered: list[str] = []
    gone = ModelUnreachableError("Nobody answers.")
    model = failing(lambda _: len(answered) >= 2, gone)
    watch = Watch(on_record=lambda record: answered.append(record.id))
    with open_reader(model) as reader:
        with pytest.raises(ModelUnreachableError, match="Nobody answers"):
            evaluate(
                mill_dataset(9),
                reader,
                modes=["search"],
                concurrency=1,
                out=tmp_path / "run",
                options=Options(watch=watch),
            )
        assert [row["id"] for row in lines(tmp_path / "run")] == answered == ["q0", "q1"]
        model.script = by_step(SCRIPT)
        run = evaluate(mill_dataset(9), reader, modes=["search"], out=tmp_path / "run")
    assert len(run.records) == 9
    assert not any(record.failed for record in run.records)


def test_replies_that_take_too_long_are_failures_like_others(open_reader: OpenReader, tmp_path: Path) -> None:
    model = failing(lambda prompt: "lamp" not in prompt, ModelTimeoutError("No reply within 600 s."))
    with open_reader(model) as reader:
        run = evaluate(mill_dataset(6), reader, modes=["search"], out=tmp_path / "run")
    assert sorted(record.id for record in run.records if record.failed) == ["q0", "q1", "q3", "q4"]


def test_a_lone_surrogate_in_gold_reply_and_id_is_kept(open_reader: OpenReader, tmp_path: Path) -> None:
    odd = "Ada \ud83d Brandt"
    dataset = mill_dataset(2)
    cases = (replace(dataset.cases[0], id="q\ud83d", answers=(odd,)), dataset.cases[1])
    model = ScriptedModel(by_step(SCRIPT | {"answer": {"excerpts": [1], "answerable": "yes", "answer": odd}}))
    with open_reader(model) as reader:
        run = evaluate(replace(dataset, cases=cases), reader, modes=["search"], out=tmp_path / "run")
    by_id = {record.id: record for record in run.records}
    assert by_id["q\ud83d"].gold == (odd,)
    assert by_id["q\ud83d"].answer == by_id["q1"].answer == odd
    assert (by_id["q\ud83d"].scores["em"], by_id["q1"].scores["em"]) == (1.0, 0.0)
    assert run.summary["modes"]["search"]["n"] == 2


def test_a_trace_that_cannot_be_written_ends_the_run(open_reader: OpenReader, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "traces").write_text("in the way", encoding="utf-8")
    with open_reader() as reader, pytest.raises(GraphReaderError, match="Cannot write to"):
        evaluate(mill_dataset(), reader, modes=["search"], out=tmp_path / "run")


def test_the_same_again_asks_nothing_and_writes_the_same(
    open_reader: OpenReader, tmp_path: Path, model: ScriptedModel
) -> None:
    options = Options(cache=tmp_path / "replies.db")
    modes = ["search", "graph", "closed-book"]
    with open_reader() as reader:
        evaluate(mill_dataset(), reader, modes=modes, out=tmp_path / "one", options=options)
        calls = len(model.calls)
        evaluate(mill_dataset(), reader, modes=modes, out=tmp_path / "two", options=options)
        assert len(model.calls) == calls
        evaluate(mill_dataset(), reader, modes=modes, out=tmp_path / "one", options=options)
    assert repeated(tmp_path / "one") == repeated(tmp_path / "two")
    assert all(row["replayed_calls"] == row["usage"]["llm_calls"] for row in lines(tmp_path / "two"))
    assert "seconds" not in read_run(tmp_path / "two").summary["modes"]["graph"]["cost"]


def test_a_model_that_is_to_vary_is_asked_each_time(
    open_reader: OpenReader, tmp_path: Path, model: ScriptedModel
) -> None:
    settings = Settings.load(model={"temperature": 0.7})
    options = Options(cache=tmp_path / "replies.db")
    with open_reader(settings=settings) as reader:
        for name in ("one", "two"):
            evaluate(mill_dataset(1), reader, modes=["search"], out=tmp_path / name, options=options)
    assert len(model.calls) == 2


@pytest.mark.parametrize("cut", [1, 40, 10_000])
def test_a_run_goes_on_where_its_last_line_was_cut(
    open_reader: OpenReader, tmp_path: Path, model: ScriptedModel, cut: int
) -> None:
    folder = tmp_path / "run"
    with open_reader() as reader:
        evaluate(mill_dataset(6), reader, modes=["search"], concurrency=1, out=folder)
        whole = (folder / "records.jsonl").read_bytes()
        kept = whole[: max(len(whole) - cut, 0)]
        (folder / "records.jsonl").write_bytes(kept)
        model.calls.clear()
        run = evaluate(mill_dataset(6), reader, modes=["search"], out=folder)
    assert sorted(record.id for record in run.records) == [f"q{number}" for number in range(6)]
    assert (folder / "records.jsonl").read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    assert len(lines(folder)) == 6
    assert model.calls == []


def test_more_modes_join_a_run(open_reader: OpenReader, tmp_path: Path) -> None:
    with open_reader() as reader:
        evaluate(mill_dataset(), reader, modes=["search"], out=tmp_path / "run")
        run = evaluate(mill_dataset(), reader, modes=["bm25", "search"], out=tmp_path / "run")
    assert {mode: entry["n"] for mode, entry in run.summary["modes"].items()} == {"search": 3, "bm25": 3}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"limit": 1}, "limit: None there, 1 here"),
        ({"seed": 7}, "seed: 0 there, 7 here"),
        ({"dataset": mill_dataset(4)}, "questions"),
        (
            {"settings": {"search": {"max_prompt_tokens": 900}}},
            "settings.search.max_prompt_tokens: None there, 900 here",
        ),
        ({"settings": {"serve": {"quantization": "int8"}}}, "served_as.quantization: None there, int8 here"),
        ({"name": "other"}, "model: scripted there, other here"),
        ({"name": DEFAULT_MODEL}, "measured.evidence_tokens: 1800 there, 600 here"),
    ],
    ids=["limit", "seed", "dataset", "settings", "weights", "model", "measured"],
)
def test_other_settings_in_the_same_folder_are_refused(
    open_reader: OpenReader, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with open_reader() as reader:
        evaluate(mill_dataset(), reader, modes=["search"], out=tmp_path / "run")
    before = (tmp_path / "run" / "records.jsonl").read_bytes()
    settings = Settings.load(**change.pop("settings", {}))
    model = ScriptedModel(by_step(SCRIPT), name=change.pop("name", "scripted"))
    dataset = change.pop("dataset", mill_dataset())
    with open_reader(model, settings) as reader, pytest.raises(GraphReaderError, match="other settings") as caught:
        evaluate(dataset, reader, modes=["search"], out=tmp_path / "run", **change)
    assert words in str(caught.value)
    assert "--out" in str(caught.value)
    assert (tmp_path / "run" / "records.jsonl").read_bytes() == before


def test_limit_draws_the_same_and_more(open_reader: OpenReader, tmp_path: Path) -> None:
    drawn = []
    with open_reader() as reader:
        for limit in (2, 5):
            run = evaluate(mill_dataset(9), reader, modes=["bm25"], limit=limit, seed=3, out=tmp_path / str(limit))
            drawn.append({record.id for record in run.records})
    assert [len(ids) for ids in drawn] == [2, 5]
    assert drawn[0] < drawn[1]


def test_questions_are_asked_side_by_side(open_reader: OpenReader, tmp_path: Path) -> None:
    model = ScriptedModel(by_step(SCRIPT))
    with open_reader(model) as reader:
        evaluate(mill_dataset(9), reader, modes=["closed-book"], concurrency=5, out=tmp_path / "run")
    assert model.most_at_once == 5


def test_the_same_question_twice_is_asked_once_at_a_time(open_reader: OpenReader, tmp_path: Path) -> None:
    dataset = mill_dataset(1)
    twins = tuple(replace(dataset.cases[0], id=name) for name in "abc")
    with open_reader() as reader:
        run = evaluate(replace(dataset, cases=twins), reader, modes=["graph"], out=tmp_path / "run")
    assert {record.id: record.answer for record in run.records} == dict.fromkeys("abc", "Ada Brandt")
    assert {len(record.evidence) for record in run.records} == {4}


def test_ids_that_are_paths_stay_in_the_folder(open_reader: OpenReader, tmp_path: Path) -> None:
    dataset = mill_dataset(1)
    names = ["../../evil", "a/b", "a-b", "..", "问题"]
    cases = tuple(replace(dataset.cases[0], id=name, question=f"Who? {name}") for name in names)
    with open_reader() as reader:
        run = evaluate(replace(dataset, cases=cases), reader, modes=["bm25"], out=tmp_path / "out" / "run")
    traces = [(run.folder / record.trace).resolve() for record in run.records]
    assert len(set(traces)) == len(names)
    assert all(trace.is_file() and trace.is_relative_to(run.folder / "traces" / "bm25") for trace in traces)


def test_two_processes_do_not_share_a_folder(open_reader: OpenReader, tmp_path: Path) -> None:
    def interfere(record: Any) -> None:
        with open_reader() as other, pytest.raises(GraphReaderError, match="Another process"):
            evaluate(mill_dataset(), other, modes=["bm25"], out=tmp_path / "run")
        seen.append(record.id)

    seen: list[str] = []
    with open_reader() as reader:
        options = Options(watch=Watch(on_record=interfere))
        evaluate(mill_dataset(1), reader, modes=["bm25"], out=tmp_path / "run", options=options)
    assert seen == ["q0"]


def test_a_judge_rates_besides_and_is_held_to_wrong_answers(open_reader: OpenReader, tmp_path: Path) -> None:
    dataset = mill_dataset(2)
    other = replace(dataset.cases[1], answers=("Osric Penhall",))
    judge = ScriptedModel(lambda prompt, _: {"verdict": "yes" if "Answer: Ada" in prompt else "no"}, name="judge")
    with open_reader() as reader:
        run = evaluate(
            replace(dataset, cases=(dataset.cases[0], other)),
            reader,
            modes=["search"],
            out=tmp_path / "run",
            options=Options(judge=judge),
        )
    assert all({"lr1", "lr2"} <= record.scores.keys() for record in run.records)
    assert judge.calls
    assert run.summary["judge"]["name"] == "judge"
    assert run.summary["judge"]["false_accepts"]["lr1"]["n"] == 2


def test_what_a_judge_did_not_rate_is_rated_with_what_failed(
    open_reader: OpenReader, tmp_path: Path, model: ScriptedModel
) -> None:
    def refuse(*_: Any) -> Any:
        raise ModelRefusedError("busy")

    judge = ScriptedModel(refuse, name="judge")
    options = Options(judge=judge, retry_failed=True)
    with open_reader() as reader:
        run = evaluate(mill_dataset(2), reader, modes=["search"], out=tmp_path / "run", options=options)
        assert all("The judge failed: busy" in record.warnings for record in run.records)
        judge.script = lambda *_: {"verdict": "yes"}
        calls = len(model.calls)
        run = evaluate(mill_dataset(2), reader, modes=["search"], out=tmp_path / "run", options=options)
    assert [record.scores["lr1"] for record in run.records] == [1.0, 1.0]
    assert len(model.calls) == calls


def test_a_judge_that_is_gone_ends_the_run(open_reader: OpenReader, tmp_path: Path) -> None:
    def nobody(*_: Any) -> Any:
        raise ModelUnreachableError("Nobody judges.")

    dataset = mill_dataset(6)
    dataset = replace(dataset, cases=tuple(case for case in dataset.cases if case.answerable))
    options = Options(judge=ScriptedModel(nobody, name="judge"))
    with open_reader() as reader, pytest.raises(ModelUnreachableError, match="Nobody judges"):
        evaluate(dataset, reader, modes=["search"], out=tmp_path / "run", options=options)
    assert read_records(tmp_path / "run") == []


def test_evidence_that_was_never_found_counts(open_reader: OpenReader, tmp_path: Path) -> None:
    dataset = mill_dataset(1)
    case = replace(dataset.cases[0], question="Xyzzy?")
    with open_reader() as reader:
        run = evaluate(replace(dataset, cases=(case,)), reader, modes=["bm25"], out=tmp_path / "run")
    assert run.records[0].evidence == {stage: {"sentence": 0.0} for stage in ("retrieved", "read", "cited")}


def test_explorers_do_not_go_on_with_another_question_of_the_same_id(open_reader: OpenReader, tmp_path: Path) -> None:
    """Ids are often 1, 2, 3: a run that broke off in one dataset is no beginning of one in another."""
    model = failing(lambda prompt: "Excerpt" in prompt or "[1]" in prompt, ModelRefusedError("broken"))
    dataset = mill_dataset(1)
    other = replace(dataset.cases[0], question="Who keeps the bee hall of Sedge?", answers=("Tomas Vell",), evidence=())
    with open_reader(model) as reader:
        evaluate(dataset, reader, modes=["paper"], out=tmp_path / "one")
        model.script = by_step(SCRIPT)
        model.calls.clear()
        evaluate(replace(dataset, cases=(other,)), reader, modes=["paper"], out=tmp_path / "two")
    assert model.calls[0][0] == "plan"
    assert "bee hall" in model.calls[0][1]


def test_what_indexing_cost_is_kept_where_it_is_interrupted(open_reader: OpenReader, tmp_path: Path) -> None:
    written: list[str] = []

    def script(prompt: str, schema: Any) -> Any:
        if step_of(schema) != "extract":
            return by_step(SCRIPT)(prompt, schema)
        written.append(prompt)
        if len(written) == 2:
            raise ModelUnreachableError("pulled the plug")
        return {"facts": []}

    settings = Settings.load(index={"facts": "model"}, model={"concurrency": 1})
    costs = []
    for _ in range(3):
        with open_reader(ScriptedModel(script), settings) as reader:
            try:
                evaluate(mill_dataset(1), reader, modes=["bm25"], out=tmp_path / "run")
            except ModelUnreachableError:
                pass
        costs.append(json.loads((tmp_path / "run" / "index.json").read_text(encoding="utf-8")))
    assert [cost["complete"] for cost in costs] == [False, True, True]
    assert 0 < costs[0]["usage"]["llm_calls"] < costs[1]["usage"]["llm_calls"]
    assert costs[2] == costs[1]
    assert costs[2]["new_documents"] == 2


def test_a_generated_dataset_follows_the_seed(open_reader: OpenReader, tmp_path: Path) -> None:
    asked = []
    with open_reader() as reader:
        for seed in (1, 1, 2):
            out = tmp_path / str(len(asked))
            run = evaluate("nested-keys:pairs=4,levels=0,n=2", reader, modes=["bm25"], seed=seed, out=out)
            asked.append({record.question for record in run.records})
    assert asked[0] == asked[1] != asked[2]


def test_without_a_folder_a_run_is_kept_in_one_of_its_own(
    open_reader: OpenReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with open_reader() as reader:
        run = graphreader.evaluate.evaluate(mill_dataset(1), reader, modes=["bm25"])
    assert run.folder.is_relative_to(tmp_path)
    assert graphreader.evaluate.read_run(run.folder).records == run.records


def test_where_there_is_no_gold_evidence_the_mode_is_named(open_reader: OpenReader, tmp_path: Path) -> None:
    dataset = mill_dataset(1)
    bare = replace(dataset, cases=(replace(dataset.cases[0], evidence=()),))
    with open_reader() as reader, pytest.raises(GraphReaderError, match="no gold evidence, and gold needs"):
        evaluate(bare, reader, modes=["gold"], out=tmp_path / "run")


def test_a_damaged_record_is_named(open_reader: OpenReader, tmp_path: Path) -> None:
    with open_reader() as reader:
        evaluate(mill_dataset(), reader, modes=["bm25"], out=tmp_path / "run")
        path = tmp_path / "run" / "records.jsonl"
        path.write_bytes(b"{broken\n" + path.read_bytes())
        with pytest.raises(GraphReaderError, match=r"records\.jsonl, line 1"):
            evaluate(mill_dataset(), reader, modes=["bm25"], out=tmp_path / "run")


def test_an_unknown_mode_names_those_there_are(open_reader: OpenReader, tmp_path: Path) -> None:
    with open_reader() as reader, pytest.raises(GraphReaderError, match="closed-book"):
        evaluate(mill_dataset(), reader, modes=["nonsense"], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(GraphReaderError, match="graphreader evaluate"):
        read_run(tmp_path)


def test_records_as_a_frame(open_reader: OpenReader, tmp_path: Path) -> None:
    with open_reader() as reader:
        run = evaluate(mill_dataset(), reader, modes=["bm25"], out=tmp_path / "run")
    frame = run.frame()
    assert list(frame["id"]) == [record.id for record in run.records]
    assert list(frame["scores.f1"]) == [record.scores["f1"] for record in run.records]


def test_a_frame_without_pandas_names_the_mend(
    open_reader: OpenReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_reader() as reader:
        run = evaluate(mill_dataset(1), reader, modes=["bm25"], out=tmp_path / "run")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependencyError, match="pip install pandas"):
        run.frame()


async def test_from_within_a_running_loop(open_reader: OpenReader, tmp_path: Path) -> None:
    await asyncio.sleep(0)
    with open_reader() as reader:
        run = evaluate(mill_dataset(1), reader, modes=["bm25"], out=tmp_path / "run")
    assert len(run.records) == len(read_records(tmp_path / "run")) == 1


def test_names_that_are_not_normalised_are_other_nodes(open_reader: OpenReader, tmp_path: Path) -> None:
    dataset = mill_dataset(1)
    text = dataset.documents["tides"].text + " The Tide Mills belong to Ada Brandt's Heirs Ltd."
    documents = {**dataset.documents, "tides": replace(dataset.documents["tides"], text=text)}
    names = []
    for normalise in (True, False):
        settings = Settings.load(index={"normalise": normalise})
        with open_reader(settings=settings) as reader:
            out = tmp_path / str(normalise)
            evaluate(replace(dataset, documents=documents), reader, modes=["graph"], out=out)
            names.append({element.name for element in reader.library.top_key_elements(None, 100)})
    assert "ada brandt" in names[0] & names[1]
    assert names[0] - names[1]
    assert any(name.startswith("the ") or "'s" in name or name.endswith(" ltd") for name in names[1] - names[0])
