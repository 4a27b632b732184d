"""What an explorer sees in one step: its notebook, what it read before, and what it reads now, within a fixed window.

This is a window of tiered memory (``memory.window``; MemGPT, arXiv 2310.08560). The notebook is working context, what
was read is the queue. Where the window is full the oldest readings make way, and of them the prompt names only the
place. State and trace hold them as spans, so what has scrolled out can still be cited.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any, TypeVar

from pydantic import BaseModel

from graphreader.agent.context import RunContext
from graphreader.agent.schemas import Schema
from graphreader.agent.state import ExplorerState
from graphreader.errors import ContextTooLongError
from graphreader.llm.measured import earlier_tokens
from graphreader.llm.memory_model import MemoryModel
from memory import clipped, fit
from memory.errors import BudgetError
from memory.main_context import View
from memory.paging import longest
from memory.queue import QueueLimits
from memory.records import AgentState, Block, Item, Kind, PromptMessage, Summary
from memory.window import Frame, Window
from prompts import Prompt, render

ReplyT = TypeVar("ReplyT", bound=BaseModel)

#: What a line of a list costs at most beside its text, by the model's own count.
_LINE = "(999) (999) chunk A\n\n"
#: Of the window; the notebook shows the newest notes that this holds.
_NOTEBOOK_SHARE = 0.15
_MAX_NOTES_SHOWN = 6
_NOTEBOOK = "notes"
_QUEUE_LIMITS = QueueLimits(max_summary_tokens=100)
#: What naming the places takes, with the words around them.
_PUT_AWAY_TOKENS = _QUEUE_LIMITS.max_summary_tokens + 20
#: Requests show no time, so all times are the same.
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StepPrompt:
    """The prompt of a step: its file, the name of the variable that lists what is read, and its other variables."""

    name: str
    listing: str
    variables: Mapping[str, Any]
    reply_tokens: int


@dataclass(frozen=True, slots=True)
class _Reading:
    place: str
    text: str


def room_for_reading(context: RunContext, state: ExplorerState, step: StepPrompt) -> int:
    """Tokens that rules, question and notebook leave for what is read. Raises ``ContextTooLongError`` if none."""
    model = _model(context)
    used = model.count_prompt_tokens(_drawn(context, state, step, _notebook(context, state), [], [], ""))
    room = model.window_tokens - step.reply_tokens - used - _PUT_AWAY_TOKENS
    if room <= _line_tokens(context):
        raise ContextTooLongError(used, step.reply_tokens, model.window_tokens)
    return room


def lines_that_fit(context: RunContext, texts: Sequence[str], max_tokens: int) -> list[str]:
    """As many of ``texts``, best first, as fit: at least one, if need be only its beginning."""
    count, line = context.count_tokens(), _line_tokens(context)
    lines = [*(clipped(text, count, max_tokens - line) for text in texts[:1]), *texts[1:]]
    return lines[: fit(lines, count, max_tokens, line)]


def parts_that_fit(
    context: RunContext, document_id: str, spans: Sequence[tuple[int, int]], max_tokens: int
) -> list[tuple[int, int]]:
    """The spans, those parted that are too large for a line of their own."""
    count, most = context.count_tokens(), max_tokens - _line_tokens(context)
    parts: list[tuple[int, int]] = []
    for start, end in spans:
        while count([context.text(document_id, start, end)])[0] > most:

            def fits(length: int, start: int = start) -> bool:
                return count([context.text(document_id, start, start + length)])[0] <= most

            middle = start + max(longest(end - start, fits), 1)
            parts.append((start, middle))
            start = middle
        parts.append((start, end))
    return parts


async def ask(
    context: RunContext,
    state: ExplorerState,
    step: StepPrompt,
    entries: Sequence[Any],
    reply_type: type[ReplyT],
    schema: Schema,
) -> ReplyT:
    """The reply to a step whose listing shows ``entries``. Raises what ``Gate.ask`` raises."""
    window = _window(context, state, step, entries)
    try:
        # An explorer notes what it reads in the same step, so nothing has to be saved before it scrolls out.
        messages = await window.request(warn=False)
    except BudgetError as error:
        model = window.frame.model
        raise ContextTooLongError(error.needed_tokens, step.reply_tokens, model.window_tokens) from error
    prompt = Prompt(messages[0].content, messages[1].content)
    return await context.gate.ask(prompt, reply_type, schema, max_tokens=step.reply_tokens)


def _window(context: RunContext, state: ExplorerState, step: StepPrompt, entries: Sequence[Any]) -> Window:
    model = _model(context)
    notes = Block(_NOTEBOOK, "\n".join(_notebook(context, state)), model.window_tokens)

    def draw(view: View) -> list[PromptMessage]:
        shown = [
            item.item.text if item.characters is None else item.item.text[: item.characters] for item in view.queue
        ]
        noted = view.blocks[0][0].text.splitlines()
        return _drawn(context, state, step, noted, entries if shown else [], shown[1:-1], view.summary.text)

    frame = Frame(
        model,
        _name_places,
        model.window_tokens - step.reply_tokens,
        blocks=(notes,),
        queue_limits=_QUEUE_LIMITS,
        clock=lambda: _NO_TIME,
        render=draw,
    )
    put_away, earlier = _parted(context, _readings(context, state))
    window = Window(frame, AgentState(f"explorer {state['explorer']}", summary=Summary(text=put_away)))
    window.add(Item(Kind.USER_MESSAGE, context.question, _NO_TIME))
    for reading in earlier:
        window.add(Item(Kind.TIMED, f"{reading.place}: {reading.text}", _NO_TIME, reading.place))
    window.add(Item(Kind.TIMED, "\n".join(str(entry) for entry in entries), _NO_TIME, "here"))
    return window


def _drawn(
    context: RunContext,
    state: ExplorerState,
    step: StepPrompt,
    notes: Sequence[str],
    entries: Sequence[Any],
    earlier: Sequence[str],
    put_away: str,
) -> list[PromptMessage]:
    prompt = render(
        step.name,
        **step.variables,
        **{step.listing: entries},
        earlier=earlier,
        put_away=put_away,
        notes=notes,
        question=context.question,
        plan=state["plan"],
    )
    return [PromptMessage("system", prompt.system), PromptMessage("user", prompt.user)]


def _line_tokens(context: RunContext) -> int:
    return context.count_tokens()([_LINE])[0]


def _model(context: RunContext) -> MemoryModel:
    return MemoryModel(context.gate.model, context.limits.window_tokens)


def _notebook(context: RunContext, state: ExplorerState) -> list[str]:
    """The newest notes that their share of the window holds, oldest first."""
    most = int(_NOTEBOOK_SHARE * _model(context).window_tokens)
    newest = state["notes"][: -_MAX_NOTES_SHOWN - 1 : -1]
    texts = [context.text(note["document_id"], note["start"], note["end"]) for note in newest]
    texts = [clipped(text, context.count_tokens(), most) for text in texts]
    return texts[: fit(texts, context.count_tokens(), most)][::-1]


def _readings(context: RunContext, state: ExplorerState) -> list[_Reading]:
    """What the explorer was shown in earlier steps, oldest first."""
    readings = []
    for entry in state["trace"]:
        shown = entry["detail"].get("shown", ())
        if not shown:
            continue
        text = " ".join(context.text(document, start, end) for document, start, end in shown)
        readings.append(_Reading(_place(context, entry["detail"]), text))
    return readings


def _parted(context: RunContext, readings: Sequence[_Reading]) -> tuple[str, Sequence[_Reading]]:
    """The places of those too old to be shown again, and the newest ones that are."""
    count = context.count_tokens()
    totals = accumulate(count([reading.text for reading in readings[::-1]]))
    most = earlier_tokens(context.limits, context.gate.model.name)
    shown = sum(total <= most for total in totals)
    older = readings[: len(readings) - shown]
    places = "; ".join(dict.fromkeys(reading.place for reading in older[::-1]))
    return clipped(places, count, _QUEUE_LIMITS.max_summary_tokens), readings[len(older) :]


def _place(context: RunContext, detail: Mapping[str, Any]) -> str:
    if "chunk" in detail:
        document = context.documents[context.chunk(detail["chunk"]).document_id]
        return f"{document.title}, page {detail['page']}"
    return f'facts about "{detail["node"]}"'


async def _name_places(previous: str, messages: Sequence[str], max_tokens: int) -> str:
    """The summary of readings that scroll out: where they stand. No model is asked: the notes hold what counts."""
    places = [json.loads(message).get("quoted_from") for message in messages]
    named = [place for place in places if place]
    return "; ".join(dict.fromkeys([*filter(None, previous.split("; ")), *named])) or "nothing"
