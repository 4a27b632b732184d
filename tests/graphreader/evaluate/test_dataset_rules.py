"""What holds for datasets of every format: errors that name their place, pooling, and limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dataset_rows import HOTPOTQA, LEVAL, LOCOMO, LONGBENCH, LONGBENCH_V2, MUSIQUE, NARRATIVE_HUB, write

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
