"""Hostile input measured: what `graphreader index` does with it, and whether the library stays consistent.

    python -m benchmarks.hostile [--only NAME ...] [--scale 1.0] [--seed 7] [--limit SECONDS] [--out FILE]

Each source of ``hostile_inputs`` is made in a temporary folder and indexed by a child process without vectors; then
come situations: two indexers, removal during search, kills, Ctrl-C, a full disk and so on. A case passes where the
command ends within the limit with the exit code that is due, says why on standard error where it refuses, shows no
traceback, and leaves a library that ``consistency`` finds nothing wrong with. Prints a table in Markdown and, last, a
line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.consistency import counts_of, problems_of
from benchmarks.hostile_inputs import INPUTS
from benchmarks.hostile_process import Finished, finish, start
from benchmarks.hostile_situations import SITUATIONS

#: Inputs of which something is refused, so that the exit code is 1; the others are read whole.
_REFUSED = frozenset(
    "tiny_files jsonl_lines jsonl_long_lines noise encodings zip_bombs odd_folder pdf_odd".split()
)  # fmt: skip
_MAX_LINE_CHARACTERS = 160


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case. ``cpu_seconds`` tells more than ``seconds`` on a busy machine.

    ``peak_mb`` is the child's largest resident set, ``counts`` the library's rows afterwards.
    """

    name: str
    what: str
    seconds: float
    cpu_seconds: float
    peak_mb: int
    exit_code: int | None
    last_line: str
    counts: dict[str, int]
    problems: tuple[str, ...]


def measured_input(name: str, seed: int, scale: float, limit_seconds: float) -> Outcome:
    """One of the inputs, made and indexed."""
    make = INPUTS[name]
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        work = Path(folder)
        (work / "in").mkdir()
        sources = make(work / "in", random.Random(seed), scale)
        done = finish(start(["index", *sources, "--library", str(work / "library.db")], work), limit_seconds)
        due = 1 if name in _REFUSED else 0
        return _outcome(name, make.__doc__ or "", done, work / "library.db", due)


def measured_situation(name: str, seed: int, scale: float, limit_seconds: float) -> Outcome:
    """One of the situations."""
    situation = SITUATIONS[name]
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        work = Path(folder)
        done, due, problems = situation(work, random.Random(seed), scale, limit_seconds)
        return _outcome(name, situation.__doc__ or "", done, work / "library.db", due, problems)


def _outcome(name: str, what: str, done: Finished, library: Path, due: int, problems: tuple[str, ...] = ()) -> Outcome:
    found = [*problems, *_problems_of_command(done, due), *problems_of(library)]
    return Outcome(
        name=name,
        what=what.split("\n")[0],
        seconds=round(done.seconds, 1),
        cpu_seconds=round(done.cpu_seconds, 1),
        peak_mb=done.peak_bytes // 1_000_000,
        exit_code=done.exit_code,
        last_line=done.last_line[:_MAX_LINE_CHARACTERS],
        counts=counts_of(library),
        problems=tuple(found),
    )


def _problems_of_command(done: Finished, due: int) -> Iterator[str]:
    if done.exit_code is None:
        yield "not finished within the limit"
    elif done.exit_code != due:
        yield f"exit code {done.exit_code}, not {due}"
    if "Traceback" in done.stderr:
        yield "a traceback on standard error"
    if due and not done.last_line:
        yield "nothing said on standard error"


def _row(outcome: Outcome) -> str:
    held = f"{outcome.counts.get('passages', 0):,}"
    result = "; ".join(outcome.problems) if outcome.problems else "ok"
    said = outcome.last_line.replace("|", "\\|")
    cells = (
        outcome.name,
        f"{outcome.seconds:.1f}",
        outcome.cpu_seconds,
        outcome.peak_mb,
        outcome.exit_code,
        held,
        result,
        said,
    )
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Run the cases and print what they did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*INPUTS, *SITUATIONS], default=[*INPUTS, *SITUATIONS])
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds a command may take")
    parser.add_argument("--out", type=Path, help="append each outcome to this file, as a line of JSON")
    arguments = parser.parse_args()
    os.environ.setdefault("GRAPHREADER_SEARCH__EMBEDDER", "none")
    outcomes: list[Outcome] = []
    print("| case | s | CPU s | peak MB | exit | passages | library and command | last line on standard error |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for name in arguments.only:
        measured = measured_input if name in INPUTS else measured_situation
        outcome = measured(name, arguments.seed, arguments.scale, arguments.limit)
        outcomes.append(outcome)
        print(_row(outcome), flush=True)
        if arguments.out:
            with arguments.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(outcome), ensure_ascii=False) + "\n")
    failed = [outcome.name for outcome in outcomes if outcome.problems]
    print(json.dumps({"cases": len(outcomes), "failed": failed, "scale": arguments.scale, "seed": arguments.seed}))


if __name__ == "__main__":
    main()
