"""``graphreader chat``: the lines of a conversation, typed or piped, and the commands among them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from graphreader.cli_shared import EXIT_FAILED, LibraryOption, guarded
from graphreader.records import Mode

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

    from graphreader.chat.conversation import Chat
    from graphreader.chat.records import Remembered
    from graphreader.terminal_chat import ChatScreen

_PROMPT = "› "
_RECALLED_AT_ONCE = 10
_REMEMBERED_LINES = 500


def chat(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Documents to talk about, beside those of before: of the library, or files, which are indexed first. "
            "Default: those of before, else the whole library."
        ),
    ] = None,
    library: LibraryOption = None,
    agent: Annotated[
        str, typer.Option("--as", help="Whose conversation: each name has a memory of its own.")
    ] = "default",
    mode: Annotated[
        Mode | None, typer.Option(help="How the documents are asked; as for `ask`.", show_default="auto")
    ] = None,
) -> None:
    """Talk about documents; what was said is remembered until tomorrow. Piped input is answered line by line."""
    from graphreader.reader import GraphReader
    from graphreader.settings import Settings
    from graphreader.terminal_chat import ChatScreen

    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    with (
        guarded(live_steps=interactive) as terminal,
        GraphReader(library, settings=Settings.load(), on_progress=terminal.show_progress) as reader,
        reader.chat(agent, sources or (), mode=mode) as conversation,
    ):
        reader.finish_indexing()
        talk = _Talk(conversation, ChatScreen(terminal, interactive=interactive))
        if interactive:
            terminal.aside(f"{agent}: {conversation.message_count:,} messages so far. /help lists the commands.")
            _typed(talk)
        else:
            for line in sys.stdin:
                if not talk.take(line):
                    break
    if talk.failures and not interactive:
        raise typer.Exit(EXIT_FAILED)


class _Talk:
    """What is done with each line. ``confirm`` asks before something is deleted."""

    def __init__(self, chat: Chat, screen: ChatScreen) -> None:
        self.chat = chat
        self.screen = screen
        self.failures = 0
        self.confirm: Callable[[str], bool] = lambda _question: True
        self._more: list[Remembered] = []

    def take(self, line: str) -> bool:
        """Answer a line. False where it ends the conversation. Raises ``KeyboardInterrupt``."""
        from graphreader.errors import GraphReaderError
        from memory.errors import AgentMemoryError

        text = line.strip()
        try:
            if text.startswith("/") and not text.startswith("//"):
                return self._command(text)
            if text:
                said = text[1:] if text.startswith("//") else text
                self.screen.show_reply(self.chat.say(said, on_text=self.screen.on_text, on_step=self.screen.on_step))
        except (GraphReaderError, AgentMemoryError) as error:
            self.failures += 1
            self.screen.failed(error)
        return True

    def _command(self, text: str) -> bool:
        from graphreader.errors import GraphReaderError
        from graphreader.terminal_chat import HELP, cost_text, memory_text

        name, _, rest = text.partition(" ")
        match name:
            case "/quit" | "/exit":
                return False
            case "/help":
                self.screen.show(HELP)
            case "/memory":
                self.screen.show(memory_text(self.chat.memory()))
            case "/cost":
                self.screen.show(cost_text(self.chat.last_usage, self.chat.usage))
            case "/recall":
                self._more = self.chat.recall(rest)
                self._show_recalled()
            case "/more":
                self._show_recalled()
            case "/forget":
                self._forget(rest)
            case _:
                raise GraphReaderError(f"There is no command {name:.40}: /help lists them.")
        return True

    def _show_recalled(self) -> None:
        from graphreader.terminal_chat import recalled_text

        shown, self._more = self._more[:_RECALLED_AT_ONCE], self._more[_RECALLED_AT_ONCE:]
        self.screen.show(recalled_text(shown) if shown else "Nothing found.")
        if self._more:
            self.screen.show(f"{len(self._more):,} more: /more")

    def _forget(self, text: str) -> None:
        from graphreader.terminal_chat import forgotten_text

        would = self.chat.would_forget(text)
        if not (would.messages or would.entries or would.edited_blocks):
            self.screen.show(forgotten_text(would, is_done=False))
        elif self.confirm(f"{forgotten_text(would, is_done=False)} Delete?"):
            self._more = []
            self.screen.show(forgotten_text(self.chat.forget(text), is_done=True))
        else:
            self.screen.show("Nothing was deleted.")


def _typed(talk: _Talk) -> None:
    """Lines from a terminal, with editing and the history of what was said before, as far as it is remembered."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import InMemoryHistory

    session: PromptSession[str] = PromptSession()
    talk.confirm = lambda question: _yes(session, question)
    interrupted = False
    while True:
        # Only what is remembered may come back: what was forgotten must not stand in a history of its own.
        session.history = session.default_buffer.history = InMemoryHistory(talk.chat.said(_REMEMBERED_LINES))
        try:
            line = session.prompt(_PROMPT)
        except EOFError:
            return
        except KeyboardInterrupt:
            if interrupted:
                return
            interrupted = True
            talk.screen.note("Ctrl-C again ends the conversation; so do Ctrl-D and /quit.")
            continue
        interrupted = False
        before = talk.chat.message_count
        try:
            if not talk.take(line):
                return
        except KeyboardInterrupt:
            talk.screen.cancelled(is_kept=talk.chat.message_count > before)


def _yes(session: PromptSession[str], question: str) -> bool:
    try:
        return session.prompt(f"{question} [y/N] ").strip().casefold() in ("y", "yes")
    except (EOFError, KeyboardInterrupt):
        return False
