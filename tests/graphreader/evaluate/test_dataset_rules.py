"""What holds for datasets of every format: errors that name their place, pooling, and limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dataset_rows import (
    FAIRYTALE_HUB,
    HOTPOTQA,
    LEVAL,
    LOCOMO,
    LONGBENCH,
    LONGBENCH_V2,
    LV_EVAL,
    MUSIQUE,
    NARRATIVE_HUB,
    SQUAD,
    write,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphreader.errors import DatasetError
from graphreader.evaluate.datasets import load_dataset


@pytest.mark.parametrize(
    ("row", "change", "place"),
    [
        (HOTPOTQA, {"context": [["T", "no list"]]}, r"context\[0\]\[1\]: "),
        (MUSIQUE, {"paragraphs": [{"title": "T"}]}, r"paragraphs\[0\]\.paragraph_text: it is missing"),
        (LONGBENCH, {"answers": []}, "answers: "),
        (LONGBENCH_V2, {"answer": "E"}, "answer: "),
        (LEVAL, {"outputs": []}, "outputs: 0 outputs for 4 instructions"),
        (NARRATIVE_HUB, {"question": {"text": ""}}, r"question\.text: "),
        (LOCOMO, {"qa": [{"question": "Who?", "category": 1}]}, r"qa\[0\]\.answer: it is missing"),
    ],
    ids=["hotpotqa", "musique", "longbench", "longbench v2", "l-eval", "narrativeqa", "locomo"],
)
def test_a_malformed_row_names_file_line_and_field(
    tmp_path: Path, row: dict[str, Any], change: dict[str, Any], place: str
) -> None:
    with pytest.raises(DatasetError, match=rf"rows\.jsonl, line 2, field {place}"):
        load_dataset(write(tmp_path / "rows.jsonl", [row, {**row, **change}]))


def test_the_line_within_a_document_is_that_of_the_field(tmp_path: Path) -> None:
    rows = {"data": [{"title": "T", "paragraphs": [{"context": "C.", "qas": [{"id": "1", "question": None}]}]}]}
    path = write(tmp_path / "squad.json", rows)
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if '"question": null' in text)
    with pytest.raises(DatasetError) as caught:
        load_dataset(path)
    assert (caught.value.line, caught.value.field) == (line, "data[0].paragraphs[0].qas[0].question")


def test_broken_json_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{json.dumps(MUSIQUE)}\n\n{{"id": \n', encoding="utf-8")
    with pytest.raises(DatasetError, match=r"rows\.jsonl, line 3: not JSON"):
        load_dataset(path)
    path.write_text('[\n{"id": 1},\n{"id" 2}\n]', encoding="utf-8")
    with pytest.raises(DatasetError, match=r"rows\.jsonl, line 3: not JSON"):
        load_dataset(path)


def test_an_unknown_format_lists_what_was_looked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "questions.jsonl", [{"prompt": "?", "completion": "!"}])
    with pytest.raises(DatasetError, match=r"has the fields prompt, completion, .* Looked for: HotpotQA.*MuSiQue"):
        load_dataset(path)


@pytest.mark.parametrize("content", ["", "just words", "[]", "\n\n"])
def test_a_file_without_rows_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_text(content)
    with pytest.raises(DatasetError, match=r"empty\.jsonl"):
        load_dataset(path)


def test_a_folder_of_several_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [MUSIQUE])
    write(tmp_path / "b.jsonl", [MUSIQUE])
    with pytest.raises(DatasetError, match=r"2 files of questions \(a\.jsonl, b\.jsonl\)"):
        load_dataset(tmp_path)


def test_an_id_stands_for_one_question(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"field id: .* more than one question"):
        load_dataset(write(tmp_path / "a.jsonl", [MUSIQUE, MUSIQUE]))


def many(folder: Path, count: int = 30) -> Path:
    rows = [{**MUSIQUE, "id": f"2hop__{number}", "question": f"Question {number}?"} for number in range(count)]
    for number, row in enumerate(rows):
        row["paragraphs"] = [{"title": "T", "paragraph_text": f"Text {number}.", "is_supporting": True}]
    return write(folder / "many.jsonl", rows)


def test_pooled_questions_are_asked_of_all_documents(tmp_path: Path) -> None:
    path = many(tmp_path)
    alone, pooled = load_dataset(path, limit=5), load_dataset(path, pooled=True, limit=5)
    assert [case.id for case in alone.cases] == [case.id for case in pooled.cases]
    assert (len(alone.documents), len(pooled.documents)) == (5, 30)
    assert all(case.documents == tuple(pooled.documents) for case in pooled.cases)
    assert [case.evidence for case in alone.cases] == [case.evidence for case in pooled.cases]


def test_a_limit_draws_by_seed_and_a_larger_one_keeps_what_it_drew(tmp_path: Path) -> None:
    path = many(tmp_path)
    drawn = {limit: [case.id for case in load_dataset(path, limit=limit, seed=3).cases] for limit in (0, 5, 12, 99)}
    assert [len(ids) for ids in drawn.values()] == [0, 5, 12, 30]
    assert set(drawn[5]) < set(drawn[12])
    assert drawn[12] == [identity for identity in drawn[99] if identity in drawn[12]]
    assert drawn[5] != [case.id for case in load_dataset(path, limit=5, seed=4).cases]


def test_stories_cannot_be_pooled(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"LoCoMo cannot be pooled.*It is for HotpotQA"):
        load_dataset(write(tmp_path / "locomo.json", [LOCOMO]), pooled=True)


OWN = {
    "id": "x",
    "question": "Its colour?",
    "answer": "A",
    "aliases": ["B"],
    "options": {"A": "green", "B": "greenish"},
    "context": "It was green.",
    "evidence": ["was green"],
    "pages": [1],
    "hops": 1,
    "labels": {"season": "spring"},
}

scalars = st.none() | st.booleans() | st.integers(-2, 9) | st.text(max_size=4)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))


def places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a row, from the outermost to the innermost."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(inner for step, item in steps for inner in places(item, (*place, step)))]


def put(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """The same value with something else at one place."""
    if not place:
        return new
    items = dict(value) if isinstance(value, dict) else list(value)
    items[place[0]] = put(value[place[0]], place[1:], new)
    return items


def renamed(value: Any) -> Any:
    """The same row under other ids."""
    if isinstance(value, list):
        return [renamed(item) for item in value]
    if not isinstance(value, dict):
        return value
    ids = ("id", "_id", "sample_id")
    return {name: f"other {item}" if name in ids else renamed(item) for name, item in value.items()}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    row=st.sampled_from(
        [HOTPOTQA, MUSIQUE, SQUAD, LONGBENCH, LONGBENCH_V2, LV_EVAL, LEVAL, LOCOMO, FAIRYTALE_HUB, NARRATIVE_HUB, OWN]
    ),
    data=st.data(),
)
def test_whatever_stands_in_a_row_it_is_read_or_refused_with_its_line(
    tmp_path: Path, row: dict[str, Any], data: st.DataObject
) -> None:
    changed = put(row, data.draw(st.sampled_from(places(row)[1:])), data.draw(values))
    path = write(tmp_path / "rows.jsonl", [renamed(row), changed])
    refused = None
    try:
        cases = load_dataset(path).cases
    except DatasetError as error:
        refused, cases = error, ()
    assert refused is None or refused.line == 2
    assert all(case.question and bool(case.answers) == case.answerable for case in cases)
