"""The commands ``evaluate`` and ``report``. Parse, call ``graphreader.evaluate``, print one line of JSON last."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphreader.cli_shared import guarded

if TYPE_CHECKING:
    from graphreader.settings import Settings

#: Between two lines of progress, in a terminal (where each takes the place of the last) and in a file.
_LIVE_SECONDS, _LOGGED_SECONDS = 0.5, 30.0


def evaluate(
    dataset: Annotated[str, typer.Argument(help="File or folder of a dataset, or a generated one (needle:n=20).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run; the same command again goes on there.")],
    mode: Annotated[str, typer.Option("--mode", "-m", help="Modes, separated by commas.")] = "search,graph",
    limit: Annotated[int | None, typer.Option(min=1, help="Draw so many questions.")] = None,
    seed: Annotated[int, typer.Option(help="For the drawing.")] = 0,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Questions at once.", show_default="twice model.concurrency")
    ] = None,
    pooled: Annotated[
        bool | None, typer.Option("--pooled/--per-question", help="Ask of all documents, or of each question's own.")
    ] = None,
    judge_model: Annotated[str | None, typer.Option(help="A model that rates the answers besides.")] = None,
    judge_url: Annotated[str | None, typer.Option(help="Its endpoint.", show_default="that of the model")] = None,
    cache: Annotated[Path | None, typer.Option(help="File of kept replies.", show_default="in the folder")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Ask again what failed before.")] = False,
) -> None:
    """Ask a benchmark's questions in several modes; score, count and keep everything. Goes on where it was stopped."""
    from graphreader.evaluate.datasets import load_dataset
    from graphreader.evaluate.progress import RunProgress
    from graphreader.evaluate.run import Options, Watch, evaluate
    from graphreader.reader import GraphReader

    with guarded() as terminal:
        settings = _settings(concurrency)
        questions = load_dataset(dataset, pooled=pooled, seed=seed)
        progress = RunProgress(terminal.show_line, _LIVE_SECONDS if terminal.is_live else _LOGGED_SECONDS)
        with GraphReader(out / "library.db", settings=settings, on_progress=terminal.show_progress) as reader:
            watch = Watch(progress.start, progress.record)
            options = Options(_judge(settings, judge_model, judge_url), cache, retry_failed, watch)
            run = evaluate(
                questions,
                reader,
                modes=[name.strip() for name in mode.split(",") if name.strip()],
                limit=limit,
                seed=seed,
                concurrency=concurrency,
                out=out,
                options=options,
            )
        if terminal.is_live:
            terminal.say(progress.line())
        sys.stdout.write(json.dumps({"out": str(out), **run.summary}, ensure_ascii=False) + "\n")


def report(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of runs.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the report.", show_default="the first DIR")
    ] = None,
) -> None:
    """Compare runs: writes report.html, one file of its own, and report.json."""
    from graphreader.evaluate.report import write_report

    with guarded() as terminal:
        page, data = write_report(folders, out or folders[0])
        terminal.say(f"{page}: open it in a browser.")
        sys.stdout.write(json.dumps({"html": str(page), "json": str(data)}) + "\n")


def _settings(concurrency: int | None) -> Settings:
    """Those in force; without a time limit unless one is set, since it makes results depend on the machine's load."""
    from graphreader.settings import Settings

    settings = Settings.load()
    changes: dict[str, Any] = {}
    if "max_seconds" not in settings.explore.model_fields_set:
        changes["explore"] = settings.explore.model_copy(update={"max_seconds": None})
    if concurrency is not None and concurrency > settings.model.concurrency:
        changes["model"] = settings.model.model_copy(update={"concurrency": concurrency})
    return settings.model_copy(update=changes)


def _judge(settings: Settings, name: str | None, url: str | None) -> Any:  # noqa: ANN401 - ModelSettings, loaded later
    if name is None:
        if url is not None:
            raise typer.BadParameter("--judge-url names where the judge is: add --judge-model NAME.")
        return None
    model = settings.model
    if url is not None and url != model.base_url:
        elsewhere = {"base_url": url, "api_key": settings.evaluate.judge_api_key, "cache_salt": None}
        model = model.model_copy(update=elsewhere)
    if name != model.name:
        if model.base_url is None:
            raise typer.BadParameter(
                f"A server on this machine holds one model, {model.name}: name that one as the judge, or say with "
                "--judge-url where the other is."
            )
        model = model.model_copy(update={"name": name, "tokenizer": None, "context_tokens": None})
    return model
