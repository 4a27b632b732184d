"""What the files of the command line share: exit codes, JSON, and errors as one sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from graphreader.terminal import Terminal

EXIT_FAILED, EXIT_NOT_SAID, EXIT_INTERRUPTED = 1, 3, 130

LibraryOption = Annotated[
    Path | None, typer.Option("--library", "-l", help="Library file.", show_default=".graphreader/library.db")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


@contextmanager
def guarded(live_steps: bool = False) -> Iterator[Terminal]:
    """A terminal; errors that are meant for the user become one sentence on stderr and an exit code."""
    from graphreader.errors import GraphReaderError
    from graphreader.terminal import Terminal
    from memory.errors import AgentMemoryError

    with Terminal(live_steps) as terminal:
        try:
            yield terminal
        except (GraphReaderError, AgentMemoryError) as error:
            terminal.warn(str(error))
            raise typer.Exit(EXIT_FAILED) from error
        except KeyboardInterrupt as interrupt:
            terminal.warn("Interrupted. What was finished is kept; the same command goes on from there.")
            raise typer.Exit(EXIT_INTERRUPTED) from interrupt


def print_json(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """On standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
