"""Recall of gold evidence by search alone, without a model: multi-hop paragraphs, pages of filings, Chinese paragraphs.

    python -m benchmarks.retrieval DATA [--sets hotpotqa musique financebench cmrc] [--variants full hybrid ...]
                                        [--keep FOLDER] [--questions N] [--embedder NAME]

``DATA`` is a folder with the sub-folders ``multihop``, ``financebench`` and ``cmrc2018`` as their publishers ship them.
Prints a table, then one line of JSON. ``--keep`` keeps the indexed libraries there, for the next run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from graphreader.ingest.chunk import chunk_document
from graphreader.ingest.load import load
from graphreader.ingest.passages import passages_of
from graphreader.ingest.phrases import phrase_facts, vocabulary_of
from graphreader.library import open_library
from graphreader.library.protocol import Library
from graphreader.llm.embed import DEFAULT_EMBEDDER, Embedder, open_embedder
from graphreader.records import Document, Heading, Page
from graphreader.search import RankingWeights, SearchResult, embed_missing, search
from graphreader.search.ranked import DEFAULT_WEIGHTS

_CHUNK_TOKENS = 1000
_NO_GRAPH = replace(DEFAULT_WEIGHTS, walk=0.0, hop_holds=0.0, hop_titled=0.0)

#: What is compared: name -> (weights, whether vectors are used).
VARIANTS: dict[str, tuple[RankingWeights, bool]] = {
    "text": (_NO_GRAPH, False),
    "hybrid": (_NO_GRAPH, True),
    "hybrid+hop": (replace(DEFAULT_WEIGHTS, walk=0.0), True),
    "hybrid+walk": (replace(DEFAULT_WEIGHTS, hop_holds=0.0, hop_titled=0.0), True),
    "text+hop+walk": (DEFAULT_WEIGHTS, False),
    "full": (DEFAULT_WEIGHTS, True),
}


def index(library: Library, documents: Iterable[Document], embedder: Embedder) -> None:
    """Put what is not there yet; characters over four stand for tokens, which only bounds the chunks."""
    for document in documents:
        if library.settings_key(document.id) is not None:
            continue
        chunks = chunk_document(document, lambda texts: [len(text) // 4 + 1 for text in texts], _CHUNK_TOKENS)
        vocabulary = vocabulary_of(document)
        facts = [fact for chunk in chunks for fact in phrase_facts(document, chunk, vocabulary)]
        library.put(document, chunks, passages_of(document, chunks), facts, "benchmark")
    embed_missing(library, embedder)


def units_of(result: SearchResult, unit: Callable[[str, int], str]) -> list[str]:
    """The units in the order in which their best passages were ranked."""
    return list(dict.fromkeys(unit(item.passage.document_id, item.passage.start) for item in result.passages))


def measure(
    library: Library, data: DataSet, questions: Sequence[Question], embedder: Embedder | None, weights: RankingWeights
) -> dict[str, float]:
    """Recall in per cent (mean fraction of the gold, and all of the gold) and milliseconds a question."""
    fractions: dict[int, list[float]] = {1: [], 5: [], 10: []}
    milliseconds = []
    for question in questions:
        started = time.perf_counter()
        result = search(library, question.text, documents=question.documents, embedder=embedder, weights=weights)
        milliseconds.append(1000 * (time.perf_counter() - started))
        units = units_of(result, data.unit)
        for depth, values in fractions.items():
            values.append(len(question.gold & set(units[:depth])) / len(question.gold))
    row = {"median_ms": statistics.median(milliseconds), "p95_ms": sorted(milliseconds)[int(0.95 * len(milliseconds))]}
    for depth, values in fractions.items():
        row[f"mean@{depth}"] = 100 * statistics.mean(values)
        row[f"all@{depth}"] = 100 * statistics.mean(value == 1.0 for value in values)
    return row


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sets and variants named on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.retrieval", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("data", type=Path, help="folder with multihop, financebench and cmrc2018")
    parser.add_argument("--sets", nargs="+", choices=sorted(SETS), default=list(SETS))
    parser.add_argument("--variants", nargs="+", choices=sorted(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--keep", type=Path, help="folder for the indexed libraries")
    parser.add_argument("--questions", type=int, help="at most so many of each set")
    parser.add_argument("--embedder", default=DEFAULT_EMBEDDER)
    options = parser.parse_args(arguments)
    embedder = open_embedder(options.embedder)
    if embedder is None:
        parser.error("--embedder none leaves nothing to compare")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder: Path = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in options.sets:
            data = SETS[name](options.data)
            with closing(open_library(folder / f"{name}.db")) as library:
                index(library, data.documents, embedder)
                for variant in options.variants:
                    weights, with_vectors = VARIANTS[variant]
                    questions = data.questions[: options.questions]
                    row = measure(library, data, questions, embedder if with_vectors else None, weights)
                    rows.append({"set": name, "variant": variant, "questions": len(questions), **row})
                    _print(rows)
    _print_line(json.dumps({"rows": rows}))
    return 0


def _print(rows: Sequence[dict[str, Any]]) -> None:
    columns = ("mean@1", "mean@5", "all@5", "mean@10", "all@10", "median_ms", "p95_ms")
    if len(rows) == 1:
        _print_line(f"{'set':<13}{'variant':<15}" + "".join(f"{column:>11}" for column in columns))
    row = rows[-1]
    _print_line(f"{row['set']:<13}{row['variant']:<15}" + "".join(f"{row[column]:>11.1f}" for column in columns))


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
