"""Runs of ``graphreader evaluate`` as the tables of docs/results.md.

    python -m benchmarks.results FOLDER... [--answerable] [--pair FOLDER:MODE FOLDER:MODE]...

A row for each folder and mode: the questions asked, scores with their bootstrap intervals of 95 % over questions,
evidence read, noted (where there are explorers) and cited, calls and tokens a question. ``--pair`` adds the paired
differences between two of them, of F1 and of the evidence at ``--stage`` (read, noted, cited), on the questions that
both were asked; ``FOLDER,FOLDER:MODE`` are the questions of several, in the same order on both sides. ``--answerable``
leaves out questions that have no answer, ``--answered`` those that failed, as in mode ``full`` where documents exceed
the window. Folders are named by their last part, with those before it where that is the same.
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
#: A number of a record; None where it has none.
_Measure = Callable[[Record], float | None]
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
    parser.add_argument("--answered", action="store_true")
    parser.add_argument("--pair", nargs=2, action="append", default=[], metavar="FOLDER:MODE")
    parser.add_argument("--stage", choices=_STAGES, help="pair the evidence at this stage, too")
    given = parser.parse_args(arguments)
    runs = {
        run: {
            mode: [
                record
                for record in records
                if (record.gold_answerable or not given.answerable) and not (record.failed and given.answered)
            ]
            for mode, records in modes.items()
        }
        for run, modes in _runs(given.folders).items()
    }
    of_all = [record for modes in runs.values() for records in modes.values() for record in records]
    stages = [stage for stage in _STAGES if stage != "noted" or any("noted" in one.evidence for one in of_all)]
    headings = [*_HEADINGS[:6], *stages, *_HEADINGS[6:]]
    print(_row(headings))
    print(_row(["---"] * len(headings)))
    for run, modes in runs.items():
        for mode, records in modes.items():
            print(_row([run, mode, *_cells(records, stages)]))
    measures: dict[str, _Measure] = {"F1": _f1}
    if given.stage:
        measures[given.stage] = lambda record: _recall(record, given.stage)
    if given.pair:
        differences = [heading for name in measures for heading in (f"{name} first − second", "p")]
        print(f"\n{_row(['first', 'second', 'n', *differences])}\n{_row(['---'] * (3 + len(differences)))}")
    for first, second in given.pair:
        print(_row([first, second, *_differences(_named(runs, first), _named(runs, second), list(measures.values()))]))
    return 0


def _runs(given: Sequence[Path]) -> dict[str, dict[str, list[Record]]]:
    """The records of each mode of each run, by the run's name in the tables."""
    folders = list(dict.fromkeys(folder.resolve() for folder in given))
    try:
        found = [by_mode(read_run(folder).records) for folder in folders]
    except GraphReaderError as error:
        raise SystemExit(str(error)) from error
    return dict(zip(short_names(folders), found, strict=True))


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


def _differences(
    first: dict[_Asked, Record], second: dict[_Asked, Record], measures: Sequence[_Measure]
) -> Iterator[str]:
    """How many questions both were asked, and how they differ by each measure, on those of them that have it."""
    common = [(first[key], second[key]) for key in first if key in second]
    yield str(len(common))
    for measure in measures:
        both = [(measure(one), measure(other)) for one, other in common]
        held = [(one, other) for one, other in both if one is not None and other is not None]
        if not held:
            yield from ("", "")
            continue
        found = paired_difference([one for one, _ in held], [other for _, other in held])
        yield f"{100 * found.mean:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"
        yield f"{found.p_value:.3f}"


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
        yield _percent([found for record in records if (found := _recall(record, stage)) is not None])
    held = "citation_supporting"
    yield _percent([record.scores[held] for record in records if held in record.scores])
    yield f"{_mean(records, lambda record: record.usage.get('llm_calls', 0)):.1f}"
    prompt = _mean(records, lambda record: record.usage.get("prompt_tokens", 0))
    cached = _mean(records, lambda record: record.usage.get("cached_tokens", 0))
    yield f"{prompt:,.0f} ({cached:,.0f})"
    yield f"{_mean(records, lambda record: record.usage.get('completion_tokens', 0)):.0f}"


def _recall(record: Record, stage: str) -> float | None:
    """The share of the gold evidence, by the finest unit that there is."""
    units = record.evidence.get(stage, {})
    return next((units[unit] for unit in _UNITS if unit in units), None)


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
