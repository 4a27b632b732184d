"""What benchmarks keep of a run, so that a stopped one goes on, and how they print it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class RecordLines:
    """Rows in a file of JSON lines, each written as soon as it is measured; ``key`` names the fields that tell one
    measurement from another.
    """

    def __init__(self, path: Path, key: Sequence[str]) -> None:
        self._path, self._key = path, tuple(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole, _, cut_off = text.rpartition("\n")  # a line without its end is of a run that was killed while it wrote
        if cut_off:
            path.write_text(whole + "\n" if whole else "", encoding="utf-8")
        self.rows: list[Row] = [json.loads(line) for line in whole.splitlines() if line.strip()]

    def has(self, **fields: object) -> bool:
        """Whether there is a row with these values of the key's fields."""
        return any(all(row.get(name) == fields[name] for name in self._key) for row in self.rows)

    def add(self, row: Row) -> None:
        """Write a row."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self.rows.append(row)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown, with a newline at its end."""
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    lines += [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"
