"""The questions that went worst, told so that one can see why: what was asked, said, cited, and step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphreader.errors import GraphReaderError
from graphreader.evaluate.record import Record
from graphreader.evaluate.report.compare import Compared

_SHOWN = 8
#: Below this a question went badly.
_BAD = 0.5
_MAX_STEPS = 80
_MAX_TEXT = 600
_MAX_DETAIL = 240
#: Details of steps that are places in a document: their number is told.
_PLACES = frozenset({"evidence", "found", "notes", "shown"})


def worst_of(rows: Sequence[Compared]) -> dict[str, list[dict[str, Any]]]:
    """Of each run the questions that failed, then those scored lowest; first those that another run answered well."""
    best: dict[tuple[str, str], float] = {}
    for row in rows:
        for record in row.records:
            key = (row.dataset, record.id)
            best[key] = max(best.get(key, 0.0), _score(record))

    def badness(row: Compared, record: Record) -> tuple[bool, float, float, str]:
        return not record.failed, _score(record), -best[row.dataset, record.id], record.id

    found = {}
    for row in rows:
        bad = [record for record in row.records if record.failed or _score(record) < _BAD]
        chosen = sorted(bad, key=lambda record: badness(row, record))[:_SHOWN]
        found[row.name] = [_told(row, record) for record in chosen]
    return found


def _score(record: Record) -> float:
    return record.scores.get("score", 0.0)


def _told(row: Compared, record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "question": _cut(record.question),
        "gold": [_cut(gold) for gold in record.gold] if record.gold_answerable else ["(no answer in the documents)"],
        "answer": _cut(record.answer),
        "error": f"{record.error['type']}: {_cut(record.error['message'])}" if record.error else "",
        "score": _score(record),
        "stages": {stage: max(units.values()) for stage, units in record.evidence.items() if units},
        "citations": [
            {"document": citation["document"], "page": citation["page"], "quote": _cut(citation["quote"])}
            for citation in record.citations
        ],
        "warnings": [_cut(warning) for warning in record.warnings],
        "cost": f"{record.usage.get('llm_calls', 0):,} calls, "
        f"{record.usage.get('prompt_tokens', 0) + record.usage.get('completion_tokens', 0):,} tokens",
        "steps": _steps(row, record),
    }


def _steps(row: Compared, record: Record) -> list[dict[str, str]]:
    trace = _trace(row, record)
    steps = [
        {"actor": str(step.get("actor", "")), "action": str(step.get("action", "")), "detail": _detail(step)}
        for step in trace[:_MAX_STEPS]
        if isinstance(step, Mapping)
    ]
    if len(trace) > _MAX_STEPS:
        steps.append({"actor": "", "action": f"and {len(trace) - _MAX_STEPS} more", "detail": record.trace})
    return steps


def _trace(row: Compared, record: Record) -> list[Any]:
    """The steps in a trace file; none where it is gone, or names a place outside of its folder."""
    import json

    path = (row.folder / record.trace).resolve()
    if not path.is_relative_to(row.folder.resolve()):
        raise GraphReaderError(
            f"{row.folder}: the record of {record.id!r} names a trace outside of it, {record.trace}."
        )
    try:
        trace = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return trace if isinstance(trace, list) else []


def _detail(step: Mapping[str, Any]) -> str:
    detail = step.get("detail", {})
    if not isinstance(detail, Mapping):
        return ""
    words = []
    for name, value in detail.items():
        if name in _PLACES and isinstance(value, list):
            words.append(f"{name}: {len(value)} place{'' if len(value) == 1 else 's'}")
        elif isinstance(value, float):
            words.append(f"{name}: {value:.3g}")
        else:
            told = "; ".join(str(item) for item in value) if isinstance(value, list) else str(value)
            words.append(f"{name}: {_cut(told, _MAX_DETAIL)}")
    return ", ".join(words)


def _cut(text: str, most: int = _MAX_TEXT) -> str:
    return text if len(text) <= most else f"{text[:most].rstrip()} …"
