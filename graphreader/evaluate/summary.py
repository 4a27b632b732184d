"""Records to numbers: for each mode how many, how good and how dear, each mean with its interval."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from graphreader.evaluate.metrics import bootstrap_interval
from graphreader.evaluate.record import Record
from graphreader.evaluate.scoring import STAGES

#: Parts of the cost that are counted, and so repeat; seconds do not.
COUNTED = ("llm_calls", "prompt_tokens", "cached_tokens", "completion_tokens")


def summary_of(records: Sequence[Record]) -> dict[str, Any]:
    """The summary of each mode, in the order in which the modes first occur."""
    return {mode: _mode_summary(mine) for mode, mine in by_mode(records).items()}


def by_mode(records: Iterable[Record]) -> dict[str, list[Record]]:
    """The records of each mode."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.mode, []).append(record)
    return found


def _mode_summary(records: Sequence[Record]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for record in records for name in record.scores))
    failures: dict[str, int] = {}
    for record in records:
        if record.error is not None:
            failures[record.error["type"]] = failures.get(record.error["type"], 0) + 1
    return {
        "n": len(records),
        "failed": sum(failures.values()),
        "failures": failures,
        "scores": {name: mean_of(records, _score(name)) for name in names},
        "evidence": _evidence(records),
        "cost": cost_of(records),
    }


def mean_of(records: Sequence[Record], value: Callable[[Record], float | None]) -> dict[str, Any]:
    """The mean of the records that have the value, its interval, and the mean of those of them that were answered."""
    found = [(record, held) for record in records if (held := value(record)) is not None]
    answered = [held for record, held in found if not record.failed]
    interval = asdict(bootstrap_interval([held for _, held in found]))
    return rounded(interval) | {
        "n_answered": len(answered),
        "mean_answered": round(statistics.fmean(answered), 4) if answered else None,
    }


def _score(name: str) -> Callable[[Record], float | None]:
    return lambda record: record.scores.get(name)


def _evidence(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """Recall at each stage, by unit, over the questions that have gold evidence."""
    found: dict[str, dict[str, Any]] = {}
    for stage in STAGES:
        units = dict.fromkeys(unit for record in records for unit in record.evidence.get(stage, {}))
        for unit in units:
            recall = mean_of(records, lambda record, s=stage, u=unit: record.evidence.get(s, {}).get(u))  # type: ignore[misc]
            found.setdefault(stage, {})[unit] = recall
    return found


def cost_of(records: Sequence[Record]) -> dict[str, Any]:
    """The mean cost of a question and the sum of all. Seconds are of questions that the model was asked anew."""
    usages = [record.usage for record in records]
    fresh = [record.usage["seconds"] for record in records if not record.replayed_calls and not record.failed]
    cost: dict[str, Any] = {}
    for name in COUNTED:
        values = [usage.get(name, 0) for usage in usages]
        cost[name] = {"mean": round(statistics.fmean(values), 2), "total": sum(values)}
    if fresh:
        cost["seconds"] = {
            "n": len(fresh),
            "mean": round(statistics.fmean(fresh), 3),
            "median": round(statistics.median(fresh), 3),
            "most": round(max(fresh), 3),
            "total": round(sum(fresh), 3),
        }
    return cost


def rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, fractions with four digits."""
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}
