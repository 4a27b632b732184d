"""One question in one mode, asked and scored: a line of ``records.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """``answerable`` is what the answer says (None where there is no answer), ``gold_answerable`` what is right.

    ``scores``, and ``evidence`` (the share of the gold evidence at each stage, by unit), are from 0 to 1; a question
    that failed has zeros and ``error`` with ``type`` and ``message``. ``usage`` is the cost; ``replayed_calls`` of its
    calls were kept from before, so that its seconds say little. ``context_tokens`` is how long the documents of the
    question are together, ``trace`` the file of its steps, relative to the folder of the run.
    """

    id: str
    mode: str
    question: str
    gold: tuple[str, ...]
    answer: str
    answerable: bool | None
    citations: tuple[Mapping[str, Any], ...]
    scores: Mapping[str, float]
    evidence: Mapping[str, Mapping[str, float]]
    usage: Mapping[str, float]
    error: Mapping[str, str] | None
    trace: str
    gold_answerable: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    context_tokens: int = 0
    replayed_calls: int = 0
    stopped_by: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """What no two records of a run have in common: the question and the mode."""
        return self.id, self.mode

    @property
    def failed(self) -> bool:
        """Whether there is no answer, because of an error."""
        return self.error is not None


_NAMES = {entry.name for entry in fields(Record)}
_TUPLES = ("gold", "citations", "warnings")


def line_of(record: Record) -> str:
    """A record as a line of JSON, without its end."""
    return json.dumps(asdict(record), ensure_ascii=False)


def record_of(line: str) -> Record:
    """The record that a line holds. Raises ``ValueError`` where it holds none."""
    value = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    known = {name: entry for name, entry in value.items() if name in _NAMES}
    for name in _TUPLES:
        known[name] = tuple(known.get(name, ()))
    try:
        return Record(**known)
    except TypeError as error:
        raise ValueError(str(error)) from error
