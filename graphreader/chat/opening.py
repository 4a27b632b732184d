"""Begin a conversation, or go on with one."""

from __future__ import annotations

from graphreader.chat.conversation import Chat
from graphreader.chat.host import Host, memory_path
from graphreader.errors import GraphReaderError
from graphreader.records import Mode
from memory.sqlite import open_storage

_MAX_NAME_CHARACTERS = 100


def open_chat(host: Host, agent: str, mode: Mode) -> Chat:
    """The conversation of an agent, whose memory is beside the library.

    Raises ``GraphReaderError`` for an unusable name, ``memory.errors.MemoryFileError`` where the file cannot be used.
    """
    name = agent.strip()
    if not name or len(name) > _MAX_NAME_CHARACTERS or not name.isprintable():
        raise GraphReaderError(
            f"{agent!r:.120} cannot name a conversation: use 1 to {_MAX_NAME_CHARACTERS} characters on one line."
        )
    return Chat(host, name, open_storage(memory_path(host.library_path)), mode)
