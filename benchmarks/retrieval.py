"""Recall of gold evidence by search alone, without a model: multi-hop paragraphs, pages of PDFs, sections of stories.

    python -m benchmarks.retrieval DATA [--sets hotpotqa musique financebench statements mmlongbench fairytaleqa cmrc]
                                        [--variants full hybrid ...] [--keep FOLDER] [--questions N] [--embedder NAME]
                                        [--each FILE] [--plans FILE]

``DATA`` is a folder with the sub-folders ``multihop``, ``financebench``, ``mmlongbench``, ``fairytaleqa`` and
``cmrc2018``, their files named and formed as their publishers ship them. Prints a table, then one line of JSON.
``--keep`` keeps the indexed libraries there, for the next run; ``--each`` writes for every question where its gold
units were ranked, a JSON object a line. ``--plans`` adds a variant: the default with the parts into which the model of
the settings splits each question; they are kept in that file. ``--unrelated`` adds the named texts to each library, cut
into 200 documents that answer nothing: the numbers should hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.retrieval_sets import CORPORA, SETS, DataSet, Question, paragraph
from graphreader.agent.plan import make_plan
from graphreader.connect import Connection
from graphreader.errors import BadModelOutputError
from graphreader.ingest.chunk import chunk_document
from graphreader.ingest.passages import passages_of
from graphreader.ingest.phrases import phrase_facts, vocabulary_of
from graphreader.library import open_library
from graphreader.library.protocol import Library
from graphreader.llm.embed import DEFAULT_EMBEDDER, Embedder, open_embedder
from graphreader.llm.gate import Gate
from graphreader.records import Document, Page
from graphreader.search import RankingWeights, embed_missing, search
from graphreader.search.pages import rank_pages
from graphreader.search.ranked import DEFAULT_WEIGHTS
from graphreader.settings import Settings

_CHUNK_TOKENS = 1000
_UNRELATED_DOCUMENTS = 200
_DEPTHS = (1, 5, 10)
_NO_PAGES = replace(DEFAULT_WEIGHTS, page_text=0.0, named_page=0.0, named_part=0.0)
_NO_GRAPH = replace(DEFAULT_WEIGHTS, walk=0.0, hop_holds=0.0, hop_titled=0.0)

#: What is compared: name -> (weights, whether vectors are used). Without "pages" a page ranks by its best passages.
VARIANTS: dict[str, tuple[RankingWeights, bool]] = {
    "text": (replace(_NO_GRAPH, expansion=0.0, page_text=0.0, named_page=0.0, named_part=0.0), False),
    "text+terms": (replace(_NO_GRAPH, page_text=0.0, named_page=0.0, named_part=0.0), False),
    "text+terms+pages": (_NO_GRAPH, False),
    "hybrid": (_NO_GRAPH, True),
    "hybrid+hop": (replace(DEFAULT_WEIGHTS, walk=0.0), True),
    "hybrid+walk": (replace(DEFAULT_WEIGHTS, hop_holds=0.0, hop_titled=0.0), True),
    "text+hop+walk": (DEFAULT_WEIGHTS, False),
    "no terms": (replace(DEFAULT_WEIGHTS, expansion=0.0), True),
    "no sides": (replace(DEFAULT_WEIGHTS, side=0.0), True),
    "no pages": (_NO_PAGES, True),
    "no terms, no pages": (replace(_NO_PAGES, expansion=0.0), True),
    "full": (DEFAULT_WEIGHTS, True),
}


@dataclass(frozen=True, slots=True)
class Run:
    """A set in its library, the embedder for the variants that use vectors, and the parts of questions, if any."""

    library: Library
    data: DataSet
    embedder: Embedder
    plans: Mapping[str, Sequence[str]] = field(default_factory=dict)


def unrelated(texts: Sequence[Path], count: int = _UNRELATED_DOCUMENTS) -> list[Document]:
    """The texts cut into ``count`` documents of like length, each text into the same number."""
    documents = []
    for path in texts:
        text = path.read_text(encoding="utf-8")
        parts = count // len(texts)
        for number in range(parts):
            part = text[len(text) * number // parts : len(text) * (number + 1) // parts]
            documents.append(paragraph(f"{path.stem} {number + 1}", part))
    return documents


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


def units_of(run: Run, question: Question, weights: RankingWeights, with_vectors: bool) -> list[str]:
    """The units for a question, best first: documents by their best passages, or pages."""
    result = search(
        run.library,
        question.text,
        documents=question.documents,
        embedder=run.embedder if with_vectors else None,
        extra_queries=run.plans.get(question.text, ()),
        weights=weights,
    )
    if not run.data.pages:
        return list(dict.fromkeys(ranked.passage.document_id for ranked in result.passages))
    names = dict.fromkeys(ranked.passage.document_id for ranked in result.passages)
    layouts = {name: run.library.layout(name) for name in names}

    def read(pages: Sequence[tuple[str, Page]]) -> list[str]:
        return [run.library.texts(name, [(page.start, page.end)])[0] for name, page in pages]

    ranked_pages = rank_pages(question.text, result.passages, layouts, read, weights)
    return [f"{page.document_id}:{page.page.number}" for page in ranked_pages]


def plans_of(questions: Sequence[Question], kept: Path) -> dict[str, list[str]]:
    """The parts of each question, as the model of the settings splits it; what ``kept`` holds is not asked again."""
    plans: dict[str, list[str]] = {}
    if kept.exists():
        with kept.open(encoding="utf-8") as file:
            plans = {row["question"]: row["parts"] for row in map(json.loads, file)}

    async def ask() -> None:
        connection = Connection(Settings.load(), None, None, lambda *_: None)
        model = await connection.model()
        for question in questions:
            if question.text in plans:
                continue
            try:
                plans[question.text] = await make_plan(Gate(model), question.text)
            except BadModelOutputError:
                plans[question.text] = []
            with kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"question": question.text, "parts": plans[question.text]}) + "\n")
        await connection.close()

    if any(question.text not in plans for question in questions):
        asyncio.run(ask())
    return plans


def measure(
    run: Run, questions: Sequence[Question], weights: RankingWeights, with_vectors: bool
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Recall in per cent (mean fraction of the gold, all of the gold), milliseconds; then each question's ranks."""
    each: list[dict[str, Any]] = []
    milliseconds: list[float] = []
    for question in questions:
        started = time.perf_counter()
        units = units_of(run, question, weights, with_vectors)
        milliseconds.append(1000 * (time.perf_counter() - started))
        ranks = [units.index(unit) + 1 if unit in units else None for unit in sorted(question.gold)]
        each.append({"question": question.text, "gold": sorted(question.gold), "ranks": ranks})
    row = {"median_ms": statistics.median(milliseconds), "p95_ms": sorted(milliseconds)[int(0.95 * len(milliseconds))]}
    for depth in _DEPTHS:
        fractions = [
            sum(rank is not None and rank <= depth for rank in item["ranks"]) / len(item["ranks"]) for item in each
        ]
        row[f"mean@{depth}"] = 100 * statistics.mean(fractions)
        row[f"all@{depth}"] = 100 * statistics.mean(value == 1.0 for value in fractions)
    return row, each


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sets and variants named on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.retrieval", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("data", type=Path, help="folder with multihop, financebench and the others")
    parser.add_argument("--sets", nargs="+", choices=sorted(SETS), default=list(SETS))
    parser.add_argument("--variants", nargs="+", choices=sorted(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--keep", type=Path, help="folder for the indexed libraries")
    parser.add_argument("--questions", type=int, help="at most so many of each set")
    parser.add_argument("--embedder", default=DEFAULT_EMBEDDER)
    parser.add_argument("--each", type=Path, help="file for where each question's gold units were ranked")
    parser.add_argument("--plans", type=Path, help="file for the parts of questions; adds the variant that uses them")
    parser.add_argument("--unrelated", nargs="+", type=Path, default=[], help="texts that join as 200 documents")
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
            questions = data.questions[: options.questions]
            others = "-among-others" if options.unrelated else ""
            with closing(open_library(folder / f"{CORPORA.get(name, name)}{others}.db")) as library:
                index(library, [*data.documents, *unrelated(options.unrelated)], embedder)
                runs = [(variant, Run(library, data, embedder), VARIANTS[variant]) for variant in options.variants]
                if options.plans:
                    plans = plans_of(questions, options.plans)
                    runs.append(("full+plan", Run(library, data, embedder, plans), VARIANTS["full"]))
                for variant, run, settings in runs:
                    row, each = measure(run, questions, *settings)
                    rows.append({"set": name, "variant": variant, "questions": len(questions), **row})
                    _print(rows)
                    if options.each:
                        _append(options.each, name, variant, each)
    _print_line(json.dumps({"rows": rows}))
    return 0


def _append(path: Path, name: str, variant: str, each: Iterable[dict[str, Any]]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({"set": name, "variant": variant, **item}) + "\n" for item in each)


def _print(rows: Sequence[dict[str, Any]]) -> None:
    columns = ("mean@1", "mean@5", "all@5", "mean@10", "all@10", "median_ms", "p95_ms")
    if len(rows) == 1:
        _print_line(f"{'set':<13}{'variant':<20}" + "".join(f"{column:>11}" for column in columns))
    row = rows[-1]
    _print_line(f"{row['set']:<13}{row['variant']:<20}" + "".join(f"{row[column]:>11.1f}" for column in columns))


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
