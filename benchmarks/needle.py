"""The needle test: at which lengths and depths a model finds a sentence, with its own positions and with scaled ones.

    python -m benchmarks.needle --haystack FILE --out FOLDER [--trials 3] [--variants native yarn linear ntk] ...
    python -m benchmarks.needle --out FOLDER --report docs

A plain text is cut to documents of the wished lengths, each with one needle at every depth (see
``benchmarks.needle_prompts``), and read by vLLM in a process of its own for each variant: ``native`` (within the
model's window only), ``yarn``, ``linear`` (position interpolation) and ``ntk``, with the overrides of `graphreader
plan` for ``--factor`` times the window. Every document is a line in FOLDER/records.jsonl, and what has its line is not
read again: a stopped run goes on, and more trials can be added. ``--report`` draws needle.png and writes the tables
into needle.md (between its two marks) in the folder it names, from the lines alone.

With the default of SmolLM2 135M all of it is about 50 minutes of processor time: some 26 minutes of two cores.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import needle_report
from benchmarks.local_vllm import engine_environment
from benchmarks.needle_engine import KEY
from benchmarks.needle_prompts import LEADS
from benchmarks.record_lines import RecordLines
from graphreader.errors import GraphReaderError
from graphreader.plan import PlanRequest, make_plan
from graphreader.serve import weights

VARIANTS = ("native", "yarn", "linear", "ntk")
_LENGTHS = (4096, 8192, 16_384, 24_576)
_DEPTHS = tuple(range(0, 101, 10))
_SPARE_KV = 1.2


@dataclass(frozen=True, slots=True)
class Variant:
    """How the model is to be opened: vLLM's overrides, and the lengths that it can be given then."""

    name: str
    lengths: list[int]
    hf_overrides: dict[str, Any]
    kv_bytes: int


def variant_of(name: str, config: dict[str, Any], lengths: Sequence[int], factor: int) -> Variant:
    """A variant for the model of ``config``. Raises ``PlanError`` where its positions cannot be scaled so."""
    plain = make_plan(config, PlanRequest(device="cpu", context_tokens=min(lengths)))
    native = plain.native_context or max(lengths)
    if name == "native":
        overrides, longest = {}, native
    else:
        longest = native * factor
        scaled = make_plan(config, PlanRequest(device="cpu", context_tokens=longest, rope=name))  # type: ignore[arg-type]
        overrides = scaled.hf_overrides
    possible = [length for length in lengths if length <= longest]
    kv_bytes = int(plain.kv_bytes_per_token * max(possible, default=0) * _SPARE_KV) + (64 << 20)
    return Variant(name, possible, overrides, kv_bytes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what has no line yet, then print the tables."""
    options = _options(arguments)
    records = options.out / "records.jsonl"
    if options.report is None:
        if code := _run(options, records):
            return code
    rows = RecordLines(records, KEY).rows
    if not rows:
        sys.stderr.write(f"{records} has no line yet: run without --report first.\n")
        return 1
    cells = needle_report.cells_of(rows)
    print(needle_report.tables(rows, cells))
    if options.report is not None:
        needle_report.write(options.report, rows, cells, VARIANTS)
    return 0


def _run(options: argparse.Namespace, records: Path) -> int:
    try:
        folder = weights.resolve(options.model)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        variants = [variant_of(name, config, options.lengths, options.factor) for name in options.variants]
    except GraphReaderError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    for variant in variants:
        job = {
            "variant": variant.name,
            "model": options.model,
            "weights": str(folder),
            "haystack": str(options.haystack.resolve()),
            "records": str(records.resolve()),
            "hf_overrides": variant.hf_overrides,
            "kv_bytes": variant.kv_bytes,
            "lengths": variant.lengths,
            "depths": [depth / 100 for depth in options.depths],
            "documents": [(trial, length) for trial in range(options.trials) for length in variant.lengths],
        }
        log = options.out / f"{variant.name}.log"
        with log.open("ab") as errors:
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.needle_engine"],
                input=json.dumps(job).encode(),
                env=engine_environment(),
                stderr=errors,
                check=False,
            )
        if done.returncode:
            sys.stderr.write(f"{variant.name} ended with code {done.returncode}; its log is {log}.\n")
            return 1
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.needle", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--haystack", type=Path, help="a plain text (UTF-8) of 30,000 tokens or more")
    parser.add_argument("--out", type=Path, required=True, help="folder for records.jsonl and vLLM's logs")
    parser.add_argument("--report", type=Path, help="run nothing: write needle.png and needle.md in this folder")
    parser.add_argument("--model", default="smollm2-135m-instruct", help="packaged name, folder or hub id")
    parser.add_argument("--lengths", nargs="+", type=int, default=list(_LENGTHS), help="tokens, reply included")
    parser.add_argument("--depths", nargs="+", type=int, default=list(_DEPTHS), help="per cent, 11 at most")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--trials", type=int, default=3, help="documents of each length, so questions of each cell")
    parser.add_argument("--factor", type=int, default=4, help="scaled variants are for this many native windows")
    options = parser.parse_args(arguments)
    if options.report is None and (options.haystack is None or not options.haystack.is_file()):
        parser.error("--haystack must name a text file (or use --report)")
    if len(options.depths) > len(LEADS) or not all(0 <= depth <= 100 for depth in options.depths):
        parser.error(f"--depths takes at most {len(LEADS)} numbers from 0 to 100")
    return options


if __name__ == "__main__":
    sys.exit(main())
