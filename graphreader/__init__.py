"""Ask questions of documents far longer than a model reads well; every claim is tied to a verbatim span of the source.

    from graphreader import GraphReader

    with GraphReader("reports.db") as reader:
        reader.index(["reports/"])
        answer = reader.ask("Who chaired the committee in 2019?")
        print(answer.answer, [(citation.document, citation.page, citation.quote) for citation in answer.citations])

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphreader.batch import Asked
    from graphreader.chat.conversation import Chat
    from graphreader.chat.records import ChatReply
    from graphreader.errors import GraphReaderError
    from graphreader.finding import Findings, Found
    from graphreader.indexing import IndexReport
    from graphreader.library import Library, open_library
    from graphreader.reader import GraphReader
    from graphreader.records import Answer, Citation, FoundKind, Mode, Usage
    from graphreader.settings import Settings

__all__ = [
    "Answer",
    "Asked",
    "Chat",
    "ChatReply",
    "Citation",
    "Findings",
    "Found",
    "FoundKind",
    "GraphReader",
    "GraphReaderError",
    "IndexReport",
    "Library",
    "Mode",
    "Settings",
    "Usage",
    "open_library",
]

_HOMES = {
    "Answer": "records",
    "Asked": "batch",
    "Chat": "chat.conversation",
    "ChatReply": "chat.records",
    "Citation": "records",
    "Findings": "finding",
    "Found": "finding",
    "FoundKind": "records",
    "GraphReader": "reader",
    "GraphReaderError": "errors",
    "IndexReport": "indexing",
    "Library": "library",
    "Mode": "records",
    "Settings": "settings",
    "Usage": "records",
    "open_library": "library",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"graphreader.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'graphreader' has no attribute {name!r}")
