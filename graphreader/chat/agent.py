"""The agent of a conversation: its instructions, its blocks, what its memory is given."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from graphreader.chat.archive import LibraryArchive
from graphreader.chat.host import Host
from graphreader.chat.turn_log import TurnLog
from graphreader.llm.memory_embedder import MemoryEmbedder
from graphreader.llm.memory_model import MemoryModel
from graphreader.llm.partial import StringReader
from graphreader.llm.protocol import ChatModel, OnText
from graphreader.llm.summarise import summariser
from graphreader.settings import DEFAULT_MODEL, ChatSettings
from memory.agent import Agent
from memory.records import Block
from memory.storage import Storage
from prompts import render

_BLOCK_TOKENS = 250
BLOCKS = (
    Block("user", "", _BLOCK_TOKENS, "what the user said of themselves, in their words: 'I' is the user"),
    Block("task", "", _BLOCK_TOKENS, "what the user wants done, and how, in their words"),
)


def is_guided(settings: ChatSettings, model: ChatModel) -> bool:
    """Whether the program decides what to do with a message, rather than the model."""
    return model.name == DEFAULT_MODEL if settings.guided is None else settings.guided


def now() -> datetime:
    """The time with the zone of this machine."""
    return datetime.now().astimezone()


def make_agent(
    host: Host, name: str, storage: Storage, model: MemoryModel, silent: MemoryModel, chat_model: ChatModel
) -> Agent:
    """The agent without an archive, for one turn. ``silent`` is the model that nobody listens to."""
    settings, embedder = host.settings.chat, host.connection.embedder
    instructions = render("chat_guided" if is_guided(settings, chat_model) else "chat").system
    return Agent(
        name,
        storage,
        model,
        summariser(silent),
        instructions,
        BLOCKS,
        embedder=None if embedder is None else MemoryEmbedder(embedder),
        reply_tokens=settings.reply_tokens,
        zone=now().tzinfo or UTC,
        clock=now,
    )


def archive_of(host: Host, document_ids: Sequence[str], log: TurnLog) -> LibraryArchive:
    """The documents as part of archival storage."""
    return LibraryArchive(host.library, document_ids, host.connection.embedder, log.read_passages)


def message_to(on_text: OnText) -> OnText:
    """For one reply: passes on what the pieces of its JSON add to the message to the user."""
    reader = StringReader("message")

    def on_piece(piece: str) -> None:
        if new := reader.new_text(piece):
            on_text(new)

    return on_piece
