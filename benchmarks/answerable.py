"""How firmly a model says "yes, the excerpts state it", where they do and where they do not.

    python -m benchmarks.answerable --out FOLDER [--data FOLDER] [--stories N] [--limit N]

Each question is asked twice through the answering prompt: with what search found, and with the same less all that lies
on a gold page (or in a gold section), so that nothing states the answer. Questions without an answer are asked once.
``--data`` is a folder with ``fairytaleqa``, of which N questions join those of the shipped report. Prints, for rising
least probabilities of "yes", how many unstated answers would be withheld and how many right ones with them; then a
line of JSON. The records are kept in ``--out``: a run that was stopped goes on there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.answers import example_cases, holds, rows_of
from graphreader import GraphReader
from graphreader.agent.evidence import Excerpt, fitting, grouped
from graphreader.agent.schemas import AnswerReply, answer_schema
from graphreader.answering import Documents, found_excerpts
from graphreader.connect import Connection
from graphreader.llm.gate import Gate
from graphreader.llm.measured import search_tokens
from graphreader.records import Document
from graphreader.search import search
from prompts import render

_SEED = 5
_MAX_REPLY_TOKENS = 100
_LEAST_PROBABLE = (0.5, 0.9, 0.94, 0.955, 0.96, 0.965, 0.97, 0.975, 0.98, 0.985)


@dataclass(frozen=True, slots=True)
class Case:
    """A question of one source with its gold answers, pages (from 1) and sections (their verbatim texts)."""

    id: str
    source: Path
    question: str
    gold: tuple[str, ...]
    pages: tuple[int, ...]
    sections: tuple[str, ...]

    def gold_spans(self, document: Document) -> list[tuple[int, int]]:
        """Where the document states the answer."""
        spans = [(page.start, page.end) for page in document.pages if page.number in self.pages]
        for section in self.sections:
            start = document.text.find(section)
            if start >= 0:
                spans.append((start, start + len(section)))
        return spans


def report_cases() -> Iterator[Case]:
    """The shipped report's questions."""
    for case in example_cases():
        yield Case(case.id, case.source, case.question, case.gold, case.pages, ())


def story_cases(data: Path, work: Path, count: int) -> Iterator[Case]:
    """Questions of FairytaleQA, drawn with a fixed seed; a story is written out as a file of its own."""
    sections = rows_of(data / "fairytaleqa" / "sections.jsonl")
    for row in random.Random(_SEED).sample(rows_of(data / "fairytaleqa" / "questions.jsonl"), count):
        parts = {part["section"]: part["text"] for part in sections if part["story"] == row["story"]}
        source = work / f"{row['story']}.txt"
        source.write_text("\n\n".join(parts.values()), "utf-8")
        gold = tuple(parts[section] for section in row["gold_sections"])
        yield Case(row["id"], source, row["question"], tuple(row["answers"]), (), gold)


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask what was not asked before, then print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.answerable", description="Measure how a model says that it is not said."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the records and the library")
    parser.add_argument("--data", type=Path, help="folder with fairytaleqa")
    parser.add_argument("--stories", type=int, default=24, help="questions of fairytaleqa")
    parser.add_argument("--limit", type=int, help="only the first N cases")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    cases = [*report_cases()]
    if options.data is not None:
        cases += story_cases(options.data, options.out, options.stories)
    path = options.out / "answerable.jsonl"
    done = {(record["id"], record["with_gold"]) for record in rows_of(path)} if path.exists() else set()
    todo = [
        (case, with_gold)
        for case in cases[: options.limit]
        for with_gold in ((True, False) if case.gold else (False,))
        if (case.id, with_gold) not in done
    ]
    asyncio.run(_ask_all(options.out / "library.db", todo, path))
    _report(rows_of(path))


async def _ask_all(library: Path, todo: Sequence[tuple[Case, bool]], records: Path) -> None:
    with GraphReader(library) as reader, records.open("a", encoding="utf-8") as file:
        connection = Connection(reader.settings, None, None, lambda *_: None)
        for case, with_gold in todo:
            record = await _ask(reader, connection, case, with_gold)
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            file.flush()
            print(f"{case.id:<44} {'stated' if record['stated'] else 'not stated':<11} {record['yes']:.3f}")
        await connection.close()


async def _ask(reader: GraphReader, connection: Connection, case: Case, with_gold: bool) -> dict[str, Any]:
    (document_id,) = reader.index(str(case.source), facts="phrases").document_ids
    library = reader.library
    documents = Documents(library, [document_id])
    gold = case.gold_spans(documents[document_id])
    found = search(library, case.question, documents=[document_id], embedder=connection.embedder)
    excerpts = [item for item in found_excerpts(found) if with_gold or not _touches(item, gold)]
    gate = Gate(await connection.model())
    most = search_tokens(reader.settings.search, gate.model.name)
    shown = fitting(excerpts, documents, gate.model.count_tokens, most)
    chunks = {chunk.id: chunk for chunk in library.chunks_by_id([item.chunk_id for item in shown])}
    groups, numbered = grouped(shown, documents, chunks)
    prompt = render("answer", groups=groups, question=case.question)
    reply, weights = await gate.ask_weighed(
        prompt, AnswerReply, answer_schema(len(numbered)), _MAX_REPLY_TOKENS, weigh="answerable"
    )
    return {
        "id": case.id,
        "with_gold": with_gold,
        "stated": with_gold and any(_touches(excerpt, gold) for excerpt in shown),
        "yes": weights.get("yes", float(reply.answerable == "yes")),
        "right": any(holds(reply.answer, answer) for answer in case.gold),
        "answer": reply.answer,
    }


def _touches(excerpt: Excerpt, spans: Sequence[tuple[int, int]]) -> bool:
    return any(excerpt.start < end and start < excerpt.end for start, end in spans)


def _report(records: list[dict[str, Any]]) -> None:
    stated = [record for record in records if record["stated"]]
    unstated = [record for record in records if not record["stated"]]
    right = [record for record in stated if record["right"]]
    print(f"\n{len(stated)} stated ({len(right)} answered rightly), {len(unstated)} not stated\n")
    print("| least probability of yes | withheld of not stated | withheld of stated | withheld of right |")
    print("|---|---|---|---|")
    table = []
    for least in _LEAST_PROBABLE:
        counts = [sum(record["yes"] < least for record in group) for group in (unstated, stated, right)]
        table.append({"least": least, "unstated": counts[0], "stated": counts[1], "right": counts[2]})
        print(f"| {least:.3f} | {counts[0]} | {counts[1]} | {counts[2]} |")
    pairs = [(one["yes"], other["yes"]) for one in stated for other in unstated]
    auc = sum((one > other) + 0.5 * (one == other) for one, other in pairs) / len(pairs) if pairs else None
    sys.stdout.write(json.dumps({"stated": len(stated), "unstated": len(unstated), "auc": auc, "rows": table}) + "\n")


if __name__ == "__main__":
    main()
