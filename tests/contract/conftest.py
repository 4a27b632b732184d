from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from contract.library_contract import open_place

from graphreader.library import Library


@pytest.fixture(params=["sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for a library, one for each backend, where nothing is yet."""
    return {"sqlite": f"sqlite:{tmp_path / 'new' / 'library.db'}"}[request.param]


@pytest.fixture
def library(place: str) -> Iterator[Library]:
    opened = open_place(place)
    yield opened
    opened.close()
