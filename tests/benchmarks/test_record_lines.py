"""Records that let a stopped benchmark go on, and the table it prints."""

from __future__ import annotations

from pathlib import Path

from benchmarks.record_lines import RecordLines, markdown_table


def test_rows_are_found_again(tmp_path: Path) -> None:
    file = tmp_path / "out" / "records.jsonl"
    RecordLines(file, ("a", "b")).add({"a": 1, "b": "x", "value": 2.5})
    again = RecordLines(file, ("a", "b"))
    assert again.has(a=1, b="x")
    assert not again.has(a=1, b="y")
    assert again.rows == [{"a": 1, "b": "x", "value": 2.5}]


def test_a_line_that_was_cut_off_is_measured_again(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    file.write_text('{"a": 1}\n{"a": 2, "val', encoding="utf-8")
    records = RecordLines(file, ("a",))
    assert not records.has(a=2)
    records.add({"a": 2})
    assert RecordLines(file, ("a",)).rows == [{"a": 1}, {"a": 2}]


def test_a_first_line_that_was_cut_off_leaves_none(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    file.write_text('{"a": 1', encoding="utf-8")
    assert RecordLines(file, ("a",)).rows == []
    assert file.read_text(encoding="utf-8") == ""


def test_a_table_has_as_many_cells_in_each_line() -> None:
    lines = markdown_table(("one", "two"), [[1, "x"], [2, ""]]).splitlines()
    assert [line.count("|") for line in lines] == [3, 3, 3, 3]
    assert lines[2] == "| 1 | x |"
