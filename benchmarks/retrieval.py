"""Recall of gold evidence by search alone, without a model: multi-hop paragraphs, pages of filings, Chinese paragraphs.

    python -m benchmarks.retrieval DATA [--sets hotpotqa musique financebench cmrc] [--variants full hybrid ...]
                                        [--keep FOLDER] [--questions N] [--embedder NAME] [--unrelated TEXT ...]

``DATA`` is a folder with the sub-folders ``multihop``, ``financebench`` and ``cmrc2018`` as their publishers ship them.
Prints a table, then one line of JSON. ``--keep`` keeps the indexed libraries there, for the next run. ``--unrelated``
adds the named texts to each library, cut into 200 documents that answer nothing: the numbers should hold.
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
_UNRELATED_DOCUMENTS = 200
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


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the units (paragraphs or pages) that hold its evidence, and the documents it is asked of."""

    text: str
    gold: frozenset[str]
    documents: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class DataSet:
    """Documents, questions, and how a found passage names its unit."""

    documents: list[Document]
    questions: list[Question]
    unit: Callable[[str, int], str]


def paragraph(title: str, text: str) -> Document:
    """A paragraph as a document of its own, its title as its heading."""
    whole = f"{title}\n\n{text}" if title else text
    headings = (Heading(1, title, 0, len(title)),) if title else ()
    return Document(
        id=hashlib.sha256(whole.encode()).hexdigest()[:32],
        source=f"{title}/{hashlib.sha256(whole.encode()).hexdigest()[:8]}",
        title=title,
        media_type="text/markdown",
        text=whole,
        pages=(Page(1, 0, len(whole)),),
        headings=headings,
    )


def whole_documents(documents: Iterable[Document], questions: list[Question]) -> DataSet:
    """A set whose units are documents; of equal ones only the first is kept."""
    return DataSet(list({item.id: item for item in documents}.values()), questions, lambda document, _: document)


def hotpotqa(data: Path) -> DataSet:
    """HotpotQA: gold are the paragraphs of the supporting facts."""
    corpus = json.loads((data / "multihop/hotpotqa_train_corpus.json").read_text(encoding="utf-8"))
    documents = {title: paragraph(title, "".join(sentences)) for title, sentences in corpus.items()}
    questions = [
        Question(item["question"], frozenset(documents[title].id for title, _ in item["supporting_facts"]))
        for item in json.loads((data / "multihop/hotpotqa_train.json").read_text(encoding="utf-8"))
    ]
    return whole_documents(documents.values(), questions)


def musique(data: Path) -> DataSet:
    """MuSiQue: gold are the supporting paragraphs."""
    corpus = json.loads((data / "multihop/musique_train_corpus.json").read_text(encoding="utf-8"))
    documents = [paragraph(item["title"], item["text"]) for item in corpus]
    questions = [
        Question(
            item["question"],
            frozenset(
                paragraph(part["title"], part["paragraph_text"]).id
                for part in item["paragraphs"]
                if part["is_supporting"]
            ),
        )
        for item in json.loads((data / "multihop/musique_train.json").read_text(encoding="utf-8"))
    ]
    return whole_documents(documents, questions)


def cmrc(data: Path) -> DataSet:
    """CMRC 2018: gold is the paragraph that a question was written for."""
    articles = json.loads((data / "cmrc2018/cmrc2018_trial.json").read_text(encoding="utf-8"))["data"]
    documents, questions = [], []
    for item in (part for article in articles for part in article["paragraphs"]):
        document = paragraph("", item["context"])
        documents.append(document)
        questions += [Question(qa["question"], frozenset([document.id])) for qa in item["qas"]]
    return whole_documents(documents, questions)


def financebench(data: Path) -> DataSet:
    """FinanceBench: each question is asked of its own filing; gold are pages (given 0-based)."""
    folder = data / "financebench"
    rows = [json.loads(line) for line in (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
    documents = {name: load(folder / "pdfs" / f"{name}.pdf") for name in sorted({row["doc_name"] for row in rows})}
    by_id = {document.id: document for document in documents.values()}
    questions = [
        Question(
            row["question"],
            frozenset(
                f"{documents[row['doc_name']].id}:{evidence['evidence_page_num'] + 1}" for evidence in row["evidence"]
            ),
            (documents[row["doc_name"]].id,),
        )
        for row in rows
    ]
    return DataSet(
        list(documents.values()), questions, lambda document, start: f"{document}:{by_id[document].page_at(start)}"
    )


SETS: dict[str, Callable[[Path], DataSet]] = {
    "hotpotqa": hotpotqa,
    "musique": musique,
    "financebench": financebench,
    "cmrc": cmrc,
}


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
            with closing(open_library(folder / f"{name}{'-among-others' if options.unrelated else ''}.db")) as library:
                index(library, [*data.documents, *unrelated(options.unrelated)], embedder)
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
