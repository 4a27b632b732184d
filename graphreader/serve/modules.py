"""How a module of ours is run as a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def module_command(module: str, *arguments: str) -> list[str]:
    """A command line that runs ``module`` with this Python, installed or not, whatever lies in the current folder.

    ``-P`` keeps that folder off the import path: a ``json.py`` there would otherwise be imported.
    """
    script = (
        f"import runpy, sys; sys.path.insert(0, {str(_ROOT)!r}); "
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    return [sys.executable, "-P", "-c", script, *arguments]
