"""Batch evaluation: a dataset, asked in several modes, scored against its gold answers and evidence.

    from graphreader import GraphReader
    from graphreader.evaluate import evaluate

    with GraphReader("library.db") as reader:
        run = evaluate("questions.jsonl", reader, modes=["search", "graph"], out="run")

Names are loaded when they are first used, so that reading a dataset does not import what asks its questions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphreader.evaluate.run import Options, Run, evaluate, read_run

__all__ = ["Options", "Run", "evaluate", "read_run"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("graphreader.evaluate.run"), name)
