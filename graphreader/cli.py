"""The command line. Parses, calls ``GraphReader``, prints; what is heavy is imported inside the command that needs it.

Answers and tables go to stdout, progress and warnings to stderr. Exit codes: 0 answered or done, 1 failed, 2 usage,
3 the documents do not say, 130 interrupted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphreader.cli_chat import chat
from graphreader.cli_evaluate import evaluate, report
from graphreader.cli_hosting import doctor, plan, serve, stop
from graphreader.cli_shared import EXIT_FAILED, EXIT_NOT_SAID, JsonOption, LibraryOption, guarded, print_json
from graphreader.records import FoundKind, Mode

if TYPE_CHECKING:
    from graphreader.reader import GraphReader
    from graphreader.terminal import Terminal


class FactsOption(StrEnum):
    """Values of ``--facts``."""

    LAZY = "lazy"
    MODEL = "model"
    PHRASES = "phrases"


class GraphFormat(StrEnum):
    """Values of ``--format``."""

    GRAPHML = "graphml"
    JSON = "json"


DocumentArgument = Annotated[str, typer.Argument(help="Id, title, file name or path of a document in the library.")]

app = typer.Typer(
    help="Ask questions of long documents; every answer cites the source word for word.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def index(
    sources: Annotated[list[str], typer.Argument(help="Files, folders, glob patterns, or - for standard input.")],
    library: LibraryOption = None,
    facts: Annotated[
        FactsOption | None,
        typer.Option(help="Who writes facts: rules at once and a model later, a model now, or rules only."),
    ] = None,
) -> None:
    """Read documents into a library. What is there already costs nothing; one file's failure stops no other."""
    with _reader(library) as (reader, terminal):
        report = reader.index(sources, facts=facts.value if facts else None)
        terminal.show_index_report(report, reader.documents())
    if report.failures or report.failed_chunks:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question.")],
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="Documents to ask: of the library, or files, which are indexed first. Default: all."),
    ] = None,
    library: LibraryOption = None,
    mode: Annotated[
        Mode,
        typer.Option(
            help="Explore the graph; retrieve and answer in one call; read everything; or choose by question."
        ),
    ] = Mode.GRAPH,
    allow_part: Annotated[
        bool, typer.Option("--allow-part", help="For mode full: read a part where the whole does not fit.")
    ] = False,
    max_seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Explorers stop after so long; mode auto chooses by it.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="The same, in tokens of prompts and replies.")] = None,
    as_json: JsonOption = False,
    trace: Annotated[Path | None, typer.Option(help="Write every step of the run to this file, as JSON.")] = None,
) -> None:
    """Answer a question, with citations. Exit code 3: the documents do not say."""
    from graphreader.reader import answer_json

    limits = {"max_seconds": max_seconds, "max_total_tokens": max_tokens}
    overrides: dict[str, Any] = {"explore": {name: value for name, value in limits.items() if value is not None}}
    if allow_part:
        overrides["full"] = {"allow_part": True}
    with _reader(library, live_steps=not as_json, overrides=overrides) as (reader, terminal):
        answer = reader.ask(question, sources or [], mode=mode, on_step=terminal.show_step)
        result = answer_json(answer)
        if trace is not None:
            _write(trace, json.dumps(result, ensure_ascii=False, indent=2))
        if as_json:
            print_json(result)
        else:
            terminal.show_answer(answer)
        sys.stdout.flush()
        reader.finish_indexing()
    if not answer.answerable:
        raise typer.Exit(EXIT_NOT_SAID)


@app.command()
def search(
    question: Annotated[str, typer.Argument(help="What to look for.")],
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="Documents to search: of the library, or files, which are indexed first. Default: all."),
    ] = None,
    library: LibraryOption = None,
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="How many to list.")] = 10,
    kind: Annotated[FoundKind, typer.Option(help="What to list.")] = FoundKind.FACTS,
    as_json: JsonOption = False,
    explain: Annotated[bool, typer.Option("--explain", help="Also show which way led to each.")] = False,
) -> None:
    """Find evidence for a question, without a model. Exit code 3: nothing was found."""
    from dataclasses import asdict

    with _reader(library) as (reader, terminal):
        findings = reader.search(question, sources or [], kind=kind, top=top)
        if as_json:
            print_json([asdict(found) for found in findings.found])
            for warning in findings.warnings:
                terminal.say(f"Note: {warning}")
        else:
            terminal.show_findings(findings, explain)
        sys.stdout.flush()
        reader.finish_indexing()
    if not findings.found:
        raise typer.Exit(EXIT_NOT_SAID)


@app.command()
def documents(library: LibraryOption = None, as_json: JsonOption = False) -> None:
    """List what the library holds."""
    from dataclasses import asdict

    with _reader(library, existing=True) as (reader, terminal):
        summaries = reader.documents()
        if as_json:
            print_json([asdict(summary) for summary in summaries])
        else:
            terminal.show_documents(summaries)


