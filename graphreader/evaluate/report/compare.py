"""Runs side by side: their means, what each two differ by on the same questions, and how kinds of questions fare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

from graphreader.evaluate.folder import SETTINGS, read_json
from graphreader.evaluate.metrics import Difference, paired_difference
from graphreader.evaluate.record import Record
from graphreader.evaluate.run import Run
from graphreader.evaluate.summary import by_mode, mean_of, rounded, summary_of

#: Values of a label that are told apart, enough for the 21 tasks of LongBench; the rest are taken together.
_MAX_KINDS = 24
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
    rows = []
    for run, short in zip(runs, short_names([run.folder for run in runs]), strict=True):
        prefix = "" if len(runs) == 1 else f"{short}/"
        settings = read_json(run.folder / SETTINGS)
        dataset = str(settings.get("identity", {}).get("dataset", ""))
        summaries = summary_of(run.records)
        rows += [
            Compared(f"{prefix}{mode}", mode, run.folder, dataset, records, summaries[mode], settings)
            for mode, records in by_mode(run.records).items()
        ]
    return rows


def short_names(folders: Sequence[Path]) -> list[str]:
    """The last part of each folder's path, with as many of those before it as tell it from the other folders."""
    paths = [folder.resolve().parts for folder in folders]
    names = []
    for path in paths:
        lengths = range(1, len(path))
        alone = (length for length in lengths if sum(other[-length:] == path[-length:] for other in paths) == 1)
        names.append(Path(*path[-next(alone, len(path)) :]).as_posix())
    return names


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
    """How each two runs differ on the questions that both were asked, the better one of the two first.

    Beside the main score there are the other ``scores`` and the ``evidence`` at each stage that both runs have, each
    on the questions where both have it.
    """
    pairs = (_difference(one, other) for one, other in combinations(rows, 2) if one.dataset == other.dataset)
    return sorted((pair for pair in pairs if pair), key=lambda pair: -pair["mean"])


def _difference(one: Compared, other: Compared) -> dict[str, Any]:
    """The entry of two runs; empty where they have no question in common."""
    asked = [{(record.id, record.question): record for record in row.records} for row in (one, other)]
    common = [key for key in asked[0] if key in asked[1]]
    if not common:
        return {}
    sides = [(row.name, [held[key] for key in common]) for row, held in zip((one, other), asked, strict=True)]
    (first, firsts), (second, seconds) = sorted(sides, key=lambda side: -sum(_main(record) for record in side[1]))
    pairs = list(zip(firsts, seconds, strict=True))
    scores = {name: _paired(pairs, _score(name)) for name in one.summary["scores"] if name != "score"}
    evidence = {
        stage: _filled({unit: _paired(pairs, _recall(stage, unit)) for unit in units})
        for stage, units in one.summary["evidence"].items()
    }
    names = {"first": first, "second": second, "dataset": one.dataset}
    return names | _paired(pairs, _main) | {"scores": _filled(scores), "evidence": _filled(evidence)}


def _paired(pairs: Sequence[tuple[Record, Record]], value: Callable[[Record], float | None]) -> dict[str, Any]:
    """First less second on the questions where both have the value; empty where there is no such question."""
    both = [(value(first), value(second)) for first, second in pairs]
    held = [(first, second) for first, second in both if first is not None and second is not None]
    if not held:
        return {}
    firsts, seconds = zip(*held, strict=True)
    return rounded(asdict(_resampled(firsts, seconds)))


# Resampling is slow, and the same numbers come again: F1 is mostly the main score, what was read what was retrieved.
@lru_cache(maxsize=32)
def _resampled(first: tuple[float, ...], second: tuple[float, ...]) -> Difference:
    return paired_difference(first, second)


def _main(record: Record) -> float:
    return record.scores.get("score", 0.0)


def _score(name: str) -> Callable[[Record], float | None]:
    return lambda record: record.scores.get(name)


def _recall(stage: str, unit: str) -> Callable[[Record], float | None]:
    return lambda record: record.evidence.get(stage, {}).get(unit)


def _filled(found: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: inner for name, inner in found.items() if inner}


def groups(rows: Sequence[Compared]) -> list[dict[str, Any]]:
    """The mean score by kind of question: by each label, by length, by whether there is an answer.

    Of a label with many values the most frequent are told apart; ``others`` is how many more there are, and in each
    row the score of all those together.
    """
    records = [record for row in rows for record in row.records]
    kinds: dict[str, Callable[[Record], str | None]] = {
        "length of the documents (tokens)": lambda record: _length(record.context_tokens),
        "answerable": lambda record: "yes" if record.gold_answerable else "no",
    }
    for label in dict.fromkeys(label for record in records for label in record.labels):
        kinds[label] = lambda record, name=label: record.labels.get(name)  # type: ignore[misc]
    found = []
    for name, kind in kinds.items():
        counts = Counter(value for record in records if (value := kind(record)) is not None)
        if len(counts) < 2:
            continue
        values = _ordered({value for value, _ in counts.most_common(_MAX_KINDS)})
        cells = [_group_row(row, kind, values) for row in rows]
        found.append({"by": name, "values": values, "others": len(counts) - len(values), "rows": cells})
    return found


def _group_row(row: Compared, kind: Callable[[Record], str | None], values: Sequence[str]) -> dict[str, Any]:
    members: dict[str, list[Record]] = {value: [] for value in values}
    others: list[Record] = []
    for record in row.records:
        value = kind(record)
        if value is not None:
            members.get(value, others).append(record)
    return {
        "run": row.name,
        "cells": {value: _mean_score(mine) for value, mine in members.items()},
        "others": _mean_score(others),
    }


def _mean_score(records: Sequence[Record]) -> dict[str, Any] | None:
    return mean_of(records, _score("score")) if records else None


def _length(tokens: int) -> str | None:
    if not tokens:
        return None
    return _LENGTH_NAMES[sum(1 for edge in _LENGTHS if tokens >= edge) - 1]


def _ordered(values: set[str]) -> list[str]:
    """Lengths by length, numbers by number, the rest by the alphabet."""
    if values <= set(_LENGTH_NAMES):
        return [name for name in _LENGTH_NAMES if name in values]
    return sorted(values, key=lambda value: (not value.isdecimal(), int(value) if value.isdecimal() else 0, value))
