"""The Python API on real files, with a scripted model and an embedder without weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import ScriptedModel, WordEmbedder, by_step

from graphreader import FoundKind, GraphReader, Mode, Settings
from graphreader.coverage import Reading
from graphreader.errors import (
    BadModelOutputError,
    DocumentNotFoundError,
    GraphReaderError,
    LibraryError,
    SettingsError,
    SourceNotFoundError,
)
from graphreader.reader import answer_json

TIDES = "# Tides\n\nThe tide mill at Orrin was built by Ada Brandt in 1802. Ada Brandt was born in Lowick.\n"
BEES = "# Bees\n\nThe bee hall of Orrin has forty hives. Its keeper is Tomas Vell.\n"


def extracted(prompt: str, schema: Any) -> Any:
    return {
        "facts": [
            {"sentences": [1], "fact": "Ada Brandt built the tide mill at Orrin.", "key_elements": ["Ada Brandt"]}
        ]
    }


SCRIPT = {
    "plan": {"steps": ["builder of the tide mill"]},
    "facts": lambda _, schema: {
        "notes": [1],
        "read_chunks": schema["properties"]["read_chunks"]["items"].get("enum", [])[:1],
    },
    "chunk": {"notes": [1], "action": "termination"},
    "neighbour": {"neighbour": 0},
    "answer": {"excerpts": [1], "answerable": "yes", "answer": "Ada Brandt"},
    "extract": extracted,
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "tides.md").write_text(TIDES, encoding="utf-8")
    (folder / "bees.md").write_text(BEES, encoding="utf-8")
    return folder


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel(by_step(SCRIPT))


@pytest.fixture
def reader(tmp_path: Path, model: ScriptedModel) -> Iterator[GraphReader]:
    with GraphReader(tmp_path / "library.db", model=model, embedder=WordEmbedder()) as opened:
        yield opened


def test_index_and_ask(reader: GraphReader, files: Path) -> None:
    report = reader.index(str(files))
    assert len(report.new_ids) == 2
    assert report.failures == []
    answer = reader.ask("Who built the tide mill at Orrin?")
    assert answer.answer == "Ada Brandt"
    assert answer.citations[0].document == "Tides"
    assert answer.citations[0].source == str(files / "tides.md")
    assert "built by Ada Brandt" in answer.citations[0].quote
    assert answer.usage.llm_calls >= 4
    assert answer.mode is Mode.GRAPH
    assert answer.trace[0].action == "plan"


def test_the_json_of_an_answer(reader: GraphReader, files: Path) -> None:
    answer = reader.ask("Who built the tide mill?", [str(files / "tides.md")], mode="search")
    result = json.loads(json.dumps(answer_json(answer)))
    assert set(result) >= {
        "question", "answer", "answerable", "citations", "usage", "mode", "model", "stopped_by", "trace",
    }  # fmt: skip
    assert set(result["citations"][0]) >= {"document", "page", "start", "end", "quote"}
    assert set(result["usage"]) == {"llm_calls", "prompt_tokens", "cached_tokens", "completion_tokens", "seconds"}
    assert (result["mode"], result["model"], result["stopped_by"]) == ("search", "scripted", "finished")
    text = reader.library.document(result["citations"][0]["document_id"]).text
    assert text[result["citations"][0]["start"] : result["citations"][0]["end"]] == result["citations"][0]["quote"]


def test_search_costs_one_call(reader: GraphReader, files: Path, model: ScriptedModel) -> None:
    reader.index(str(files))
    reader.ask("Who keeps the bees?", mode=Mode.SEARCH)
    assert model.steps() == ["answer"]


def test_a_question_is_split_by_the_model_before_the_search_where_set(
    tmp_path: Path, files: Path, model: ScriptedModel
) -> None:
    settings = Settings.load(search={"decompose": True})
    with GraphReader(tmp_path / "library.db", settings=settings, model=model, embedder=WordEmbedder()) as reader:
        reader.index([str(files)])
        answer = reader.ask("Who?", mode="search")
    assert model.steps() == ["plan", "answer"]
    assert answer.citations
    assert "tide mill" in answer.citations[0].quote


def test_a_question_stays_within_its_sources(reader: GraphReader, files: Path, model: ScriptedModel) -> None:
    reader.index(str(files))
    reader.ask("Who is the keeper of Orrin?", ["Bees"], mode="search")
    assert "Tomas Vell" in model.calls[-1][1]
    assert "Ada Brandt" not in model.calls[-1][1]


def test_the_same_file_again_costs_nothing(reader: GraphReader, files: Path) -> None:
    first = reader.index(str(files))
    second = reader.index(str(files))
    assert second.document_ids == first.document_ids
    assert second.new_ids == []


def test_a_changed_file_replaces_its_old_version(reader: GraphReader, files: Path) -> None:
    reader.index(str(files))
    (files / "tides.md").write_text(TIDES.replace("Ada Brandt", "Mary Osk"), encoding="utf-8")
    reader.index(str(files / "tides.md"))
    titles = sorted(summary.title for summary in reader.documents())
    assert titles == ["Bees", "Tides"]
    assert reader.library.key_elements(["ada brandt"]) == {}
    assert reader.library.key_elements(["mary osk"])


def test_other_settings_index_anew(tmp_path: Path, files: Path, model: ScriptedModel) -> None:
    for tokens, expected in ((64, 2), (32, 2), (32, 0)):
        settings = Settings.load(index={"max_chunk_tokens": tokens})
        with GraphReader(tmp_path / "l.db", settings=settings, model=model, embedder=WordEmbedder()) as reader:
            assert len(reader.index(str(files)).new_ids) == expected
            chunks = [chunk for summary in reader.documents() for chunk in reader.library.chunks(summary.id)]
            assert all(chunk.token_count <= tokens for chunk in chunks)


def test_one_bad_file_stops_no_other(reader: GraphReader, files: Path) -> None:
    (files / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing else")
    (files / "empty.txt").write_text("", encoding="utf-8")
    report = reader.index(str(files))
    assert len(report.document_ids) == 2
    assert sorted(Path(failure.source).name for failure in report.failures) == ["broken.pdf", "empty.txt"]


def test_facts_by_a_model_for_every_chunk(reader: GraphReader, files: Path, model: ScriptedModel) -> None:
    report = reader.index(str(files / "tides.md"), facts="model")
    assert report.usage.llm_calls == model.steps().count("extract") == 1
    facts = reader.library.facts_of_chunks([chunk.id for chunk in reader.library.chunks(report.document_ids[0])])
    written = [fact for fact in facts if fact.origin == "model"]
    assert [fact.text for fact in written] == ["Ada Brandt built the tide mill at Orrin."]
    text = reader.library.document(report.document_ids[0]).text
    assert "built by Ada Brandt" in text[written[0].start : written[0].end]
    assert any(fact.origin == "phrases" for fact in facts)


def test_a_chunk_that_fails_is_recorded_and_tried_again_later(tmp_path: Path, files: Path) -> None:
    broken = ScriptedModel(by_step({"extract": "not json"}))
    with GraphReader(tmp_path / "l.db", model=broken, embedder=WordEmbedder()) as reader:
        report = reader.index(str(files / "tides.md"), facts="model")
        assert [type(error) for _, error in report.failed_chunks] == [BadModelOutputError]
        assert len(reader.library.failures()) == 1
    with GraphReader(tmp_path / "l.db", model=ScriptedModel(by_step(SCRIPT)), embedder=WordEmbedder()) as reader:
        assert reader.index(str(files / "tides.md"), facts="model").failed_chunks == []
        assert reader.library.failures() == []


def test_an_interrupted_indexing_goes_on_where_it_stopped(tmp_path: Path, files: Path) -> None:
    calls = 0

    def once(prompt: str, schema: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise GraphReaderError("pulled the plug")
        return extracted(prompt, schema)

    settings = Settings.load(model={"concurrency": 1})
    first = ScriptedModel(once)
    with GraphReader(tmp_path / "l.db", settings=settings, model=first, embedder=WordEmbedder()) as reader:
        with pytest.raises(GraphReaderError, match="plug"):
            reader.index(str(files), facts="model")
        done = 2 - len(reader.library.chunks_without_model_facts())
    second = ScriptedModel(by_step(SCRIPT))
    with GraphReader(tmp_path / "l.db", settings=settings, model=second, embedder=WordEmbedder()) as reader:
        reader.index(str(files), facts="model")
        assert reader.library.chunks_without_model_facts() == []
    # A reply that was on its way into the library when the other call failed may have arrived meanwhile.
    assert 1 <= len(second.calls) <= 2 - done


def test_lazy_facts_are_written_after_the_answer_and_kept(
    reader: GraphReader, files: Path, model: ScriptedModel
) -> None:
    reader.index(str(files))
    answer = reader.ask("Who built the tide mill at Orrin?")
    assert "extract" not in model.steps()
    assert answer.answer == "Ada Brandt"
    reader.write_pending_facts()
    written = model.steps().count("extract")
    assert written >= 1
    reader.write_pending_facts()
    assert model.steps().count("extract") == written


def test_pending_facts_give_way_to_a_question(reader: GraphReader, files: Path, model: ScriptedModel) -> None:
    reader.index(str(files))
    reader.ask("Who built the tide mill at Orrin?")

    async def never(*_: Any, **__: Any) -> Any:
        import asyncio

        await asyncio.sleep(60)

    complete = model.complete
    model.complete = never  # type: ignore[method-assign]
    reader.write_pending_facts(give_way=lambda: True)
    model.complete = complete  # type: ignore[method-assign]
    reader.write_pending_facts()
    assert model.steps().count("extract") >= 1


def test_the_documents_do_not_say(tmp_path: Path, files: Path) -> None:
    model = ScriptedModel(by_step(SCRIPT | {"answer": {"excerpts": [], "answerable": "no", "answer": ""}}))
    with GraphReader(tmp_path / "l.db", model=model, embedder=WordEmbedder()) as reader:
        answer = reader.ask("How deep is the well?", str(files))
    assert not answer.answerable
    assert answer.citations == ()
    assert answer.answer == "The documents do not say."


def test_removing_a_document_removes_it(reader: GraphReader, files: Path) -> None:
    reader.index(str(files))
    reader.ask("Who built the tide mill at Orrin?")
    reader.remove("tides.md")
    assert [summary.title for summary in reader.documents()] == ["Bees"]
    assert reader.library.key_elements(["ada brandt"]) == {}
    with pytest.raises(DocumentNotFoundError):
        reader.remove("tides.md")


def test_what_cannot_be_asked_says_why(reader: GraphReader, tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="graphreader index"):
        reader.ask("Anything?")
    with pytest.raises(GraphReaderError, match="empty"):
        reader.ask("  ")
    with pytest.raises(SourceNotFoundError, match=r"nowhere\.pdf"):
        reader.ask("Anything?", [str(tmp_path / "nowhere.pdf")])


def test_answers_are_kept(reader: GraphReader, files: Path) -> None:
    reader.ask("Who built the tide mill?", str(files), mode="search")
    assert reader.library.answers()[0]["answer"] == "Ada Brandt"


def test_settings_by_file_environment_and_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("graphreader.toml").write_text('[model]\nname = "from-file"\ntimeout_seconds = 5.0\n', encoding="utf-8")
    assert Settings.load().model.name == "from-file"
    monkeypatch.setenv("GRAPHREADER_MODEL__NAME", "from-environment")
    assert Settings.load().model.name == "from-environment"
    assert Settings.load().model.timeout_seconds == 5.0
    assert Settings.load(model={"name": "from-caller"}).model.name == "from-caller"
    with pytest.raises(SettingsError, match=r"model\.retries"):
        Settings.load(model={"retries": -1})
    monkeypatch.setenv("GRAPHREADER_MODEL__API_KEY", "very-secret")
    assert "very-secret" not in repr(Settings.load())


@pytest.mark.parametrize("kind", list(FoundKind))
def test_what_is_found_stands_verbatim_in_the_source(reader: GraphReader, files: Path, kind: FoundKind) -> None:
    reader.index(str(files))
    findings = reader.search("Where was the builder of the tide mill born?", kind=kind)
    assert [found.rank for found in findings.found] == list(range(1, len(findings.found) + 1))
    assert findings.found[0].document == "tides.md"
    assert findings.found[0].title == "Tides"
    assert findings.warnings == ()
    for found in findings.found:
        text = (files / found.document).read_text(encoding="utf-8")
        assert text[found.start : found.end] == found.text
        assert found.start <= found.best_start < found.best_end <= found.end
    scores = [found.score for found in findings.found]
    assert scores == sorted(scores, reverse=True)


def test_search_lists_no_more_than_asked_for_and_only_the_sources_named(reader: GraphReader, files: Path) -> None:
    reader.index(str(files))
    assert len(reader.search("Orrin", top=1).found) == 1
    found = reader.search("Orrin", str(files / "bees.md")).found
    assert {entry.document for entry in found} == {"bees.md"}


def test_search_indexes_new_sources_first(reader: GraphReader, files: Path) -> None:
    assert reader.search("hives", str(files / "bees.md")).found[0].document == "bees.md"


def test_search_finds_nothing_where_nothing_fits(tmp_path: Path, model: ScriptedModel, files: Path) -> None:
    settings = Settings.load(search={"embedder": "none"})
    with GraphReader(tmp_path / "other.db", settings=settings, model=model) as reader:
        reader.index(str(files))
        assert reader.search("zeppelin").found == ()


def test_an_empty_search_is_refused(reader: GraphReader) -> None:
    with pytest.raises(GraphReaderError, match="question is empty"):
        reader.search(" ")


def many_chunks(folder: Path) -> Path:
    """A file whose graph takes several batches."""
    paragraphs = [
        f"The mill number {number} at Orrin was built by Ada Brandt in {1000 + number}." for number in range(900)
    ]
    path = folder / "long.txt"
    path.write_text("\n\n".join(paragraphs), encoding="utf-8")
    return path


def test_text_is_searched_before_graph_and_vectors_are_there(tmp_path: Path, model: ScriptedModel) -> None:
    source = many_chunks(tmp_path)
    settings = Settings.load(index={"max_chunk_tokens": 100})
    with GraphReader(tmp_path / "library.db", settings=settings, model=model, embedder=WordEmbedder()) as reader:
        report = reader.index(str(source), max_wait_seconds=0)
        assert not report.complete
        for kind in ("facts", "chunks", "pages"):
            early = reader.search("Who built mill number 777?", kind=kind)
            assert "number 777 " in early.found[0].text
        assert "1 document searched without graph" in early.warnings[0]
        assert "passages without vector" in early.warnings[0]
        reader.finish_indexing()
        late = reader.search("Who built mill number 777?", kind="chunks")
        assert "number 777 " in late.found[0].text
        assert late.warnings == ()
        assert late.key_elements


def test_an_index_that_was_cut_short_is_completed_by_indexing_again(tmp_path: Path, model: ScriptedModel) -> None:
    source = many_chunks(tmp_path)
    settings = Settings.load(index={"max_chunk_tokens": 100})
    for cut_short in (True, False):
        with GraphReader(tmp_path / "library.db", settings=settings, model=model, embedder=WordEmbedder()) as reader:
            report = reader.index(str(source), max_wait_seconds=0 if cut_short else None)
            assert report.complete is not cut_short
            assert len(report.new_ids) == int(cut_short)
            facts = reader.documents()[0].fact_count
            assert (facts < 900) is cut_short
            assert reader.search("mill").warnings == () or cut_short


def test_a_library_made_by_another_embedder_is_told_and_searched_by_its_text(
    tmp_path: Path, files: Path, model: ScriptedModel
) -> None:
    class Another(WordEmbedder):
        name = "another"
        dimensions = 32

    with GraphReader(tmp_path / "l.db", model=model, embedder=WordEmbedder()) as reader:
        reader.index(str(files))
        expected = reader.search("hives", kind="chunks")
        assert expected.warnings == ()
    with GraphReader(tmp_path / "l.db", model=model, embedder=Another()) as reader:
        count = reader.library.passage_count()
        by_text = reader.search("hives", kind="chunks")
        assert by_text.found[0].text == expected.found[0].text
        assert f"{count} of {count} passages without vector of 'another'" in by_text.warnings[0]
        assert "run `graphreader index` on the sources again" in by_text.warnings[0]
        reader.index(str(files))
        assert reader.search("hives", kind="chunks").warnings == ()
    with GraphReader(tmp_path / "l.db", model=model, embedder=WordEmbedder()) as reader:
        assert reader.search("hives", kind="chunks") == expected


def test_an_answer_says_what_was_not_searched(tmp_path: Path, model: ScriptedModel) -> None:
    source = many_chunks(tmp_path)
    settings = Settings.load(index={"max_chunk_tokens": 100, "max_wait_seconds": 0})
    with GraphReader(tmp_path / "library.db", settings=settings, model=model, embedder=WordEmbedder()) as reader:
        answer = reader.ask("Who built the mills?", str(source), mode="search")
        assert "Not indexed completely yet" in answer.warnings[-1]
        reader.finish_indexing()
        assert not reader.ask("Who built the mills?", str(source), mode="search").warnings


def test_sources_that_another_process_is_reading_are_told(reader: GraphReader, files: Path) -> None:
    reader.index(str(files))
    with Reading(reader.library, 40) as reading:
        reading.done(10)
        assert "40 sources not read" in reader.search("hives").warnings[0]
    assert reader.search("hives").warnings == ()
