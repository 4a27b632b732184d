"""What a least probability of "yes, the excerpts state it" withholds, of right answers and of wrong ones.

    python -m benchmarks.thresholds FOLDER:MODE...

From the records and traces of ``graphreader evaluate``: the trace holds how probable the model held that its excerpts
state the answer, the record what it answered, or the guess that was withheld. For rising thresholds: the F1 over the
questions that have an answer, had only answers above been given, and how many of the questions without one would have
been answered. No model is asked.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphreader.evaluate.folder import read_records
from graphreader.evaluate.metrics.answers import token_f1
from graphreader.evaluate.record import Record

_THRESHOLDS = (0.0, 0.9, 0.93, 0.94, 0.95, 0.965, 0.98)
_GUESS = "The model's guess, of which it was not sure enough: "


@dataclass(frozen=True, slots=True)
class _Point:
    answerable: bool
    probability: float
    f1: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="FOLDER:MODE")
    parser.add_argument("--language", choices=("en", "zh"), default="en", help="how words are counted")
    given = parser.parse_args(arguments)
    print(_row(["run", "mode", "with / without an answer", *(f"{least:g}" for least in _THRESHOLDS)]))
    print(_row(["---"] * (3 + len(_THRESHOLDS))))
    for run in given.runs:
        folder, _, mode = run.rpartition(":")
        points = list(_points(Path(folder), mode, given.language))
        print(_row([Path(folder).name, mode, *_cells(points)]))
    return 0


def _points(folder: Path, mode: str, language: str) -> Iterator[_Point]:
    for record in read_records(folder):
        if record.mode != mode or record.error:
            continue
        answer, probability = _answer(record), _probability(folder / record.trace)
        f1 = max((token_f1(answer, gold, language) for gold in record.gold), default=0.0) if answer else 0.0
        yield _Point(record.gold_answerable, 0.0 if probability is None or not answer else probability, f1)


def _answer(record: Record) -> str:
    """What was answered, or the guess that was withheld; empty where the model itself said no."""
    if record.answerable:
        return record.answer
    return next((warning.removeprefix(_GUESS) for warning in record.warnings if warning.startswith(_GUESS)), "")


def _probability(trace: Path) -> float | None:
    steps = json.loads(trace.read_text(encoding="utf-8"))
    return next((step["detail"].get("probability") for step in steps if step["action"] == "answer"), None)


def _cells(points: Sequence[_Point]) -> Iterator[str]:
    stated = [point for point in points if point.answerable]
    unstated = [point for point in points if not point.answerable]
    yield f"{len(stated)} / {len(unstated)}"
    for least in _THRESHOLDS:
        f1 = statistics.fmean(point.f1 if point.probability >= least else 0.0 for point in stated) if stated else 0.0
        answered = sum(point.probability > 0 and point.probability >= least for point in unstated)
        yield f"{100 * f1:.1f}, {answered}" if unstated else f"{100 * f1:.1f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
