"""Sizes as people write and read them: 80GiB, 128k."""

from __future__ import annotations

import re

from graphreader.errors import PlanError

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)
_BYTE_UNITS = {
    "": 1,
    "b": 1,
    **{f"{letter}{tail}": 1000**power for power, letter in enumerate("kmgt", 1) for tail in ("b",)},
    **{f"{letter}{tail}": 1024**power for power, letter in enumerate("kmgt", 1) for tail in ("", "ib", "i")},
}
_TOKEN_UNITS = {"": 1, "k": 1024, "m": 1024**2}
GIB = 1024**3


def parse_bytes(text: str) -> int:
    """``80GiB`` (or ``80G``) and ``80GB`` in bytes. Raises ``PlanError``."""
    return _parse(text, _BYTE_UNITS, "a size such as 80GiB or 24GB")


def parse_tokens(text: str) -> int:
    """``128k`` is 131,072 tokens, as windows are counted. Raises ``PlanError``."""
    return _parse(text, _TOKEN_UNITS, "a number of tokens such as 131072 or 128k")


def bytes_text(count: float) -> str:
    """In the largest binary unit that keeps it above 1."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:,.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:,.0f} TiB" if count >= 100 else f"{count:.3g} TiB"


def tokens_text(count: int) -> str:
    """``128k`` where it is whole, else the number."""
    return f"{count // 1024}k" if count >= 1024 and count % 1024 == 0 else f"{count:,}"


def _parse(text: str, units: dict[str, int], wanted: str) -> int:
    match = _SIZE.fullmatch(text)
    unit = units.get(match[2].lower()) if match else None
    if match is None or unit is None or (value := int(float(match[1]) * unit)) <= 0:
        raise PlanError(f"{text!r} is not {wanted}.")
    return value
