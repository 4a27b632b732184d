"""Answers measured: the example's questions and ten from a folder of public datasets, in modes graph and search.

    python -m benchmarks.answers --out FOLDER [--data FOLDER] [--limit N] [--modes search graph]

Each question is asked once; a line for each goes to FOLDER/records.jsonl, and questions that have one already are not
asked again, so an interrupted run goes on. Prints a table in Markdown and, last, a line of JSON.

Right: the gold answer, or one of its aliases, stands in the answer as whole words (numbers as numbers); for a question
that the document does not answer, that it says so. Citation found: a quote lies on a gold page or contains the gold
answer. Dataset rows are named by number, since the datasets themselves are not part of the repository.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graphreader import Answer, GraphReader, GraphReaderError, Mode

_EXAMPLES = Path(__file__).parents[1] / "examples"
#: Rows (from 0) of questions whose gold answer is stated in the document, and one that is not answerable. The gold of
#: FinanceBench is a sentence, so what decides it is given here.
_FINANCEBENCH_ROWS = {
    19: "Consumer Health",
    21: "13.2 billion",
    27: "Trillium",
    28: "77.78",
    29: "Developed Rest of the World",
}
_MMLONGBENCH_ROWS = (6, 22, 28, 31)
_FAIRYTALE_ROWS = (0,)


@dataclass(frozen=True, slots=True)
class Case:
    """A question with its gold. ``pages`` (from 1) may be unknown; ``gold`` is empty where there is no answer."""

    id: str
    group: str
    source: Path
    question: str
    gold: tuple[str, ...]
    pages: tuple[int, ...] = ()


def example_cases() -> Iterator[Case]:
    """The shipped report's questions."""
    report = next(_EXAMPLES.glob("*.pdf"))
    for row in rows_of(_EXAMPLES / "questions.jsonl"):
        gold = (row["answer"], *row["aliases"]) if row["answerable"] else ()
        yield Case(f"example-{row['id']}", row["type"], report, row["question"], gold, tuple(row["pages"]))


def data_cases(data: Path, work: Path) -> Iterator[Case]:
    """Ten questions of public datasets; a story is written out as a file of its own."""
    rows = rows_of(data / "financebench" / "questions.jsonl")
    for number, gold in _FINANCEBENCH_ROWS.items():
        row = rows[number]
        pages = tuple(evidence["evidence_page_num"] + 1 for evidence in row["evidence"])
        source = data / "financebench" / "pdfs" / f"{row['doc_name']}.pdf"
        yield Case(row["financebench_id"], "financebench", source, row["question"], (gold,), pages)
    rows = rows_of(data / "mmlongbench" / "questions.jsonl")
    for number in _MMLONGBENCH_ROWS:
        row = rows[number]
        answers = () if row["answer"] == "Not answerable" else (row["answer"],)
        source = data / "mmlongbench" / "documents" / row["doc_id"]
        yield Case(f"mmlongbench-{number}", "mmlongbench", source, row["question"], answers, _pages(row))
    rows = rows_of(data / "fairytaleqa" / "questions.jsonl")
    sections = rows_of(data / "fairytaleqa" / "sections.jsonl")
    for row in (rows[number] for number in _FAIRYTALE_ROWS):
        source = work / f"{row['story']}.txt"
        source.write_text("\n\n".join(part["text"] for part in sections if part["story"] == row["story"]), "utf-8")
        yield Case(row["id"], "fairytaleqa", source, row["question"], tuple(row["answers"]))


def is_right(answer: Answer, case: Case) -> bool:
    """Whether the answer is the gold one; for a case without gold, whether it says that there is none."""
    if not case.gold or not answer.answerable:
        return not case.gold and not answer.answerable
    return any(holds(answer.answer, gold) for gold in case.gold)


