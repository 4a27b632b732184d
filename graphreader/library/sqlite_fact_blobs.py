"""Facts as bytes: a passage's in one blob, by numbers of variable length (seven bits a byte, the lowest first).

Ten bytes or so a fact, where a row for it and rows for its key elements would take a hundred.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

#: An id is mostly its chunk's with one of these and a number behind it.
_USUAL_ENDS = ("-s", "-m")
_OTHER_END = len(_USUAL_ENDS)
_USUAL = re.compile(r"(-[sm])(0|[1-9][0-9]{0,17})")


@dataclass(frozen=True, slots=True)
class StoredFact:
    """A fact as it is stored. ``keys`` are (row of the key element, number of the spelling), in the fact's order."""

    id_suffix: str
    start: int
    stop: int
    form: int
    text: str | None
    keys: tuple[tuple[int, int], ...]


def pack_facts(facts: Iterable[StoredFact]) -> bytes | None:
    """The blob of a group's facts, in the order of the text; None for none."""
    numbers = bytearray()
    before = 0
    for fact in sorted(facts, key=lambda fact: (fact.start, fact.stop)):
        usual = _USUAL.fullmatch(fact.id_suffix)
        end = _USUAL_ENDS.index(usual[1]) if usual else _OTHER_END
        _put(numbers, fact.form | (fact.text is not None) << 2 | end << 3)
        _put(numbers, fact.start - before)
        _put(numbers, fact.stop - fact.start)
        before = fact.start
        if usual:
            _put(numbers, int(usual[2]))
        else:
            _put_text(numbers, fact.id_suffix)
        if fact.text is not None:
            _put_text(numbers, fact.text)
        _put(numbers, len(fact.keys))
        for key, spelling in fact.keys:
            _put(numbers, key << 1 | (spelling > 0))
            if spelling:
                _put(numbers, spelling)
    return bytes(numbers) or None


def unpack_facts(blob: bytes | None) -> list[StoredFact]:
    """The reverse of ``pack_facts``."""
    return list(_facts(blob)) if blob else []


def _facts(blob: bytes) -> Iterator[StoredFact]:
    at, before = 0, 0
    while at < len(blob):
        (first, delta, length), at = _take(blob, at, 3)
        end = first >> 3
        if end == _OTHER_END:
            suffix, at = _take_text(blob, at)
        else:
            (number,), at = _take(blob, at, 1)
            suffix = f"{_USUAL_ENDS[end]}{number}"
        text: str | None = None
        if first & 4:
            text, at = _take_text(blob, at)
        (count,), at = _take(blob, at, 1)
        keys = []
        for _ in range(count):
            (key,), at = _take(blob, at, 1)
            spelling = 0
            if key & 1:
                (spelling,), at = _take(blob, at, 1)
            keys.append((key >> 1, spelling))
        before += delta
        yield StoredFact(suffix, before, before + length, first & 3, text, tuple(keys))


def _put(numbers: bytearray, number: int) -> None:
    while number > 127:
        numbers.append(number & 127 | 128)
        number >>= 7
    numbers.append(number)


def _put_text(numbers: bytearray, text: str) -> None:
    encoded = text.encode("utf-8")
    _put(numbers, len(encoded))
    numbers += encoded


def _take(blob: bytes, at: int, count: int) -> tuple[Sequence[int], int]:
    found = []
    for _ in range(count):
        number, shift = blob[at] & 127, 7
        while blob[at] > 127:
            at += 1
            number |= (blob[at] & 127) << shift
            shift += 7
        at += 1
        found.append(number)
    return found, at


def _take_text(blob: bytes, at: int) -> tuple[str, int]:
    (length,), at = _take(blob, at, 1)
    return blob[at : at + length].decode("utf-8"), at + length
