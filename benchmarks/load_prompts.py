"""What the load test asks, on every path the same, and its figures. Pure."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.record_lines import Row, markdown_table

#: Digits in the reply that a schema asks for: with their commas and brackets about twice as many tokens.
REPLY_DIGITS: Final = 24
#: Room for that reply, and the length of a free one.
REPLY_TOKENS: Final = 64
SYSTEM: Final = "You read lists of observations and answer in the form you are asked for."
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "digits": {
            "type": "array",
            "items": {"enum": list(range(10))},
            "minItems": REPLY_DIGITS,
            "maxItems": REPLY_DIGITS,
        }
    },
    "required": ["digits"],
    "additionalProperties": False,
}
_PLACES: Final = "harbour mill orchard quarry station chapel meadow bridge school forge".split()
_THINGS: Final = "barrels lanterns horses carts letters bells ropes ladders baskets stones".split()

#: Each path's name, and the path it is compared with: the same replies, straight from the engine.
PATHS: Final = {"engine": "engine", "http": "engine", "engine+schema": "engine+schema", "batch": "engine+schema"}
DESCRIPTIONS: Final = {
    "engine": "in-process engine, free replies",
    "http": "server through the OpenAI client, free replies",
    "engine+schema": "in-process engine, replies by a schema",
    "batch": "our batch path (gate, client, server), replies by the same schema",
}


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement's place: which path, how many requests at once, in which round."""

    round: int
    concurrency: int
    path: str


def prompt_of(seed: str, lines: int) -> str:
    """The user's message: a list made by chance, different from its first words on, so that no prefix is cached."""
    generator = random.Random(seed)
    listed = [
        f"{generator.randrange(1000, 9999)} {generator.choice(_THINGS)} at the {generator.choice(_PLACES)}, "
        f"seen on day {generator.randrange(1, 366)}."
        for _ in range(lines)
    ]
    return "\n".join(listed) + f"\n\nGive {REPLY_DIGITS} digits that occur in the list."


def points_of(rounds: int, concurrencies: Sequence[int]) -> list[Point]:
    """All measurements in their order: within a round the paths follow each other, and each round begins with another
    one, so that a machine that slows down slows all of them.
    """
    names = list(PATHS)
    return [
        Point(round_, concurrency, names[(place + round_) % len(names)])
        for round_ in range(rounds)
        for concurrency in concurrencies
        for place in range(len(names))
    ]


def report(rows: Sequence[Row]) -> str:
    """Medians over the rounds. Ratios to the engine are taken within each round, then their median."""
    at = {(row["round"], row["concurrency"], row["path"]): row for row in rows}
    made = []
    for concurrency in sorted({row["concurrency"] for row in rows}):
        for path, base in PATHS.items():
            own = [row for row in rows if (row["concurrency"], row["path"]) == (concurrency, path)]
            if not own:
                continue
            pairs = [(row, at.get((row["round"], concurrency, base))) for row in own]
            speed = [_rate(row, "requests") / _rate(other, "requests") for row, other in pairs if other]
            cpu = [_cpu(row) / _cpu(other) for row, other in pairs if other and _cpu(other)]
            made.append(
                [
                    concurrency,
                    DESCRIPTIONS[path],
                    f"{statistics.median(_rate(row, 'requests') for row in own):.2f}",
                    f"{statistics.median(_rate(row, 'completion_tokens') for row in own):.1f}",
                    f"{statistics.median(_rate(row, 'prompt_tokens') for row in own):,.0f}",
                    _share(speed) if path != base else "",
                    f"{statistics.median(_cpu(row) for row in own):.3f}",
                    _client(own),
                    _share(cpu) if path != base else "",
                ]
            )
    header = ("at once", "path", "requests/s", "reply tokens/s", "prompt tokens/s", "of the engine's", "CPU s/request")
    return markdown_table((*header, "of it client", "of the engine's"), made)


def _rate(row: Row, name: str) -> float:
    return float(row[name] / row["seconds"])


def _cpu(row: Row) -> float:
    return float(row["cpu_seconds"] / row["requests"])


def _client(rows: Sequence[Row]) -> str:
    """Milliseconds of processor time in our process, for a request; the engine's paths have none."""
    known = [1000 * row["client_cpu_seconds"] / row["requests"] for row in rows if "client_cpu_seconds" in row]
    return f"{statistics.median(known):.1f} ms" if known else ""


def _share(ratios: Sequence[float]) -> str:
    """The median, and the range where there are several rounds."""
    if not ratios:
        return ""
    spread = f" ({min(ratios):.0%} to {max(ratios):.0%})" if len(ratios) > 1 else ""
    return f"{statistics.median(ratios):.0%}{spread}"
