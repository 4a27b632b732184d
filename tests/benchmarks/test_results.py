"""The tables of docs/results.md: which runs they name, and which questions they pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks import results
from graphreader.evaluate.folder import RECORDS
from graphreader.evaluate.record import Record, line_of
from graphreader.records import Usage


def record(number: int, mode: str, f1: float, question: str = "", answerable: bool = True) -> Record:
    return Record(
        id=str(number),
        mode=mode,
        question=question or f"question {number}",
        gold=("gold",) if answerable else (),
        answer="said",
        answerable=True,
        citations=(),
        scores={"f1": f1, "score": f1},
        evidence={},
        usage=asdict(Usage()),
        error=None,
        trace=f"traces/{mode}/{number}.json",
        gold_answerable=answerable,
    )


def run_at(folder: Path, records: Sequence[Record]) -> str:
    folder.mkdir(parents=True)
    (folder / RECORDS).write_text("".join(f"{line_of(entry)}\n" for entry in records), encoding="utf-8")
    return str(folder)


def rows_of(printed: str) -> list[list[str]]:
    """The cells of the tables' lines, without their headings."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines()]
    return [cells for cells in lines if cells[0] not in ("run", "first", "---", "")]


def test_folders_of_the_same_name_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = run_at(tmp_path / "old" / "run", [record(1, "search", 0.2)])
    new = run_at(tmp_path / "new" / "run", [record(1, "search", 0.7)])
    other = run_at(tmp_path / "new" / "other", [record(1, "search", 0.4)])
    results.main([old, new, other, old, "--pair", "new/run:search", "old/run:search"])
    rows = rows_of(capsys.readouterr().out)
    assert [(row[0], row[3].split(" ")[0]) for row in rows[:3]] == [
        ("old/run", "20.0"),
        ("new/run", "70.0"),
        ("other", "40.0"),
    ]
    assert rows[3][:3] == ["new/run:search", "old/run:search", "1"]
    assert rows[3][3].startswith("+50.0")


def test_questions_of_two_sets_with_the_same_ids_are_no_pair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mills = run_at(tmp_path / "mills", [record(number, "search", 0.5, f"Which mill, {number}?") for number in (1, 2)])
    wells = run_at(
        tmp_path / "wells", [record(1, "search", 0.5, "Which well?"), record(2, "search", 0.0, "Which mill, 2?")]
    )
    far = run_at(tmp_path / "far", [record(1, "search", 0.5, "Which star?")])
    pairs = [("--pair", "mills:search", other) for other in ("wells:search", "far:search")]
    results.main([mills, wells, far, *pairs[0], *pairs[1]])
    rows = rows_of(capsys.readouterr().out)
    assert rows[3][2] == "1"
    assert rows[3][3].startswith("+50.0")
    assert rows[4][2:] == ["0", "", ""]


def test_several_sets_together_pair_each_with_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [
        run_at(tmp_path / name, [record(1, "graph", high), record(1, "search", 0.0)])
        for name, high in (("mills", 1.0), ("wells", 0.5))
    ]
    results.main([*folders, "--pair", "mills,wells:graph", "mills,wells:search"])
    assert rows_of(capsys.readouterr().out)[-1][2:4] == ["2", "+75.0 (+50.0 to +100.0)"]


def test_a_mode_without_an_answerable_question_has_an_empty_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unanswerable = [record(2, mode, 0.0, answerable=False) for mode in ("search", "full")]
    folder = run_at(tmp_path / "mills", [record(1, "search", 1.0), *unanswerable])
    results.main([folder, "--answerable", "--pair", "mills:search", "mills:full"])
    search, full, pair = rows_of(capsys.readouterr().out)
    assert search[:3] == ["mills", "search", "1"]
    assert full == ["mills", "full", "0", *[""] * (len(search) - 3)]
    assert pair == ["mills:search", "mills:full", "0", "", ""]


@pytest.mark.parametrize("arguments", [["none"], ["run", "--pair", "run:search", "run:graph"]])
def test_what_is_not_there_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run_at(tmp_path / "run", [record(1, "search", 1.0)])
    with pytest.raises(SystemExit, match=r"holds no records|no mode 'graph' in run"):
        results.main(arguments)


def test_evidence_is_paired_where_both_have_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noted = [{"noted": {"sentence": share, "passage": 0.9}} for share in (1.0, 0.5)]
    first = [replace(record(number, "graph", 0.5), evidence=noted[number]) for number in (0, 1)]
    second = [replace(record(0, "names", 0.5), evidence={"noted": {"sentence": 0.25}}), record(1, "names", 0.0)]
    folder = run_at(tmp_path / "run", [*first, *second])
    results.main([folder, "--stage", "noted", "--pair", "run:graph", "run:names"])
    row = rows_of(capsys.readouterr().out)[-1]
    assert row[2] == "2"
    assert row[3].startswith("+25.0")
    assert row[5].startswith("+75.0")


def test_what_failed_may_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = replace(record(1, "full", 0.0), error={"type": "DocumentsTooLongError", "message": "too long"})
    both = [record(number, "search", 0.25) for number in (0, 1)]
    folder = run_at(tmp_path / "filings", [record(0, "full", 0.75), failed, *both])
    results.main([folder, "--answered", "--pair", "filings:full", "filings:search"])
    rows = rows_of(capsys.readouterr().out)
    assert [row[2] for row in rows] == ["1", "2", "1"]
    assert rows[2][3].startswith("+50.0")
