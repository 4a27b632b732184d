"""What ``benchmarks.scale`` runs in processes of their own, so that each has its own peak of memory.

    python -m benchmarks.scale_parts index|embed|first|search LIBRARY TEXTS VECTORS

``VECTORS`` is ``none``, the name of an embedder, or ``random``: seeded unit vectors, which cost nothing to make. Each
prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.varied_books import questions_of
from graphreader import GraphReader, Settings
from graphreader.errors import GraphReaderError
from graphreader.library import open_library
from graphreader.llm.embed import DEFAULT_EMBEDDER, Embedder, open_embedder

RANDOM: Final = "random"
_DIMENSIONS: Final = 384
_WARM_UP_QUESTIONS: Final = 3
_EMBEDDED_AT_ONCE: Final = 4096
_POLL_SECONDS: Final = 0.1


class RandomEmbedder:
    """Unit vectors by chance, the same for the same text: for measuring what is not the embedder."""

    name = RANDOM
    dimensions = _DIMENSIONS
    max_tokens = 256
    english_only = True

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (texts, dimensions)."""
        made = [np.random.default_rng(zlib.crc32(text.encode())).standard_normal(_DIMENSIONS) for text in texts]
        vectors = np.array(made, dtype=np.float32).reshape(len(texts), _DIMENSIONS)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As ``embed``."""
        return self.embed(texts)


def embedder_of(vectors: str) -> Embedder | None:
    """The embedder that ``VECTORS`` names."""
    return RandomEmbedder() if vectors == RANDOM else open_embedder(vectors)


def peak_memory_bytes() -> int:
    """The most resident memory this process has had, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # elsewhere getrusage has to do, which on Linux may show the parent's
        return 1024 * next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _reader(
    library: Path, vectors: str, on_progress: Callable[[str, int, int, str], None] | None = None
) -> GraphReader:
    settings = Settings.load()
    if vectors == "none":
        settings.search.embedder = vectors
    embedder = embedder_of(vectors)
    return GraphReader(library, settings=settings, embedder=embedder, on_progress=on_progress or (lambda *_: None))


def index(library: Path, texts: Path, vectors: str) -> dict[str, Any]:
    """Index the folder; the seconds of each stage, from the start of the first to the start of the next."""
    started = time.perf_counter()
    ends: dict[str, float] = {}

    def on_progress(stage: str, done: int, total: int, detail: str) -> None:
        ends[stage] = time.perf_counter() - started

    with _reader(library, vectors, on_progress) as reader:
        report = reader.index([str(texts)])
        whole = time.perf_counter() - started
        passages, chunks = reader.library.passage_count(), reader.library.chunk_count()
    stages = {}
    before = 0.0
    for stage in ("load", "graph", "embed"):
        if stage in ends:
            stages[f"{stage}_seconds"] = ends[stage] - before
            before = ends[stage]
    if report.failures:
        raise GraphReaderError(str(report.failures[0]))
    return {
        "index_seconds": whole,
        "index_cpu_seconds": time.process_time(),
        **stages,
        "documents": len(report.document_ids),
        "chunks": chunks,
        "passages": passages,
        "peak_bytes": peak_memory_bytes(),
    }


def embed(library: Path, texts: Path, vectors: str) -> dict[str, Any]:
    """The embedding alone, of the library's own passages, those of like length together."""
    embedder = embedder_of(vectors)
    if embedder is None:
        return {"embedding_seconds": 0.0}
    with closing(open_library(library)) as opened:
        passages = [passage.text for passage in opened.passages_without_vector("no such model")]
    passages.sort(key=len)
    embedder.embed(passages[:64])
    started, worked = time.perf_counter(), time.process_time()
    for start in range(0, len(passages), _EMBEDDED_AT_ONCE):
        embedder.embed(passages[start : start + _EMBEDDED_AT_ONCE])
    return {
        "embedding_seconds": time.perf_counter() - started,
        "embedding_cpu_seconds": time.process_time() - worked,
    }


def first(library: Path, texts: Path, vectors: str) -> dict[str, Any]:
    """When a question first finds something in a library that another process fills; by the wall clock."""
    questions = [question for kind in questions_of(texts).by_kind.values() for question in kind[:1]]
    while not library.exists():
        time.sleep(_POLL_SECONDS / 4)
    with _reader(library, vectors) as reader:
        while True:
            for question in questions:
                try:
                    if reader.search(question, kind="chunks").found:  # facts come with the graph, later
                        return {"first_found_at": time.time()}
                except GraphReaderError:  # nothing is in the library yet
                    pass
            time.sleep(_POLL_SECONDS)


def search(library: Path, texts: Path, vectors: str) -> dict[str, Any]:
    """Milliseconds of questions in one process, each asked once after a few others, and once again."""
    questions = questions_of(texts)
    kinds = {question: kind for kind, asked in questions.by_kind.items() for question in asked}
    with _reader(library, vectors) as reader:
        started = time.perf_counter()
        reader.search(questions.mixed()[0])
        cold = time.perf_counter() - started
        for question in questions.mixed()[1:_WARM_UP_QUESTIONS]:
            reader.search(question)
        rounds: list[dict[str, float]] = []
        worked: list[float] = []
        found = 0
        for _ in range(2):
            times = {}
            for question in questions.mixed()[_WARM_UP_QUESTIONS:]:
                started, before = time.perf_counter(), time.process_time()
                found += bool(reader.search(question).found)
                times[question] = 1000 * (time.perf_counter() - started)
                worked.append(1000 * (time.process_time() - before))
            rounds.append(times)
    asked = list(rounds[0].values())
    by_kind = {
        f"{kind}_p50_ms": float(np.median([taken for question, taken in rounds[0].items() if kinds[question] == kind]))
        for kind in questions.by_kind
        if kind in {kinds[question] for question in rounds[0]}
    }
    return {
        "questions": len(asked),
        "answered": found // 2,
        "cold_first_ms": 1000 * cold,
        "p50_ms": float(np.percentile(asked, 50)),
        "p95_ms": float(np.percentile(asked, 95)),
        "worst_ms": max(asked),
        "cpu_p50_ms": float(np.percentile(worked[: len(asked)], 50)),
        "cpu_p95_ms": float(np.percentile(worked[: len(asked)], 95)),
        "again_p95_ms": float(np.percentile(list(rounds[1].values()), 95)),
        **by_kind,
        "peak_bytes": peak_memory_bytes(),
    }


PARTS: Final = {"index": index, "embed": embed, "first": first, "search": search}


def main(arguments: Sequence[str]) -> int:
    """Run one part."""
    part, library, texts, vectors = arguments
    result = PARTS[part](Path(library), Path(texts), vectors or DEFAULT_EMBEDDER)
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