def is_cited(answer: Answer, case: Case) -> bool:
    """Whether one of the quotes lies on a gold page or contains the gold answer."""
    return any(
        citation.page in case.pages or any(holds(citation.quote, gold) for gold in case.gold)
        for citation in answer.citations
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask what was not asked before, then print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.answers", description="Measure answers.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the records and the library")
    parser.add_argument("--data", type=Path, help="folder with financebench, mmlongbench and fairytaleqa")
    parser.add_argument("--limit", type=int, help="ask only the first N questions of the example")
    parser.add_argument("--modes", nargs="+", choices=[mode.value for mode in Mode], default=["search", "graph"])
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    records = options.out / "records.jsonl"
    cases = [*data_cases(options.data, options.out)] if options.data is not None else []
    cases += list(example_cases())[: options.limit]
    done = {(record["id"], record["mode"]) for record in rows_of(records)} if records.exists() else set()
    with GraphReader(options.out / "library.db") as reader, records.open("a", encoding="utf-8") as file:
        for mode in options.modes:
            for case in cases:
                if (case.id, mode) not in done:
                    record = _ask(reader, case, Mode(mode))
                    file.write(json.dumps(record, ensure_ascii=False) + "\n")
                    file.flush()
                    print(
                        f"{mode:<7} {case.id:<40} {'right' if record['right'] else 'wrong'}  {record['answer']!r:.80}"
                    )
    _report(rows_of(records))


def _ask(reader: GraphReader, case: Case, mode: Mode) -> dict[str, Any]:
    reader.index(str(case.source))
    record: dict[str, Any] = {"id": case.id, "group": case.group, "mode": mode.value, "question": case.question}
    started = time.monotonic()
    try:
        answer = reader.ask(case.question, str(case.source), mode=mode)
    except GraphReaderError as error:
        failed = {"answer": "", "right": False, "cited": False, "answerable": None, "error": f"{error}"}
        return record | failed | {"seconds": time.monotonic() - started}
    return record | {
        "gold": case.gold,
        "answer": answer.answer,
        "answerable": answer.answerable,
        "right": is_right(answer, case),
        "cited": is_cited(answer, case),
        "citations": [asdict(citation) for citation in answer.citations],
        "usage": asdict(answer.usage),
        "seconds": time.monotonic() - started,
        "stopped_by": answer.stopped_by,
        "trace": [asdict(step) for step in answer.trace],
    }


def _report(records: list[dict[str, Any]]) -> None:
    summary: dict[str, Any] = {}
    print(
        "\n| questions | mode | n | right | citation found | calls | prompt (cached) | completion | median s | max s |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    groups = list(dict.fromkeys((record["group"], record["mode"]) for record in records))
    every = [("all", mode) for mode in dict.fromkeys(record["mode"] for record in records)]
    for group, mode in [*sorted(groups), *every]:
        rows = [record for record in records if record["mode"] == mode and group in ("all", record["group"])]
        row = _row(rows)
        summary[f"{group}/{mode}"] = row
        prompt = f"{row['prompt_tokens']:,.0f} ({row['cached_tokens']:,.0f})"
        seconds = f"{row['median_seconds']:.0f} | {row['max_seconds']:.0f}"
        counts = f"{row['n']} | {row['right']} | {row['cited']} of {row['to_cite']} | {row['calls']:.1f}"
        print(f"| {group} | {mode} | {counts} | {prompt} | {row['completion_tokens']:.0f} | {seconds} |")
    print(json.dumps(summary))


def _row(rows: list[dict[str, Any]]) -> dict[str, float]:
    usages = [record["usage"] for record in rows if "usage" in record]
    seconds = [record["seconds"] for record in rows]

    def mean(name: str) -> float:
        return statistics.fmean(usage[name] for usage in usages) if usages else 0.0

    return {
        "n": len(rows),
        "right": sum(record["right"] for record in rows),
        "cited": sum(record["cited"] for record in rows if record.get("gold")),
        "to_cite": sum(1 for record in rows if record.get("gold")),
        "calls": mean("llm_calls"),
        "prompt_tokens": mean("prompt_tokens"),
        "cached_tokens": mean("cached_tokens"),
        "completion_tokens": mean("completion_tokens"),
        "median_seconds": statistics.median(seconds),
        "max_seconds": max(seconds),
    }


def holds(text: str, gold: str) -> bool:
    """Whether the words of ``gold`` stand in ``text`` one after the other, case, articles and thousands apart."""
    words, wanted = _words(text), _words(gold)
    return any(words[at : at + len(wanted)] == wanted for at in range(len(words) - len(wanted) + 1))


def _words(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).casefold()
    without_groups = re.sub(r"(?<=\d),(?=\d{3}\b)", "", folded)
    return [word for word in re.findall(r"\d+(?:\.\d+)?|[^\W\d]+", without_groups) if word not in ("a", "an", "the")]


def _pages(row: dict[str, Any]) -> tuple[int, ...]:
    listed = row["evidence_pages"]
    return tuple(json.loads(listed) if isinstance(listed, str) else listed)


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


if __name__ == "__main__":
    main()
