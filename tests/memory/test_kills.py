"""A process may be killed at any point: see ``benchmarks.memory_kills``, which does it as often as one likes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.memory_kills import MIGRATION_POINTS, POINTS, run

#: Two hundred take minutes: ``GRAPHREADER_TEST_KILLS=200``, or ``python -m benchmarks.memory_kills``.
KILLS = int(os.environ.get("GRAPHREADER_TEST_KILLS", "32"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_no_kill_loses_an_acknowledged_turn_or_leaves_half_of_one(tmp_path: Path) -> None:
    killed = run(tmp_path, KILLS, seed=KILLS)
    assert killed.total() == KILLS
    assert set(killed) - set(MIGRATION_POINTS) == set(POINTS)
