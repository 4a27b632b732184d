"""How a conversation looks: replies as they are generated, quotes below them, and what commands show."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphreader.chat.records import ChatReply, MemoryView, Remembered
    from graphreader.records import TraceStep, Usage
    from graphreader.terminal import Terminal
    from memory.records import Block, Forgotten, Summary

HELP = """\
/memory        what is remembered: notes, summary, how much lies in the stores
/recall TEXT   what was said, by you or in reply, that holds TEXT; /more for the rest
/forget TEXT   delete whatever holds TEXT: messages, notes, summaries
/cost          calls, tokens and seconds, of the last reply and of this session
/help          this
/quit          end; the conversation goes on when it is opened again (also Ctrl-D)
Ctrl-C cancels a reply, of which nothing is then kept. A line that begins with // is said with one / less."""

_RECALLED_CHARACTERS = 600
_SPEAKERS = {"user_message": "you", "reply": "reply", "answer_sent_to_user": "reply", "document_loaded": "loaded"}


class ChatScreen:
    """Where a conversation is shown: results on standard output, steps and problems on standard error."""

    def __init__(self, terminal: Terminal, *, interactive: bool) -> None:
        self._terminal = terminal
        self._interactive = interactive
        self._streamed = ""

    def on_text(self, piece: str) -> None:
        """A piece of the reply that is being generated; shown at once on a terminal."""
        if self._interactive:
            if not self._streamed:
                self._terminal.end_progress()
            self._streamed += piece
            self._write(piece)

    def on_step(self, step: TraceStep) -> None:
        """A call, or a step of answering."""
        if step.action != "send_message":
            self._terminal.show_step(step)

    def show_reply(self, reply: ChatReply) -> None:
        """The reply, if it was not shown already, with its quotes."""
        self._terminal.end_progress()
        shown = self._streamed == reply.text
        if self._streamed:
            self._write("\n")
        if not shown and reply.text:
            self._write(f"{reply.text}\n")
        self._streamed = ""
        self._terminal.show_sources(reply.citations, reply.warnings)
        if self._interactive and not reply.read_documents:
            self._terminal.aside("No document was read for this reply.")
        self._write("\n")

    def cancelled(self, *, is_kept: bool) -> None:
        """A reply was cancelled."""
        if self._streamed:
            self._write("\n")
        self._streamed = ""
        self._terminal.say(
            "Stopped; the turn was complete already and is kept." if is_kept else "Cancelled. Nothing of it is kept."
        )

    def failed(self, error: Exception) -> None:
        """A line that could not be answered."""
        if self._streamed:
            self._write("\n")
        self._streamed = ""
        self._terminal.warn(str(error))

    def note(self, text: str) -> None:
        """A hint."""
        self._terminal.aside(text)

    def show(self, text: str) -> None:
        """What a command has to say."""
        self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        sys.stdout.write(_plain(text))
        sys.stdout.flush()


def memory_text(view: MemoryView) -> str:
    """What an agent holds, for people."""
    over = "the whole library" if view.documents is None else "; ".join(view.documents) or "no document any more"
    lines = [
        f"{view.agent}: {view.message_count:,} messages, of which {view.queue_count:,} are shown whole, the others "
        f"in a summary; {view.entry_count:,} entries in archival storage",
        f"Over: {over}",
    ]
    lines += [line for block, tokens in view.blocks for line in _block_lines(block, tokens)]
    if view.summary.through:
        lines.append(f"Summary of messages 1 to {view.summary.through:,}:")
        lines.append(
            _indented(view.summary.text or "withdrawn, since something in it was deleted; made anew next time")
        )
        lines += [_ledger_line(one) for one in view.ledger]
    return "\n".join(lines)


def _block_lines(block: Block, tokens: int) -> list[str]:
    about = f"notes made while text of {block.source!r} was in the window" if block.source else block.description
    head = f"{block.name} ({about}; {tokens} of {block.max_tokens} tokens)"
    return [f"{head}: empty"] if not block.text else [f"{head}:", _indented(block.text)]


def _ledger_line(summary: Summary) -> str:
    made_of = f" and of summary {summary.previous}" if summary.previous else ""
    withdrawn = ", withdrawn" if summary.withdrawn else ""
    return f"  summary {summary.number}: made of messages {summary.first:,} to {summary.through:,}{made_of}{withdrawn}"


def recalled_text(found: Sequence[Remembered]) -> str:
    """Messages found, each with its time and who said it."""
    return "\n".join(_recalled_line(one) for one in found)


def _recalled_line(one: Remembered) -> str:
    time = one.time.astimezone().strftime("%Y-%m-%d %H:%M")
    speaker = _SPEAKERS.get(one.kind.value, one.kind.value.replace("_", " "))
    text = one.text if len(one.text) <= _RECALLED_CHARACTERS else f"{one.text[:_RECALLED_CHARACTERS]}…"
    return f"{time}  {speaker}{'' if one.exact else ' (some of the words)'}\n{_indented(text)}"


def forgotten_text(forgotten: Forgotten, *, is_done: bool) -> str:
    """What was, or would be, deleted."""
    parts = [
        _counted(len(forgotten.messages), "message"),
        _counted(len(forgotten.entries), "entry of archival storage", "entries of archival storage"),
        _counted(len(forgotten.edited_blocks), "note", "notes", ", ".join(forgotten.edited_blocks)),
        _counted(len(forgotten.withdrawn_summaries), "summary", "summaries"),
    ]
    named = ", ".join(part for part in parts if part)
    if not named:
        return "Nothing that is remembered holds this text."
    if not is_done:
        return f"This deletes {named}, and whatever quotes them."
    later = "" if forgotten.erased else " Its bytes go from the file once no other program reads it."
    return f"Deleted: {named}.{later}"


def cost_text(last: Usage, session: Usage) -> str:
    """What the last turn and the session have cost."""
    return f"last reply    {_cost(last)}\nthis session  {_cost(session)}"


def _cost(usage: Usage) -> str:
    return (
        f"{usage.llm_calls} model calls · {usage.prompt_tokens:,} prompt tokens ({usage.cached_tokens:,} cached) + "
        f"{usage.completion_tokens:,} completion · {usage.seconds:.1f} s"
    )


def _counted(number: int, one: str, several: str = "", named: str = "") -> str:
    if number == 0:
        return ""
    return f"{number:,} {one if number == 1 else several or one + 's'}{f' ({named})' if named else ''}"


def _indented(text: str) -> str:
    return textwrap.indent(text, "    ")


def _plain(text: str) -> str:
    """Without the controls by which a text could play with a terminal."""
    return "".join(c if c in "\n\t" or c.isprintable() or c in "\u200c\u200d\u3000\u00a0" else "\ufffd" for c in text)
