"""Runs side by side: their means, what each two differ by on the same questions, and how kinds of questions fare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from graphreader.evaluate.folder import SETTINGS, read_json
from graphreader.evaluate.metrics import paired_difference
from graphreader.evaluate.record import Record
from graphreader.evaluate.run import Run
from graphreader.evaluate.summary import by_mode, mean_of, summary_of

#: Labels with more values than that are names rather than kinds.
_MAX_KINDS = 15
#: Lengths of a question's documents together, in tokens: each group ends before the next begins.
_LENGTHS = (0, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000)
_LENGTH_NAMES = (
    "under 4k",
    "4k to 8k",
    "8k to 16k",
    "16k to 32k",
    "32k to 64k",
    "64k to 128k",
    "128k to 256k",
    "256k on",
)


@dataclass(frozen=True, slots=True)
class Compared:
    """A mode of a run: a row of every table. ``settings`` are what its folder says."""

    name: str
    mode: str
    folder: Path
    dataset: str
    records: Sequence[Record]
    summary: Mapping[str, Any]
    settings: Mapping[str, Any]


def compared(runs: Sequence[Run]) -> list[Compared]:
    """The modes of all runs, named by their folder too where there are several."""
    folders = [run.folder for run in runs]
    shorts = Counter(folder.resolve().name for folder in folders)
    rows = []
    for run in runs:
        short = run.folder.resolve().name
        prefix = "" if len(runs) == 1 else f"{short if shorts[short] == 1 else run.folder}/"
        settings = read_json(run.folder / SETTINGS)
        dataset = str(settings.get("identity", {}).get("dataset", ""))
        summaries = summary_of(run.records)
        rows += [
            Compared(f"{prefix}{mode}", mode, run.folder, dataset, records, summaries[mode], settings)
            for mode, records in by_mode(run.records).items()
        ]
    return rows


def report_data(runs: Sequence[Run], rows: Sequence[Compared]) -> dict[str, Any]:
    """All numbers of the report."""
    return {
        "runs": [_row(row) for row in rows],
        "comparisons": differences(rows),
        "groups": groups(rows),
        "folders": [
            {
                "folder": str(run.folder),
                "settings": read_json(run.folder / SETTINGS),
                "index": run.summary.get("index"),
                "judge": run.summary.get("judge"),
                "sessions": run.summary.get("sessions", []),
            }
            for run in runs
        ],
    }


def _row(row: Compared) -> dict[str, Any]:
    identity = row.settings.get("identity", {})
    names = {"name": row.name, "mode": row.mode, "folder": str(row.folder), "dataset": row.dataset}
    return names | {"model": identity.get("model", ""), **row.summary}


def differences(rows: Sequence[Compared]) -> list[dict[str, Any]]:
    """How each two runs differ on the questions that both were asked, the better one of the two first."""
    found = []
    for one, other in combinations(rows, 2):
        if one.dataset != other.dataset:
            continue
        first, second = ({(record.id, record.question): record for record in row.records} for row in (one, other))
        common = [key for key in first if key in second]
        if not common:
            continue
        scores = [[held[key].scores.get("score", 0.0) for key in common] for held in (first, second)]
        names = [one.name, other.name]
        if sum(scores[0]) < sum(scores[1]):
            scores.reverse()
            names.reverse()
        difference = asdict(paired_difference(scores[0], scores[1]))
        found.append({"first": names[0], "second": names[1], "dataset": one.dataset, **_rounded(difference)})
    return sorted(found, key=lambda entry: -entry["mean"])


def groups(rows: Sequence[Compared]) -> list[dict[str, Any]]:
    """The mean score by kind of question: by each label with a few values, by length, by whether there is an answer."""
    records = [record for row in rows for record in row.records]
    kinds: dict[str, Callable[[Record], str | None]] = {
        "length of the documents (tokens)": lambda record: _length(record.context_tokens),
        "answerable": lambda record: "yes" if record.gold_answerable else "no",
    }
    for label in dict.fromkeys(label for record in records for label in record.labels):
        kinds[label] = lambda record, name=label: record.labels.get(name)  # type: ignore[misc]
    found = []
    for name, kind in kinds.items():
        values = _ordered({value for record in records if (value := kind(record)) is not None})
        if 2 <= len(values) <= _MAX_KINDS:
            found.append({"by": name, "values": values, "rows": [_group_row(row, kind, values) for row in rows]})
    return found


def _group_row(row: Compared, kind: Callable[[Record], str | None], values: Sequence[str]) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for value in values:
        members = [record for record in row.records if kind(record) == value]
        cells[value] = mean_of(members, lambda record: record.scores.get("score")) if members else None
    return {"run": row.name, "cells": cells}


def _length(tokens: int) -> str | None:
    if not tokens:
        return None
    return _LENGTH_NAMES[sum(1 for edge in _LENGTHS if tokens >= edge) - 1]


def _ordered(values: set[str]) -> list[str]:
    """Lengths by length, numbers by number, the rest by the alphabet."""
    if values <= set(_LENGTH_NAMES):
        return [name for name in _LENGTH_NAMES if name in values]
    return sorted(values, key=lambda value: (not value.isdecimal(), int(value) if value.isdecimal() else 0, value))


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}
