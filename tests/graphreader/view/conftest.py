"""A small real library to look at: a mill town, a page to be read as data only, and a hub with many facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes import ScriptedModel, WordEmbedder, by_step

from graphreader import GraphReader

TIDES = """# Tides of Orrin

The tide mill at Orrin was built by Ada Brandt in 1802. Ada Brandt was born in Lowick.

## The keeper

The mill was kept by Tomas Vell. Tomas Vell sold the mill at Orrin to Ilse Marrow. Ilse Marrow came from Tarnholt.
"""
BEES = "# Bees of Sedge\n\nThe bee hall of Sedge Valley was built by Osric Penhall. It has forty hives.\n"
#: The only fact about the lamp stands behind hundreds of others about the same town.
GULLNESS = "\n\n".join(
    [
        "# Gullness",
        *(f"Gullness received the ship Number{n} from Port{n}." for n in range(450)),
        "The lamp of Gullness was lit by Marthe Quill.",
    ]
)

Put = Callable[[str, str], None]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[GraphReader]:
    with GraphReader(tmp_path / "library.db", model=ScriptedModel(by_step({})), embedder=WordEmbedder()) as opened:
        yield opened


@pytest.fixture
def put(reader: GraphReader, tmp_path: Path) -> Put:
    """Index a text as a file of this name."""

    def add(name: str, text: str) -> None:
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert not reader.index([str(tmp_path / name)], facts="phrases").failures

    return add
