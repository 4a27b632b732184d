"""Rows of JSON, JSONL and CSV files, each with its place, so that an error names file, line and field."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError

from graphreader.errors import DatasetError

RowT = TypeVar("RowT", bound=BaseModel)
Place = tuple[str | int, ...]
#: What a report groups by: a text that may be absent, null or a number.
Label = Annotated[str, BeforeValidator(lambda value: "" if value is None else str(value))]

_SPACE = re.compile(r"[ \t\r\n]*")
#: The mend of every malformed row.
MEND = "Mend the row, or take the file as it was published."


@dataclass(frozen=True, slots=True)
class Row:
    """An object of a file: on its own ``line`` (from 1), or at a ``place`` in a JSON document."""

    file: Path
    value: dict[str, Any]
    line: int | None = None
    place: Place = ()

    def error(self, field: Place, problem: str, mend: str = MEND) -> DatasetError:
        """An error of this row that names file, line and field."""
        line = self.line
        if line is None:
            line = line_of(_text_of(self.file), (*self.place, *field))
        return DatasetError(str(self.file), problem, mend, line=line, field=_field_name(field))


def parse(row: Row, model: type[RowT]) -> RowT:
    """The row as ``model``. Raises ``DatasetError`` with file, line and field where it is malformed."""
    try:
        return model.model_validate(row.value)
    except ValidationError as error:
        first = error.errors()[0]
        # Pydantic ends a place with the name of the type it tried, where it tried several.
        field = [
            step for step in first["loc"] if not (isinstance(step, str) and re.search(r"[\[(]|^(str|int|float)$", step))
        ]
        problem = "it is missing" if first["type"] == "missing" else first["msg"][:1].lower() + first["msg"][1:]
        raise row.error(tuple(field), problem) from error


def read_rows(path: Path) -> list[Row]:
    """The objects of a JSONL or CSV file, of a JSON list, or the one object of a JSON document.

    Raises ``DatasetError`` for a file that is none of these, with the line where it goes wrong.
    """
    if path.suffix.lower() == ".csv":
        return list(_csv_rows(path))
    text = _text_of(path)
    start = _SPACE.match(text)
    first = text[start.end() : start.end() + 1] if start else ""
    if first == "[" or (first == "{" and not _is_lines(text)):
        return _document_rows(path, text)
    if first != "{":
        raise DatasetError(str(path), "neither JSON, JSONL nor CSV with a header", "Name a file of a known dataset.")
    return list(_line_rows(path, text))


def line_of(text: str, place: Place) -> int:
    """The line (from 1) of the value at ``place`` in the JSON document ``text``, or of the last part of it that is."""
    position = _skip(text, 0)
    for step in place:
        inner = next((at for name, at in _members(text, position) if name == step), None)
        if inner is None:
            break
        position = inner
    return text.count("\n", 0, position) + 1


def _members(text: str, position: int) -> Iterator[tuple[str | int, int]]:
    """Names (or numbers) and positions of what the object or list at ``position`` holds."""
    decoder = json.JSONDecoder()
    opening = text[position]
    if opening not in "{[":
        return
    position = _skip(text, position + 1)
    number = 0
    while text[position] not in "]}":
        name: str | int = number
        if opening == "{":
            name, position = decoder.raw_decode(text, position)
            position = _skip(text, _skip(text, position) + 1)
        yield name, position
        _, position = decoder.raw_decode(text, position)
        position = _skip(text, position)
        if text[position] == ",":
            position = _skip(text, position + 1)
        number += 1


def _skip(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(str(path), "not text in UTF-8", "Datasets are read as JSON, JSONL or CSV.") from error
    except OSError as error:
        raise DatasetError(str(path), f"cannot be read ({error.strerror})", "Check the path.") from error


def _is_lines(text: str) -> bool:
    try:
        json.loads(text.lstrip().split("\n", 1)[0])
    except json.JSONDecodeError:
        return False
    return True


def _document_rows(path: Path, text: str) -> list[Row]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise DatasetError(str(path), f"not JSON ({error.msg})", MEND, line=error.lineno) from error
    values = value if isinstance(value, list) else [value]
    rows = [Row(path, item, place=(number,)) for number, item in enumerate(values)]
    for row in rows:
        if not isinstance(row.value, dict):
            raise row.error((), "each item of the list must be an object")
    return rows if isinstance(value, list) else [Row(path, value)]


def _line_rows(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise DatasetError(str(path), f"not JSON ({error.msg})", MEND, line=number) from error
        if not isinstance(value, dict):
            raise DatasetError(str(path), "each line must be an object", MEND, line=number)
        yield Row(path, value, line=number)


def _csv_rows(path: Path) -> Iterator[Row]:
    # A field of a story is far over the default limit of 131,072 characters.
    csv.field_size_limit(1 << 30)
    reader = csv.DictReader(io.StringIO(_text_of(path), newline=""), restkey="columns beyond the header")
    line = 2
    for value in reader:
        yield Row(path, {name: cell for name, cell in value.items() if cell is not None}, line=line)
        line = reader.line_num + 1


def _field_name(field: Place) -> str | None:
    """A place as it is written in code: ``paragraphs[3].title``."""
    name = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in field)
    return name.lstrip(".") or None
