"""Which documents a conversation is over, kept in the library.

A document that changed has another id, so its paths are kept too: the conversation goes on over the new version.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from graphreader.errors import DocumentNotFoundError
from graphreader.library.protocol import Library

_RUN_ID = "chat-documents"
_WHOLE_LIBRARY = "*"


def documents_of(library: Library, agent: str) -> list[str] | None:
    """Ids of a conversation's documents that are still there, oldest first; None where it is over the whole library."""
    records = library.run_records(_RUN_ID, agent)
    if not records or _WHOLE_LIBRARY in records:
        return None
    known = library.document_ids()
    found = {
        document_id if document_id in known else _at_paths(library, json.loads(value))
        for document_id, value in records.items()
    }
    return [one for one in known if one in found]


def is_known(library: Library, agent: str) -> bool:
    """Whether it was said before what a conversation is over."""
    return bool(library.run_records(_RUN_ID, agent))


def add_documents(library: Library, agent: str, document_ids: Sequence[str]) -> list[str]:
    """Let a conversation be over these documents too. Those that are new to it."""
    before = documents_of(library, agent) or []
    new = [one for one in dict.fromkeys(document_ids) if one not in before]
    for document_id in new:
        paths = [library.layout(document_id).source]
        library.put_run_record(_RUN_ID, agent, document_id, json.dumps(paths).encode())
    return new


def choose_library(library: Library, agent: str) -> None:
    """Let a conversation be over the whole library, whatever it comes to hold."""
    library.put_run_record(_RUN_ID, agent, _WHOLE_LIBRARY, b"[]")


def _at_paths(library: Library, paths: Sequence[str]) -> str | None:
    for path in paths:
        try:
            return library.find(path)
        except DocumentNotFoundError:
            continue
    return None
