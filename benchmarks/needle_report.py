"""Tables and heat map of a needle test, from its records."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.heat_map import Band, HeatMap, draw
from benchmarks.record_lines import Row, markdown_table

NAMES: Final = {"native": "native", "yarn": "YaRN", "linear": "PI", "ntk": "NTK"}
_BEGIN: Final = "<!-- tables of benchmarks.needle -->"
_END: Final = "<!-- end of tables -->"
#: Log-probabilities below this have one colour: the word is as unlikely as any.
_LOW_LOGPROB: Final = -10.0

CellKey = tuple[str, int, float]


@dataclass(frozen=True, slots=True)
class Cell:
    """All questions of one variant, length and depth. ``logprob`` is the mean, ``first`` how often no other possible
    answer was likelier.
    """

    asked: int
    found: int
    first: int
    logprob: float


def cells_of(rows: Sequence[Row]) -> dict[CellKey, Cell]:
    """The cells, by variant, length and depth."""
    asked: dict[CellKey, list[Row]] = defaultdict(list)
    for row in rows:
        for needle in row["needles"]:
            asked[row["variant"], row["length"], needle["depth"]].append(needle)
    return {key: _cell(needles) for key, needles in asked.items()}


def tables(rows: Sequence[Row], cells: Mapping[CellKey, Cell]) -> str:
    """A table of variants and lengths, and one that has the depths too."""
    names = {name: place for place, name in enumerate(NAMES)}
    pairs = sorted({(variant, length) for variant, length, _ in cells}, key=lambda pair: (names[pair[0]], pair[1]))
    depths = sorted({depth for _, _, depth in cells})
    words = max(row["words"] for row in rows)
    whole, by_depth = [], []
    for variant, length in pairs:
        own = [row for row in rows if (row["variant"], row["length"]) == (variant, length)]
        cell = _cell([needle for row in own for needle in row["needles"]])
        seconds = statistics.median(row["read_cpu_seconds"] for row in own)
        name = [NAMES[variant], f"{length:,}"]
        whole.append(
            [
                *name,
                f"{cell.found} of {cell.asked} ({cell.found / cell.asked:.0%})",
                f"{cell.first / cell.asked:.0%}",
                f"{cell.logprob:.2f}",
                f"{seconds:,.0f}",
            ]
        )
        at = [cells.get((variant, length, depth)) for depth in depths]
        by_depth.append([*name, *(f"{one.found}/{one.asked} ({one.logprob:.1f})" if one else "" for one in at)])
    first_header = ("variant", "tokens", "found", f"first of {words} words", "mean log-probability", "CPU s to read")
    return (
        markdown_table(first_header, whole)
        + "\nFound of those asked (mean log-probability) at each depth:\n\n"
        + markdown_table(("variant", "tokens", *(f"{depth:.0%}" for depth in depths)), by_depth)
    )


def write(folder: Path, rows: Sequence[Row], cells: Mapping[CellKey, Cell], variants: Sequence[str]) -> None:
    """needle.png, and the tables in needle.md between its marks (at its end where it has none)."""
    folder.mkdir(parents=True, exist_ok=True)
    image = draw(bands_of(cells, variants), "depth", "tokens in the prompt")
    image.quantize(128).save(folder / "needle.png", optimize=True)  # a third of the size, and looks the same
    page = folder / "needle.md"
    text = page.read_text(encoding="utf-8") if page.exists() else "# Needle test\n"
    page.write_text(with_tables(text, tables(rows, cells)), encoding="utf-8")


def with_tables(text: str, made: str) -> str:
    """``text`` with what stands between the marks replaced, or both appended."""
    before, mark, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2] if mark else "\n"
    return f"{before.rstrip()}\n\n{_BEGIN}\n\n{made}\n{_END}{after}"


def bands_of(cells: Mapping[CellKey, Cell], variants: Sequence[str]) -> list[Band]:
    """What is drawn: the share found above, the mean log-probability below."""
    lengths = sorted({length for _, length, _ in cells})
    depths = sorted({depth for _, _, depth in cells})

    def panels(value: str) -> list[HeatMap]:
        return [
            HeatMap(
                NAMES[variant],
                [f"{depth:.0%}" for depth in depths],
                [f"{length / 1024:g}k" for length in lengths],
                [[_value(cells.get((variant, length, depth)), value) for length in lengths] for depth in depths],
            )
            for variant in variants
        ]

    return [
        Band("Needles found, share of those asked", panels("found"), 0.0, 1.0, 2),
        Band("Mean log-probability of the needle's word", panels("logprob"), _LOW_LOGPROB, 0.0, 1),
    ]


def _value(cell: Cell | None, name: str) -> float | None:
    if cell is None:
        return None
    return cell.logprob if name == "logprob" else cell.found / cell.asked


def _cell(needles: Sequence[Row]) -> Cell:
    return Cell(
        asked=len(needles),
        found=sum(needle["found"] for needle in needles),
        first=sum(needle["rank"] == 1 for needle in needles),
        logprob=statistics.fmean(needle["logprob"] for needle in needles),
    )
