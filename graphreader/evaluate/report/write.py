"""The report as files: ``report.html``, which needs nothing else, and ``report.json`` with the same numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from graphreader.errors import GraphReaderError
from graphreader.evaluate.folder import write_json
from graphreader.evaluate.report.compare import Compared, compared, report_data
from graphreader.evaluate.report.plot import Point, plot_of
from graphreader.evaluate.report.worst import worst_of
from graphreader.evaluate.run import read_run
from graphreader.evaluate.scoring import STAGES

PAGE, DATA = "report.html", "report.json"
#: A drawing for wide windows, and one that can be read on a phone, where numbers stand for names.
_WIDE, _NARROW = (860, 400), (360, 340)
#: Scores in the order of the table's columns, with what they are called there.
_COLUMNS = {
    "em": "EM",
    "f1": "F1",
    "rouge_l": "ROUGE-L",
    "contains": "contains",
    "keyword_f1": "keyword F1",
    "choice": "choice",
    "lr1": "LR-1",
    "lr2": "LR-2",
    "answerable": "answerable",
    "citation_verbatim": "quotes verbatim",
    "citation_supporting": "quotes on gold",
}


def write_report(folders: Sequence[Path], out: Path) -> tuple[Path, Path]:
    """Write the report of the runs in ``folders`` to ``out``; the paths of the page and of the data.

    Raises ``GraphReaderError`` for a folder that holds no run, and where ``out`` cannot be written to.
    """
    runs = [read_run(folder) for folder in {folder.resolve(): folder for folder in folders}.values()]
    rows = compared(runs)
    data = report_data(runs, rows)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / PAGE).write_text(page_of(rows, data), encoding="utf-8")
        write_json(out / DATA, data)
    except OSError as error:
        raise GraphReaderError(f"Cannot write to {out} ({error.strerror}). Name another folder with --out.") from error
    return out / PAGE, out / DATA


def page_of(rows: Sequence[Compared], data: Mapping[str, Any]) -> str:
    """The page. Whatever comes from documents, questions or models enters as text and is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": _percent, "number": _number, "chance": _chance, "breakable": _breakable}
    points = [_point(row) for row in rows if "score" in row.summary["scores"]]
    numbered = [replace(point, label=str(number)) for number, point in enumerate(points, start=1)]
    units = dict.fromkeys(unit for row in rows for stage in row.summary["evidence"].values() for unit in stage)
    comparisons = [pair | {"measured": _measured(pair)} for pair in data["comparisons"]]
    leading = _leading(rows, comparisons)
    recalls = [_recall_name(stage, unit) for unit in units for stage in STAGES]
    # The drawings and the style are made here and hold only what was escaped: they are markup.
    return (
        environment.from_string(_asset("report.html")).render(
            style=Markup(_asset("report.css")),
            plots=Markup(plot_of(points, *_WIDE, "wide") + plot_of(numbered, *_NARROW, "narrow")),
            title=" and ".join(dict.fromkeys(row.dataset for row in rows if row.dataset)) or "Runs",
            runs=data["runs"],
            columns={
                name: title for name, title in _COLUMNS.items() if any(name in row.summary["scores"] for row in rows)
            },
            comparisons=comparisons,
            leading=list(leading.values()),
            first_pairs=[pair for pair in comparisons if leading[pair["dataset"]] in (pair["first"], pair["second"])],
            measures={
                "scores": _held(comparisons, "scores", _COLUMNS.values()),
                "evidence": _held(comparisons, "evidence", recalls),
            },
            groups=data["groups"],
            stages=STAGES,
            units=list(units),
            worst=worst_of(rows),
            folders=[folder | {"flat": _flat(folder["settings"])} for folder in data["folders"]],
            several=len({row.dataset for row in rows}) > 1,
        )
        + "\n"
    )


def _asset(name: str) -> str:
    return (files("graphreader.evaluate.report") / "assets" / name).read_text(encoding="utf-8")


def _point(row: Compared) -> Point:
    cost, score = row.summary["cost"], row.summary["scores"]["score"]
    tokens = cost["prompt_tokens"]["mean"] + cost["completion_tokens"]["mean"]
    return Point(row.name, row.name, tokens, score["mean"], score["low"], score["high"])


def _measured(pair: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What the two differ by besides the main score, by the names of the page."""
    return {
        "scores": {_COLUMNS[name]: found for name, found in pair["scores"].items() if name in _COLUMNS},
        "evidence": {
            _recall_name(stage, unit): found
            for stage, units in pair["evidence"].items()
            for unit, found in units.items()
        },
    }


def _recall_name(stage: str, unit: str) -> str:
    return f"{unit}s {stage}"


def _held(comparisons: Sequence[Mapping[str, Any]], kind: str, names: Iterable[str]) -> list[str]:
    """Those of the names that any two runs are compared by."""
    return [name for name in names if any(name in pair["measured"][kind] for pair in comparisons)]


def _leading(rows: Sequence[Compared], comparisons: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Of each dataset the first run that any other is compared with."""
    paired = {name for pair in comparisons for name in (pair["first"], pair["second"])}
    found: dict[str, str] = {}
    for row in rows:
        if row.name in paired:
            found.setdefault(row.dataset, row.name)
    return found


def _chance(p_value: float) -> str:
    return f"{p_value:.3f}" if p_value >= 0.001 else "< 0.001"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _breakable(name: str) -> Markup:
    """A name with places to break its line, which a copy of it has not: behind folders, settings and words."""
    return Markup(re.sub(r"/|_|\.(?!\d)", r"\g<0><wbr>", str(escape(name))))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.1f}"


def _flat(value: Any, name: str = "") -> dict[str, str]:  # noqa: ANN401 - JSON values
    """Nested settings as one level, ``settings.search.max_prompt_tokens``."""
    if isinstance(value, dict):
        pairs = (_flat(inner, f"{name}.{key}" if name else str(key)) for key, inner in value.items())
        return {key: text for inner in pairs for key, text in inner.items()}
    return {name.removeprefix("identity."): str(value)}
