"""LoCoMo (https://github.com/snap-research/locomo): questions of very long conversations, gold by turn.

A conversation is one document: its sessions under their dates, a line for each turn with its day, as in the benchmark's
own retrieval; a shared photo is given by its caption. Category 5 asks for what was never said: the right answer is that
there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from pydantic import BaseModel, Field

from graphreader.evaluate.cases import Case, Dataset, Part, SourceText, Unit
from graphreader.evaluate.datasets.rows import Label, Row, parse
from graphreader.evaluate.datasets.texts import part_evidence

#: As in the benchmark's evaluation script.
_CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
_OPEN_DOMAIN = 3
_ADVERSARIAL = 5
_SESSION = re.compile(r"session_(\d+)")
#: Evidence is now and then written as "D8:6; D9:17" or "D30:05".
_TURN = re.compile(r"D(\d+):(\d+)")
#: "1:56 pm on 8 May, 2023"; what zone it is in is not said.
_DATE = "%I:%M %p on %d %B, %Y"


class _Question(BaseModel):
    question: str = Field(min_length=1)
    answer: str | int | float | None = None
    category: int
    evidence: list[str] = []


class _Turn(BaseModel):
    speaker: str
    dia_id: str
    text: str
    blip_caption: Label = ""


class _Sample(BaseModel):
    sample_id: Label = ""
    qa: list[_Question]


class _Session(BaseModel):
    turns: list[_Turn]


def recognises(row: Row) -> bool:
    """Whether a row is a conversation of this format."""
    return {"qa", "conversation"} <= row.value.keys()


def read(rows: list[Row]) -> Dataset:
    """The dataset; the label is the category. Evidence that names a turn which does not exist is no gold."""
    documents: dict[str, SourceText] = {}
    cases = []
    for number, row in enumerate(rows):
        sample = parse(row, _Sample)
        key = sample.sample_id or f"conversation-{number}"
        document = _conversation(row, key)
        documents[key] = document
        for index, item in enumerate(sample.qa):
            if item.category != _ADVERSARIAL and item.answer is None:
                raise row.error(("qa", index, "answer"), "it is missing")
            cases.append(_case(f"{key}#{index}", item, document))
    return Dataset("locomo", tuple(cases), documents)


def _case(identity: str, item: _Question, document: SourceText) -> Case:
    answerable = item.category != _ADVERSARIAL
    parts = {part.key: part for part in document.parts}
    turns = [_turn_key(found) for listed in item.evidence for found in _TURN.finditer(listed)]
    found = [parts[turn] for turn in dict.fromkeys(turns) if turn in parts]
    return Case(
        identity,
        item.question,
        (_gold(item),) if answerable else (),
        (document.key,),
        answerable=answerable,
        evidence=tuple(part_evidence(document, part, Unit.TURN) for part in found) if answerable else (),
        labels={"type": _CATEGORIES.get(item.category, str(item.category))},
    )


def _gold(item: _Question) -> str:
    """The answer that the benchmark's script scores: in category 3 what follows a semicolon gives the reason for it."""
    answer = str(item.answer)
    return answer.split(";")[0].strip() if item.category == _OPEN_DOMAIN else answer


def _conversation(row: Row, key: str) -> SourceText:
    conversation = row.value["conversation"]
    if not isinstance(conversation, dict):
        raise row.error(("conversation",), "it is not an object")
    text = ""
    parts = []
    for number, name in _sessions(conversation):
        when = conversation.get(f"{name}_date_time", "")
        time = _time(str(when))
        text += f"Session {number}{f', {when}' if when else ''}\n\n"
        day = "" if time is None else f" ({time.day} {time:%B %Y})"
        place = (*row.place, "conversation")
        session = parse(Row(row.file, {"turns": conversation[name]}, row.line, place), _Session)
        for turn in session.turns:
            photo = f" [photo: {turn.blip_caption}]" if turn.blip_caption else ""
            said = f"{turn.speaker}{day}: {' '.join(turn.text.split())}{photo}"
            match = _TURN.match(turn.dia_id)
            parts.append(Part(_turn_key(match) if match else turn.dia_id, len(text), len(text) + len(said), time))
            text += f"{said}\n\n"
    speakers = " and ".join(str(conversation[side]) for side in ("speaker_a", "speaker_b") if side in conversation)
    return SourceText(key, f"Conversation of {speakers}" if speakers else key, text, parts=tuple(parts))


def _time(when: str) -> datetime | None:
    try:
        return datetime.strptime(when.strip(), _DATE).replace(tzinfo=UTC)
    except ValueError:
        return None


def _sessions(conversation: Iterable[str]) -> list[tuple[int, str]]:
    found = [(match, name) for name in conversation if (match := _SESSION.fullmatch(name))]
    return sorted((int(match[1]), name) for match, name in found)


def _turn_key(match: re.Match[str]) -> str:
    return f"D{int(match[1])}:{int(match[2])}"
