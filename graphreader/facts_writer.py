"""The detached process that writes the facts of chunks that were read: ``python -m graphreader.facts_writer LIBRARY``.

It works only with a model that is already there (it starts no server), one chunk at a time, and stands aside while a
question runs. It ends when nothing is left to do.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from graphreader.lazy_facts import only_writer, pending_chunks, somebody_asks
from graphreader.reader import GraphReader

_POLL_SECONDS = 0.25


def main(library_path: Path) -> None:
    """Write what is pending in the library, unless another writer is at it."""
    with only_writer(library_path) as alone, GraphReader(library_path) as reader:
        while alone and reader.model_is_running() and pending_chunks(reader.library):
            if somebody_asks(library_path):
                time.sleep(_POLL_SECONDS)
            else:
                reader.write_pending_facts(limit=1, give_way=lambda: somebody_asks(library_path))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
