"""What libraries of growing size cost: time and memory of indexing and of search, and the size on disk.

    python -m benchmarks.scale BOOKS [--tokens 100000 1000000 ...] [--vectors NAME|random|none] [--books NAME ...]
                                     [--keep FOLDER] [--plot FILE.svg]

``BOOKS`` is a folder of plain texts, which are repeated and varied (see ``benchmarks.varied_books``) until there are so
many word pieces. ``--vectors random`` stores vectors made by chance: storage and search cost the same, only the time of
embedding is missing. Prints a table, then one line of JSON. On a machine that others use too, the CPU columns say more:
they hold the processor time of all threads.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.scale_parts import RANDOM
from benchmarks.scale_plot import Series, plot
from benchmarks.varied_books import write_books
from graphreader.llm.embed import DEFAULT_EMBEDDER

_SIZES = (100_000, 1_000_000, 10_000_000)

#: What is printed: title, key, digits after the point.
_COLUMNS = (
    ("tokens", "tokens", 0),
    ("passages", "passages", 0),
    ("load s", "load_seconds", 1),
    ("graph s", "graph_seconds", 1),
    ("embed s", "embed_seconds", 1),
    ("index s", "index_seconds", 1),
    ("alone s", "embedding_seconds", 1),
    ("ratio", "over_embedding", 2),
    ("CPU ratio", "cpu_over_embedding", 2),
    ("first s", "first_seconds", 1),
    ("index MB", "index_megabytes", 0),
    ("disk/text", "disk_over_text", 2),
    ("cold ms", "cold_first_ms", 0),
    ("p50 ms", "p50_ms", 0),
    ("p95 ms", "p95_ms", 0),
    ("p95 CPU ms", "cpu_p95_ms", 0),
    ("search MB", "search_megabytes", 0),
)


def start(part: str, library: Path, texts: Path, vectors: str) -> subprocess.Popen[str]:
    """A part of the benchmark in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.scale_parts", part, str(library), str(texts), vectors],
        stdout=subprocess.PIPE,
        text=True,
    )


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a part printed. Raises ``RuntimeError`` where it failed."""
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, process.args))} failed; its error stands above.")  # type: ignore[arg-type]
    return dict(json.loads(output.splitlines()[-1]))


def measure(folder: Path, books: Sequence[Path], tokens: int, vectors: str) -> dict[str, Any]:
    """All figures of one size. A library that is there already is only searched."""
    texts, library = folder / f"texts-{tokens}", folder / f"{tokens}-{vectors}.db"
    if not texts.exists():
        write_books(books, texts, tokens)
    text_bytes = sum(file.stat().st_size for file in texts.iterdir())
    row: dict[str, Any] = {"tokens": tokens, "vectors": vectors, "text_bytes": text_bytes}
    if not library.exists():
        started = time.time()
        indexing = start("index", library, texts, vectors)
        first = result_of(start("first", library, texts, vectors))
        row["first_seconds"] = first["first_found_at"] - started
        row |= result_of(indexing)
        row["index_megabytes"] = row.pop("peak_bytes") / 1e6
        row |= result_of(start("embed", library, texts, vectors))
        if vectors not in (RANDOM, "none"):
            row["over_embedding"] = row["index_seconds"] / row["embedding_seconds"]
            row["cpu_over_embedding"] = row["index_cpu_seconds"] / row["embedding_cpu_seconds"]
    searched = result_of(start("search", library, texts, vectors))
    row["search_megabytes"] = searched.pop("peak_bytes") / 1e6
    disk = sum(file.stat().st_size for file in folder.glob(f"{library.name}*") if file.suffix != ".lock")
    return {**row, **searched, "disk_bytes": disk, "disk_over_text": disk / text_bytes}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sizes named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path, help="folder with plain texts (.txt)")
    parser.add_argument("--tokens", nargs="+", type=int, default=list(_SIZES))
    parser.add_argument("--vectors", default=DEFAULT_EMBEDDER, help="name of an embedder, 'random' or 'none'")
    parser.add_argument("--books", nargs="+", help="only the texts whose names hold one of these words")
    parser.add_argument("--keep", type=Path, help="folder for texts and libraries; one that is there is only searched")
    parser.add_argument("--plot", type=Path, help="SVG file for the plot")
    options = parser.parse_args(arguments)
    books = sorted(options.folder.glob("*.txt"))
    books = [book for book in books if not options.books or any(word in book.name for word in options.books)]
    if not books:
        parser.error(f"{options.folder} holds no such .txt file")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder: Path = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for tokens in sorted(options.tokens):
            rows.append(measure(folder, books, tokens, options.vectors))
            _print(rows)
    if options.plot:
        options.plot.write_text(_plot(rows), encoding="utf-8")
    _print_line(json.dumps({"rows": rows}))
    return 0


def _plot(rows: Sequence[dict[str, Any]]) -> str:
    def series(name: str, key: str) -> Series:
        return Series(name, [(row["tokens"], row[key]) for row in rows if row.get(key)])

    return plot(
        [
            (
                "Indexing, seconds",
                [series("full index", "index_seconds"), series("embedding alone", "embedding_seconds")],
            ),
            ("Search, milliseconds", [series("p95", "p95_ms"), series("p50", "p50_ms")]),
            ("Peak memory, MB", [series("indexing", "index_megabytes"), series("searching", "search_megabytes")]),
        ],
        "word pieces in the library",
    )


def _print(rows: Sequence[dict[str, Any]]) -> None:
    if len(rows) == 1:
        _print_line("".join(f"{title:>11}" for title, _, _ in _COLUMNS))
    cells = (f"{rows[-1][key]:,.{digits}f}" if key in rows[-1] else "-" for _, key, digits in _COLUMNS)
    _print_line("".join(f"{cell:>11}" for cell in cells))


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
