"""Runs of ``graphreader evaluate`` as the tables of docs/results.md.

    python -m benchmarks.results FOLDER... [--answerable] [--pair FOLDER:MODE FOLDER:MODE]...

A row for each folder and mode: the questions asked, scores with their bootstrap intervals of 95 % over questions,
evidence read, noted (where there are explorers) and cited, calls and tokens a question. ``--pair`` adds the paired
difference of F1 between two of them on the questions that both were asked; ``FOLDER,FOLDER:MODE`` are the questions of
several, in the same order on both sides. ``--answerable`` leaves out questions that have no answer. Folders are named
by their last part, with those before it where that is the same.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from graphreader.errors import GraphReaderError
from graphreader.evaluate.metrics.statistics import bootstrap_interval, paired_difference
from graphreader.evaluate.record import Record
from graphreader.evaluate.report.compare import short_names
from graphreader.evaluate.run import read_run
from graphreader.evaluate.summary import by_mode

#: A question: the place of its folder among those joined, its id and its words. Ids alone are 1, 2, ... in many sets.
_Asked = tuple[int, str, str]
#: The unit of gold evidence that is shown, the finest that a dataset has.
_UNITS = ("sentence", "turn", "passage", "page")
_HEADINGS = (
    "run", "mode", "n", "F1", "exact", "answerable", "quotes hold gold", "calls", "prompt (cached)", "reply",
)  # fmt: skip
#: Of evidence, shown before the quotes.
_STAGES = ("read", "noted", "cited")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--answerable", action="store_true")
    parser.add_argument("--pair", nargs=2, action="append", default=[], metavar="FOLDER:MODE")
    given = parser.parse_args(arguments)
    runs = _runs(given.folders)
    if given.answerable:
        runs = {run: {mode: _answerable(records) for mode, records in modes.items()} for run, modes in runs.items()}
    of_all = [record for modes in runs.values() for records in modes.values() for record in records]
    stages = [stage for stage in _STAGES if stage != "noted" or any("noted" in one.evidence for one in of_all)]
    headings = [*_HEADINGS[:6], *stages, *_HEADINGS[6:]]
    print(_row(headings))
    print(_row(["---"] * len(headings)))
    for run, modes in runs.items():
        for mode, records in modes.items():
            print(_row([run, mode, *_cells(records, stages)]))
    if given.pair:
        print(f"\n{_row(['first', 'second', 'n', 'F1 first − second', 'p'])}\n{_row(['---'] * 5)}")
    for first, second in given.pair:
        print(_row([first, second, *_difference(_named(runs, first), _named(runs, second))]))
    return 0


def _runs(given: Sequence[Path]) -> dict[str, dict[str, list[Record]]]:
    """The records of each mode of each run, by the run's name in the tables."""
    folders = list(dict.fromkeys(folder.resolve() for folder in given))
    try:
        found = [by_mode(read_run(folder).records) for folder in folders]
    except GraphReaderError as error:
        raise SystemExit(str(error)) from error
    return dict(zip(short_names(folders), found, strict=True))


def _answerable(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.gold_answerable]


def _named(runs: dict[str, dict[str, list[Record]]], name: str) -> dict[_Asked, Record]:
    folders, _, mode = name.rpartition(":")
    missing = [run for run in folders.split(",") if mode not in runs.get(run, {})]
    if missing:
        raise SystemExit(f"There is no mode {mode!r} in {', '.join(missing)}: name FOLDER:MODE of the table above.")
    return {
        (place, record.id, record.question): record
        for place, run in enumerate(folders.split(","))
        for record in runs[run][mode]
    }


def _difference(first: dict[_Asked, Record], second: dict[_Asked, Record]) -> list[str]:
    common = [key for key in first if key in second]
    if not common:
        return ["0", "", ""]
    found = paired_difference([_f1(first[key]) for key in common], [_f1(second[key]) for key in common])
    spread = f"{100 * found.mean:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"
    return [str(len(common)), spread, f"{found.p_value:.3f}"]


def _f1(record: Record) -> float:
    return record.scores.get("f1", record.scores.get("choice", 0.0))


def _cells(records: Sequence[Record], stages: Sequence[str]) -> Iterator[str]:
    yield str(len(records))
    if not records:
        yield from [""] * (len(_HEADINGS) + len(stages) - 3)
        return
    yield _interval([_f1(record) for record in records])
    yield _percent([record.scores["em"] for record in records if "em" in record.scores])
    yield _percent([record.scores["answerable"] for record in records if "answerable" in record.scores])
    for stage in stages:
        yield _percent(list(_recalls(records, stage)))
    held = "citation_supporting"
    yield _percent([record.scores[held] for record in records if held in record.scores])
    yield f"{_mean(records, lambda record: record.usage.get('llm_calls', 0)):.1f}"
    prompt = _mean(records, lambda record: record.usage.get("prompt_tokens", 0))
    cached = _mean(records, lambda record: record.usage.get("cached_tokens", 0))
    yield f"{prompt:,.0f} ({cached:,.0f})"
    yield f"{_mean(records, lambda record: record.usage.get('completion_tokens', 0)):.0f}"


def _recalls(records: Sequence[Record], stage: str) -> Iterator[float]:
    for record in records:
        units = record.evidence.get(stage, {})
        found = next((units[unit] for unit in _UNITS if unit in units), None)
        if found is not None:
            yield found


def _mean(records: Sequence[Record], value: Callable[[Record], float]) -> float:
    return statistics.fmean(value(record) for record in records)


def _interval(values: Sequence[float]) -> str:
    if not values:
        return ""
    found = bootstrap_interval(values)
    return f"{100 * found.mean:.1f} ({100 * found.low:.0f}–{100 * found.high:.0f})"


def _percent(values: Sequence[float]) -> str:
    return f"{100 * statistics.fmean(values):.0f}" if values else ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