@app.command()
def show(
    document: DocumentArgument,
    library: LibraryOption = None,
    outline: Annotated[bool, typer.Option("--outline", help="Its headings.")] = False,
    facts: Annotated[bool, typer.Option("--facts", help="Its facts and key elements, chunk by chunk.")] = False,
    page: Annotated[int | None, typer.Option(min=1, help="The text of one page: where a citation opens.")] = None,
) -> None:
    """Show one document: what it is, its outline, its facts, or a page."""
    with _reader(library, existing=True) as (reader, terminal):
        found = reader.library.document(reader.library.find(document))
        if outline:
            terminal.show_outline(found)
        elif facts:
            terminal.show_facts(found, reader.library)
        elif page is not None:
            terminal.show_page(found, page)
        else:
            summary = next(entry for entry in reader.documents() if entry.id == found.id)
            terminal.show_document(summary)


@app.command()
def graph(
    library: LibraryOption = None,
    graph_format: Annotated[GraphFormat, typer.Option("--format", help="Format.")] = GraphFormat.GRAPHML,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File; default: stdout.")] = None,
    document: Annotated[list[str] | None, typer.Option(help="Only these documents.")] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a part of it to this file as a page to explore in a browser.")
    ] = None,
    question: Annotated[
        str | None, typer.Option("--question", "-q", help="For --html: the part this question leads to.")
    ] = None,
    nodes: Annotated[
        int | None, typer.Option(min=1, max=500, help="For --html: how many key elements.", show_default="100")
    ] = None,
) -> None:
    """Export the graph of key elements, for Gephi, networkx and the like, or as a page to explore (--html)."""
    if html is not None:
        if output is not None:
            raise typer.BadParameter("--html names its own file: leave --output out.")
        _write_page(html, library, question, document or [], nodes or 100)
        return
    if question is not None or nodes is not None:
        raise typer.BadParameter("--question and --nodes choose what a page shows: add --html FILE.")
    import networkx

    from graphreader.graph import graph_of

    with _reader(library, existing=True) as (reader, _):
        chosen = [reader.library.find(name) for name in document] if document else None
        made = graph_of(reader.library, chosen)
        if graph_format is GraphFormat.GRAPHML:
            text = "\n".join(networkx.generate_graphml(made)) + "\n"
        else:
            text = json.dumps(networkx.node_link_data(made, edges="edges"), ensure_ascii=False) + "\n"
        if output is not None:
            _write(output, text)
        else:
            sys.stdout.write(text)


def _write_page(path: Path, library: Path | None, question: str | None, documents: list[str], max_nodes: int) -> None:
    from graphreader.view import page_of

    with _reader(library, existing=True) as (reader, terminal):
        shown = reader.neighbourhood(question, documents, max_nodes=max_nodes)
        for warning in shown.warnings:
            terminal.say(f"Note: {warning}")
        if not shown.nodes:
            what = "Nothing in the graph fits the question" if question else "The graph has no key elements here"
            terminal.warn(f"{what}: {path} was not written.")
            raise typer.Exit(EXIT_NOT_SAID)
        _write(path, page_of(shown))
        counts = f"{len(shown.nodes)} key elements, {len(shown.edges)} links, {len(shown.facts):,} facts"
        terminal.say(f"{path}: {counts}. Open it in a browser.")


@app.command()
def remove(document: DocumentArgument, library: LibraryOption = None) -> None:
    """Remove a document and all that came from it."""
    with _reader(library, existing=True) as (reader, terminal):
        terminal.say(f"Removed {reader.remove(document)}.")


for command in (chat, plan, serve, stop, doctor, evaluate, report):
    app.command()(command)


def main() -> None:
    """Entry point of the console script."""
    app()


@contextmanager
def _reader(
    library: Path | None,
    *,
    live_steps: bool = False,
    existing: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> Iterator[tuple[GraphReader, Terminal]]:
    """A reader with its terminal; with ``existing`` the library must be there already. Flags override settings."""
    from graphreader.errors import LibraryError
    from graphreader.reader import GraphReader
    from graphreader.settings import Settings

    with (
        guarded(live_steps) as terminal,
        GraphReader(library, settings=Settings.load(**(overrides or {})), on_progress=terminal.show_progress) as reader,
    ):
        if existing and not reader.library_path.exists():
            raise LibraryError(
                f"There is no library at {reader.library_path}: run `graphreader index SOURCE...`, or name another "
                "with --library."
            )
        yield reader, terminal


def _write(path: Path, text: str) -> None:
    from graphreader.errors import GraphReaderError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise GraphReaderError(f"Cannot write {path}: {error.strerror}. Name another file.") from error
