"""What a person sees: progress and steps on stderr, answers and tables on stdout. Knows how things look, no more."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.status import Status
from rich.table import Table
from rich.text import Text

from graphreader.errors import printable

if TYPE_CHECKING:
    from graphreader.errors import SourceError
    from graphreader.finding import Findings
    from graphreader.indexing import IndexReport
    from graphreader.library.protocol import DocumentSummary, Library
    from graphreader.records import Answer, Citation, Document, TraceStep

_STAGES = {
    "load": "Reading",
    "graph": "Linking",
    "embed": "Embedding",
    "facts": "Writing facts",
    "weights": "Preparing weights",
    "server": "Starting the model",
}
_MARKS = {"ok": "[green]ok[/]", "warn": "[yellow]note[/]", "missing": "[red]missing[/]"}


class Terminal:
    """Standard output for results, standard error for everything else. A context manager: it ends live progress."""

    def __init__(self, live_steps: bool = False) -> None:
        self._out = Console(highlight=False, soft_wrap=True)
        self._err = Console(stderr=True, highlight=False, soft_wrap=True)
        self._live_steps = live_steps
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._status: Status | None = None
        self._last_detail = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end_progress()

    # stderr ----------------------------------------------------------------------------------------------------
    def say(self, message: str) -> None:
        """One line for the user."""
        self.end_progress()
        self._err.print(Text(message))

    def aside(self, message: str) -> None:
        """One line that matters less than what it stands beside."""
        self.end_progress()
        self._err.print(Text(message, style="dim"))

    def warn(self, message: str) -> None:
        """One line that should not be missed."""
        self.end_progress()
        self._err.print(Text(message, style="red"))

    @property
    def is_live(self) -> bool:
        """Whether standard error is a terminal, where lines can take each other's place."""
        return self._err.is_terminal

    def show_line(self, message: str) -> None:
        """One line; on a terminal the next takes its place."""
        if not self.is_live:
            self.say(message)
        elif self._status is None:
            self.end_progress()
            self._status = self._err.status(Text(message))
            self._status.start()
        else:
            self._status.update(Text(message))

    def show_progress(self, stage: str, done: int, total: int, detail: str) -> None:
        """A bar for each stage on a terminal; without one, nothing but failures."""
        if stage in ("failed", "note"):
            self.warn(detail)
            return
        if not self._err.is_terminal:
            return
        if self._progress is None:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=28),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("[dim]{task.fields[detail]}"),
                console=self._err,
                transient=True,
            )
            self._progress.start()
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(_STAGES.get(stage, stage), detail="")
        self._progress.update(self._tasks[stage], completed=done, total=total or None, detail=printable(detail)[-60:])

    def show_step(self, step: TraceStep) -> None:
        """One line for a step of the run, as it happens."""
        if not self._live_steps:
            return
        self.end_progress()
        words = ", ".join(f"{name}: {_brief(value)}" for name, value in step.detail.items() if name not in _HIDDEN)
        line = Text.assemble((f"{step.actor:<11}", "cyan"), (f"{step.action}  ", "bold"), (words, "dim"))
        self._err.print(line, soft_wrap=False, no_wrap=True, overflow="ellipsis")

    # stdout ----------------------------------------------------------------------------------------------------
    def show_answer(self, answer: Answer) -> None:
        """The answer, its citations, what it cost."""
        self.end_progress()
        self._out.print()
        self._out.print(Text(answer.answer, style="bold"), soft_wrap=False)
        self._out.print()
        self.show_sources(answer.citations, answer.warnings)
        if answer.stopped_by != "finished":
            reason = answer.stopped_by.replace("_", " ")
            self._out.print(Text(f"Note: stopped by its {reason}; this is the best answer so far.", style="yellow"))
        usage = answer.usage
        cost = (
            f"{answer.mode} · {answer.model} · {usage.llm_calls} model calls · {usage.prompt_tokens:,} prompt tokens "
            f"({usage.cached_tokens:,} cached) + {usage.completion_tokens:,} completion · {usage.seconds:.1f} s"
        )
        self._out.print()
        self._out.print(Text(cost, style="dim"), soft_wrap=False)

    def show_sources(self, citations: Sequence[Citation], warnings: Sequence[str]) -> None:
        """Quotes with their places, and what to know about the answer."""
        for number, citation in enumerate(citations, start=1):
            where = Text.assemble((f"[{number}] ", "cyan"), f"{citation.document}, page {citation.page}")
            self._out.print(where)
            quote = Text(f"“{' '.join(citation.quote.split())}”", style="italic")
            self._out.print(Padding(quote, (0, 0, 0, 4), expand=False), soft_wrap=False)
        for warning in warnings:
            self._out.print(Text(f"Note: {warning}", style="yellow"), soft_wrap=False)

    def show_findings(self, findings: Findings, explain: bool) -> None:
        """What search found: where it stands and the words that were found; with ``explain`` also by which way."""
        self.end_progress()
        if not findings.found:
            self._out.print("Nothing found.")
        for found in findings.found:
            where = Text.assemble((f"[{found.rank}] ", "cyan"), f"{found.title}, page {found.page}")
            where.append(f"  {found.score:.2f} {found.via}", style="dim")
            self._out.print(where)
            words = " ".join(found.text[found.best_start - found.start : found.best_end - found.start].split())
            self._out.print(Padding(Text(words), (0, 0, 0, 4), expand=False), soft_wrap=False)
        if explain:
            self._out.print()
            for element in findings.key_elements:
                held = _count(element.passage_count, "passage")
                line = Text.assemble((f"{element.spelling:<32} ", "bold"), (f"{element.via:<9} {held}", "dim"))
                self._out.print(line)
        for warning in findings.warnings:
            self.say(f"Note: {warning}")

    def show_index_report(self, report: IndexReport, summaries: Sequence[DocumentSummary]) -> None:
        """What was indexed; what could not be."""
        self.end_progress()
        known = len(report.document_ids) - len(report.new_ids)
        new_ids = set(report.new_ids)
        new = {summary.id: summary for summary in summaries if summary.id in new_ids}
        pages = sum(summary.page_count for summary in new.values())
        facts = sum(summary.fact_count for summary in new.values())
        unchanged = f", {known} unchanged" if known else ""
        self._out.print(
            f"{_count(len(new), 'document')} indexed{unchanged}: {_count(pages, 'page')}, {_count(facts, 'fact')}, "
            f"{report.seconds:.1f} s"
        )
        for chunk_id, error in report.failed_chunks:
            self.warn(f"chunk {chunk_id}: {error}")
        if report.failures:
            self._show_failures(report.failures)

    def _show_failures(self, failures: Sequence[SourceError]) -> None:
        """All of them in a file, as many as can be read on a terminal; the others are counted by their kind."""
        self.warn(f"{_count(len(failures), 'source')} could not be read:")
        shown = failures[:_LISTED_FAILURES] if self._err.is_terminal else failures
        for failure in shown:
            self.warn(f"  {failure}")
        if others := failures[len(shown) :]:
            kinds = Counter(_NUMBER.sub("N", failure.problem) for failure in others)
            counted = "; ".join(f"{count:,} × {kind}" for kind, count in kinds.most_common(_LISTED_KINDS))
            more = "; ..." if len(kinds) > _LISTED_KINDS else ""
            self.warn(f"  and {len(others):,} more ({counted}{more}). All are listed with `2>failures.txt`.")

    def show_documents(self, summaries: Sequence[DocumentSummary]) -> None:
        """A table of documents."""
        if not summaries:
            self.say("The library is empty: run `graphreader index SOURCE...`.")
            return
        table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
        table.add_column("id", no_wrap=True, min_width=_SHORT_ID)
        table.add_column("title", overflow="ellipsis", no_wrap=True, ratio=3)
        for name in ("pages", "chunks", "facts", "by model"):
            table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
        table.add_column("file", overflow="ellipsis", no_wrap=True, ratio=2)
        for summary in summaries:
            table.add_row(
                summary.id[:_SHORT_ID],
                Text(summary.title),
                str(summary.page_count),
                str(summary.chunk_count),
                str(summary.fact_count),
                f"{summary.model_fact_chunk_count}/{summary.chunk_count}",
                Text(printable(PurePath(summary.sources[0]).name) if summary.sources else ""),
            )
        self._out.print(table, soft_wrap=False, crop=True)

    def show_document(self, summary: DocumentSummary) -> None:
        """All that is known of one document."""
        rows = {
            "title": summary.title,
            "id": summary.id,
            "source": "\n".join(map(printable, summary.sources)),
            "type": summary.media_type,
            "characters": f"{summary.character_count:,}",
            "pages": str(summary.page_count),
            "chunks": f"{summary.chunk_count} ({summary.model_fact_chunk_count} with facts by a model)",
            "facts": f"{summary.fact_count:,}",
            "indexed": summary.indexed_at,
        }
        table = Table(box=None, pad_edge=False, show_header=False)
        for name, value in rows.items():
            table.add_row(Text(name, style="bold"), Text(value))
        self._out.print(table)

    def show_outline(self, document: Document) -> None:
        """Headings with their pages."""
        if not document.headings:
            self.say(f"{document.title} has no headings.")
        for heading in document.headings:
            indent = "  " * (heading.level - 1)
            self._out.print(Text.assemble(f"{indent}{heading.title}  ", (f"{document.page_at(heading.start)}", "dim")))

    def show_facts(self, document: Document, library: Library) -> None:
        """Facts with page, origin and key elements, chunk by chunk."""
        for chunk in library.chunks(document.id):
            heading = " / ".join(chunk.headings)
            title = f"{chunk.id}  page {document.page_at(chunk.start)}  {chunk.token_count} tokens  {heading}"
            self._out.print(Text(title, style="bold"))
            for fact in library.facts_of_chunks([chunk.id]):
                elements = ", ".join(element.name for element in fact.key_elements)
                line = Text.assemble(f"  {fact.text}", (f"  [{elements}] {fact.origin}", "dim"))
                self._out.print(line)

    def show_page(self, document: Document, number: int) -> None:
        """The text of one page."""
        page = next((page for page in document.pages if page.number == number), None)
        if page is None:
            self.say(f"{document.title} has pages 1 to {document.pages[-1].number}.")
        else:
            self._out.print(Text(document.text[page.start : page.end].strip("\n\f")))

    def show_checks(self, checks: Sequence[Mapping[str, str]]) -> None:
        """The doctor's findings, each with what mends it."""
        for check in checks:
            self._out.print(f"{_MARKS[check['status']]:<22} ", Text(f"{check['name']}: {check['detail']}"))
            if check["mend"]:
                self._out.print(Text(f"        {check['mend']}", style="dim"))

    def end_progress(self) -> None:
        """Take live progress off the screen before something else is shown."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
            self._tasks = {}
        if self._status is not None:
            self._status.stop()
            self._status = None


#: Failures listed on a terminal, and kinds of the others.
_LISTED_FAILURES = 20
_LISTED_KINDS = 3
_NUMBER = re.compile(r"\d[\d,]*")
#: Characters of an id that are shown; any unique beginning of an id names its document.
_SHORT_ID = 8
#: Details of a step that are for machines.
_HIDDEN = frozenset({"evidence", "found", "notes", "run", "shown"})


def _brief(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, list):
        return "; ".join(str(item) for item in value)
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
