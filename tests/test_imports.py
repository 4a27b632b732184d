"""Imports go one way, and importing the package loads nothing heavy."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import graphreader

ROOT = Path(__file__).parents[1]

#: Each part may import itself and those before it.
ORDER = [
    {"memory"},
    {"prompts"},
    {"graphreader.errors"},
    {"graphreader.records"},
    {"graphreader.settings"},
    {"graphreader.text"},
    {"graphreader.library.protocol"},
    {"graphreader.llm"},
    {"graphreader.ingest"},
    {"graphreader.library"},
    {"graphreader.search"},
    {"graphreader.agent"},
    {"graphreader.view"},
    {"graphreader.plan"},
    {"graphreader.serve"},
    {"graphreader.batch", "graphreader.coverage", "graphreader.graph", "graphreader.finding", "graphreader.lazy_facts"},
    {"graphreader.routing"},
    {"graphreader.indexing", "graphreader.answering"},
    {"graphreader.event_loop"},
    {"graphreader.connect"},
    {"graphreader.chat"},
    {"graphreader.reader"},
    {"graphreader.evaluate"},
    {"graphreader.facts_writer", "graphreader.terminal", "graphreader.terminal_chat", "graphreader.terminal_plan"},
    {"graphreader.cli_shared"},
    {"graphreader.cli_chat", "graphreader.cli_evaluate", "graphreader.cli_hosting"},
    {"graphreader.cli"},
    {"graphreader.__main__", "graphreader"},
]
HEAVY = {"torch", "vllm", "langgraph", "sentence_transformers", "transformers", "numpy", "networkx", "openai"}


def rank(module: str) -> int:
    while module:
        for position, names in enumerate(ORDER):
            if module in names:
                return position
        module = module.rpartition(".")[0]
    raise AssertionError(f"{module} has no place in the order of parts")


def modules() -> list[tuple[str, Path]]:
    found = []
    for package in ("graphreader", "memory", "prompts"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found.append((".".join(parts).removesuffix(".__init__"), path))
    return found


def imported(path: Path) -> set[str]:
    """Modules of ours imported anywhere in a file, those for type checking alone left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checking = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in checking:
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            known = {name for name, _ in modules()}
            names.update(submodules & known or {node.module})
    return {name for name in names if name.split(".")[0] in ("graphreader", "memory", "prompts")}


@pytest.mark.parametrize(("module", "path"), modules(), ids=lambda value: str(value) if isinstance(value, str) else "")
def test_imports_go_one_way(module: str, path: Path) -> None:
    late = {name for name in imported(path) if rank(name) > rank(module)}
    assert not late, f"{module} imports {late}, which come after it"


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return {name.split(".")[0] for name in done.stderr.split()}


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_by("import graphreader") & (HEAVY | {"pydantic", "typer"})
    assert not loaded_by("from graphreader import GraphReader") & {
        "torch",
        "vllm",
        "langgraph",
        "sentence_transformers",
    }


def test_help_loads_nothing_heavy_and_is_instant() -> None:
    code = "from typer.testing import CliRunner\nfrom graphreader.cli import app\nCliRunner().invoke(app, ['--help'])"
    assert not loaded_by(code) & (HEAVY | {"pydantic"})
    seconds = []
    for _ in range(3):
        # The processor's time: machines that run the tests may be busy with something else.
        before = os.times()
        subprocess.run([sys.executable, "-m", "graphreader", "--help"], capture_output=True, check=True, cwd=ROOT)
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    # 0.4 s is the promise.
    assert min(seconds) < 1.2


def test_public_names_exist() -> None:
    for name in graphreader.__all__:
        assert getattr(graphreader, name)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = graphreader.no_such_name
