"""A conversation over documents with a memory: what ``GraphReader.chat`` gives."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Self

from graphreader.agent.context import OnStep
from graphreader.chat import looking, scope
from graphreader.chat.agent import now
from graphreader.chat.document_functions import ANSWER_FROM_DOCUMENTS
from graphreader.chat.host import Host
from graphreader.chat.records import ChatReply, MemoryView, Remembered
from graphreader.chat.turn_log import TurnLog, citations_of
from graphreader.chat.turns import Said, take_turn
from graphreader.errors import GraphReaderError, LibraryError
from graphreader.lazy_facts import asking
from graphreader.llm.protocol import OnText
from graphreader.records import Mode, TraceStep, Usage
from memory.events import document_loaded, system_alert
from memory.forget import forget_text, would_forget
from memory.loop import Outcome
from memory.records import Forgotten, Item, Turn, numbered
from memory.storage import Storage

DEFAULT_AGENT = "default"
#: Documents told of one by one when they come into a conversation.
_MAX_TOLD = 20


def _ignore_step(_step: TraceStep) -> None:
    """Nobody watches."""


class Chat:
    """A conversation of one agent. A context manager; ``close`` it before its reader.

    All of it is kept: the next ``Chat`` of the same name goes on where this one stopped, over the same documents.
    Conversations of other names know nothing of it. ``usage`` is what this object's turns have cost so far,
    ``last_usage`` the last one. For one thread at a time.
    """

    def __init__(self, host: Host, name: str, storage: Storage, mode: Mode) -> None:
        self.name = name
        self.mode = mode
        self.usage = Usage()
        self.last_usage = Usage()
        self._host = host
        self._storage = storage

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file of memories; what was said is in it."""
        self._storage.close()

    # talking ---------------------------------------------------------------------------------------------------
    def say(self, message: str, *, on_text: OnText | None = None, on_step: OnStep = _ignore_step) -> ChatReply:
        """Say something and wait for the reply. When this returns, the turn is stored; if it raises, nothing of it is.

        ``on_text`` is told of the reply's text while it is generated, where the model writes it itself; an answer from
        documents comes as a whole, since it is verified first. ``on_step`` is told of calls, and of steps of answering.
        Ctrl-C cancels the turn.

        Raises ``GraphReaderError`` for model and library, ``memory.errors.AgentMemoryError`` for the memory.
        """
        text = message.strip()
        if not text:
            raise GraphReaderError("The message is empty: say something.")
        log, started = TurnLog(), time.monotonic()
        said = Said(text, self._document_ids(), self.mode, on_text, on_step)
        if not said.document_ids:
            log.warnings.append("None of this conversation's documents is in the library any more.")
        try:
            with asking(self._host.library_path):
                outcome = self._host.loop.run(lambda: take_turn(self._host, self.name, self._storage, said, log))
        finally:
            self.last_usage = replace(log.usage, seconds=time.monotonic() - started)
            self.usage += self.last_usage
        return self._reply(text, outcome, log)

    def _reply(self, message: str, outcome: Outcome, log: TurnLog) -> ChatReply:
        warnings = log.warnings
        if log.answer is not None:
            text, citations = log.answer.answer, log.answer.citations
            warnings = [*log.answer.warnings, *warnings]
        else:
            text = outcome.reply or ""
            citations = citations_of(text, message, log.read, self._host.library.document)
        if outcome.reply is None:
            warnings.append(f"The model stopped without a reply ({outcome.stopped_by.value}). Say it in other words.")
        if outcome.warning:
            warnings.append(f"This is kept, but cannot be found by meaning yet. {outcome.warning}")
        return ChatReply(
            message=message,
            text=text,
            citations=citations,
            read_documents=log.read_documents,
            calls=tuple(log.calls),
            stopped_by=outcome.stopped_by.value,
            usage=self.last_usage,
            warnings=tuple(dict.fromkeys(warnings)),
        )

    # what it is over -------------------------------------------------------------------------------------------
    def load(self, document_ids: Sequence[str] | None) -> None:
        """Let the conversation be over these documents of the library too; it is told of those that are new to it.

        None: over the whole library, whatever it comes to hold, unless it was said before what it is over.
        """
        library, time = self._host.library, now()
        if document_ids is None:
            if not scope.is_known(library, self.name):
                self._load_library(time)
            return
        new = scope.add_documents(library, self.name, document_ids)
        told = [document_loaded(library.layout(one).title, time, ANSWER_FROM_DOCUMENTS) for one in new[:_MAX_TOLD]]
        if len(new) > _MAX_TOLD:
            told.append(system_alert(f"{len(new) - _MAX_TOLD:,} more documents were loaded. {_HOW}", time))
        self._tell(told)

    def _load_library(self, time: datetime) -> None:
        count = len(self._host.library.document_ids())
        if count == 0:
            raise LibraryError(
                f"The library {self._host.library_path} holds no documents to talk about: name some, "
                "`graphreader chat SOURCE...`."
            )
        scope.choose_library(self._host.library, self.name)
        self._tell([system_alert(f"{count:,} documents were loaded. {_HOW}", time)])

    def _tell(self, events: Sequence[Item]) -> None:
        """Events that need no reply."""
        if events:
            state = self._storage.state(self.name)
            messages = tuple(numbered(one, state.last_message + place) for place, one in enumerate(events, start=1))
            self._storage.commit(self.name, Turn(state.last_message, state.summary.number, messages))

    def _document_ids(self) -> list[str]:
        chosen = scope.documents_of(self._host.library, self.name)
        return self._host.library.document_ids() if chosen is None else chosen

    # looking at its memory -------------------------------------------------------------------------------------
    def memory(self) -> MemoryView:
        """What the agent holds now. Without a model."""
        titles = scope.documents_of(self._host.library, self.name)
        documents = None if titles is None else tuple(self._host.library.layout(one).title for one in titles)
        return looking.view(self._storage, self.name, self._host.connection.counter.count, documents)

    def recall(self, text: str) -> list[Remembered]:
        """All that was said and holds ``text``, newest first; then what holds some of its words. Without a model."""
        return looking.recall(self._storage, self.name, text)

    @property
    def message_count(self) -> int:
        """How many messages the agent remembers, its own and what functions showed included."""
        return self._storage.state(self.name).last_message

    def said(self, limit: int) -> list[str]:
        """The user's last messages, oldest first."""
        return looking.said_by_user(self._storage, self.name, limit)

    def would_forget(self, text: str) -> Forgotten:
        """What ``forget`` would delete, beside messages that quote what it deletes. Nothing is changed."""
        return would_forget(self._storage, self.name, _checked(text))

    def forget(self, text: str) -> Forgotten:
        """Delete every message, entry and line of working context that holds ``text``, case apart, from the file's
        bytes too. Summaries that covered one are made anew with the next message. Documents of the library stay.
        """
        return forget_text(self._storage, self.name, _checked(text))


_HOW = f"{ANSWER_FROM_DOCUMENTS} finds what they say."


def _checked(text: str) -> str:
    if not text.strip():
        raise GraphReaderError("Say which text to forget.")
    return text.strip()
