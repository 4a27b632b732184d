from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from contract.library_contract import open_place
from contract.memory_contract import open_memory_place

from graphreader.library import Library
from memory.storage import Storage


@pytest.fixture(params=["sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for a library, one for each backend, where nothing is yet."""
    return {"sqlite": f"sqlite:{tmp_path / 'new' / 'library.db'}"}[request.param]


@pytest.fixture
def library(place: str) -> Iterator[Library]:
    opened = open_place(place)
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite"])
def memory_place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for a storage of memories, one for each backend, where nothing is yet."""
    return {"sqlite": f"sqlite:{tmp_path / 'new' / 'memory.db'}"}[request.param]


@pytest.fixture
def storage(memory_place: str) -> Iterator[Storage]:
    opened = open_memory_place(memory_place)
    yield opened
    opened.close()
