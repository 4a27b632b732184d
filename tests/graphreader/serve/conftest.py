"""The files of a test's own server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from graphreader.serve import server
from graphreader.serve.state import ServerPaths


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[ServerPaths]:
    made = ServerPaths(tmp_path / "state")
    yield made
    server.stop(made)
