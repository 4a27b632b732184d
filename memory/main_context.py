"""Main context: what one request shows of an agent's memory, and in what form.

One system message holds the instructions, the functions and working context. Then comes the queue, its first entry the
recursive summary, and last how much lies in the stores: what changes with every request stands at its end, so that the
rest is a prefix that servers keep. All but the calls are JSON packages that say what they are: whatever a text holds,
it cannot end its package and pass for another one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from memory.records import Block, Item, Json, Kind, PromptMessage, Summary

#: Marks of chat templates. A tokenizer takes them for its own wherever they stand, so their first character is written
#: as JSON's escape for it.
_MARKS = re.compile(r"<(?=[|\uff5c<]|/?[a-z_]{1,24}>)|\[(?=/?[A-Z_]{3,24}\])")
_MAX_SOURCE, _MAX_SOURCES = 120, 3
_ASSISTANT = frozenset({Kind.CALL, Kind.REPLY})
_STRUCTURED = frozenset({Kind.RESULT, Kind.READING})


@dataclass(frozen=True, slots=True)
class Shown:
    """A message in the queue. ``characters``: how much of its text is shown, None for all."""

    item: Item
    characters: int | None = None


@dataclass(frozen=True, slots=True)
class View:
    """All that a request is made of."""

    instructions: str
    functions: str
    blocks: tuple[tuple[Block, int], ...]  # with the tokens of their text
    message_count: int
    entry_count: int
    excerpt_count: int
    time: datetime
    summary: Summary
    queue: tuple[Shown, ...]


def request(view: View) -> list[PromptMessage]:
    """The messages of a request: system, then user and assistant in turns, as every chat template accepts them."""
    messages = [PromptMessage("system", _system(view))]
    opening = [*_summary(view.summary), *(_about(block) for block, _ in view.blocks if block.source is not None)]
    said = [("user", text) for text in opening] + [
        ("assistant" if shown.item.kind in _ASSISTANT else "user", package(shown)) for shown in view.queue
    ]
    if said and said[0][0] == "assistant":
        said.insert(0, ("user", _packed({"type": "note", "text": "What was said before is not shown."})))
    said.append(("user", _now(view)))
    for role, text in said:
        if messages[-1].role == role:
            messages[-1] = replace(messages[-1], content=f"{messages[-1].content}\n{text}")
        else:
            messages.append(PromptMessage(role, text))
    return messages


def package(shown: Shown) -> str:
    """A message as the model is shown it."""
    item, length = shown.item, shown.characters
    text = item.text if length is None else item.text[:length]
    cut: dict[str, Json] = {} if length is None else {
        "cut": f"Only the beginning is shown. The rest: recall_read, message {item.number}, from_character {length}."
    }  # fmt: skip
    if item.kind is Kind.REPLY:
        return _packed({"function": "send_message", "message": text, **cut})
    if item.kind is Kind.CALL:
        return _marks_escaped(text) if length is None else _packed({"function": "", "call": text, **cut})
    labels: dict[str, Json] = {"type": item.kind.value, "time": item.time.isoformat(sep=" ", timespec="minutes")}
    if item.source is not None:
        labels["quoted_from"] = short_source(item.source)
    if item.kind in _STRUCTURED:
        return _packed({**labels, "result": json.loads(text) if length is None else text, **cut})
    return _packed({**labels, "text": text, **cut})


def _system(view: View) -> str:
    parts = [view.instructions, "Functions. Reply with one JSON object that calls one of them:", view.functions]
    parts.append("Working context:")
    parts += [_block(block, tokens) for block, tokens in view.blocks if block.source is None]
    return "\n".join(part for part in parts if part)


def _now(view: View) -> str:
    # The counts tell that there is something to search for.
    return _packed(
        {
            "type": "now",
            "time": view.time.isoformat(sep=" ", timespec="minutes"),
            "messages_in_recall_storage": view.message_count,
            "entries_in_archival_storage": view.entry_count,
            "excerpts_of_documents": view.excerpt_count,
        }
    )


def _block(block: Block, tokens: int) -> str:
    described: dict[str, Json] = {"about": block.description} if block.description else {}
    return _packed({"block": block.name, **described, "tokens": f"{tokens}/{block.max_tokens}", "text": block.text})


def _about(block: Block) -> str:
    return _packed(
        {"type": "notes_about_document", "quoted_from": short_source(block.source or ""), "text": block.text}
    )


def _summary(summary: Summary) -> list[str]:
    if summary.through == 0:
        return []
    if summary.withdrawn or not summary.text:
        text: dict[str, Json] = {"text": "There is no summary of them. Search recall storage."}
    else:
        text = {"quoted_from": several_sources(sorted(summary.sources))} if summary.sources else {}
        text["text"] = summary.text
    return [_packed({"type": "summary_of_earlier_messages", "messages": f"1-{summary.through}", **text})]


def _packed(content: dict[str, Json]) -> str:
    return _marks_escaped(json.dumps(content, ensure_ascii=False))


def _marks_escaped(content: str) -> str:
    return _MARKS.sub(lambda mark: f"\\u{ord(mark[0]):04x}", content)


def short_source(source: str) -> str:
    """A document's name at a length that a window can afford."""
    return source if len(source) <= _MAX_SOURCE else f"{source[: _MAX_SOURCE - 1]}…"


def several_sources(sources: Sequence[str]) -> str:
    """Some documents' names, and how many there are beside them."""
    more = len(sources) - _MAX_SOURCES
    named = "; ".join(short_source(source) for source in sources[:_MAX_SOURCES])
    return f"{named}; and {more} more" if more > 0 else named


def shown_sources(view: View) -> list[str]:
    """The documents whose text, or what was made of it, the request shows; the latest last."""
    sources = sorted(view.summary.sources) + [block.source for block, _ in view.blocks if block.source is not None]
    sources += [shown.item.source for shown in view.queue if shown.item.source is not None]
    return list(dict.fromkeys(reversed(sources)))[::-1]


def packages(items: Sequence[Item]) -> list[str]:
    """Messages as the model is shown them, whole."""
    return [package(Shown(item)) for item in items]
