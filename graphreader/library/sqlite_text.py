"""Texts: a document's in compressed blocks, everyone else's as what they add to their span of it.

A passage's or a fact's text mostly *is* its span, so a row keeps only what differs. ``form`` says how to get the text
back: ``VERBATIM`` and ``COLLAPSED`` are the span, as it is or with each run of white space made one space, after the
row's own text, if any (a passage's title and headings). ``SPACED`` has spaces that the span lacks, as between Chinese
sentences: their offsets come before the own text. ``OWN`` is the row's text alone.
"""

from __future__ import annotations

import zlib
from itertools import pairwise

import apsw

from graphreader.library.sqlite_memory import TextBlocks

VERBATIM, COLLAPSED, SPACED, OWN = range(4)

_AFTER_SPACES = "|"

#: Reading a passage decompresses one block. Blocks four times as long take 7% less space, and four times as long.
BLOCK_CHARACTERS = 16_384


def pack(text: str) -> bytes:
    """Compressed UTF-8. Raises ``UnicodeEncodeError`` for lone surrogates."""
    return zlib.compress(text.encode("utf-8"))


def unpack(blob: bytes) -> str:
    """The reverse of ``pack``."""
    return zlib.decompress(blob).decode("utf-8")


def blocks(text: str) -> list[bytes]:
    """A document's text as compressed blocks of ``BLOCK_CHARACTERS``."""
    return [pack(text[start : start + BLOCK_CHARACTERS]) for start in range(0, len(text), BLOCK_CHARACTERS)]


def whole_text(db: apsw.Connection, document: int) -> str:
    """A document's text."""
    rows = db.execute("SELECT text FROM text_blocks WHERE document = ? ORDER BY number", (document,))
    return "".join(unpack(blob) for (blob,) in rows)


class Spans:
    """Reads spans of documents within one transaction, keeping the last blocks decompressed.

    ``blocks`` outlives the transaction: see ``sqlite_memory``.
    """

    def __init__(self, db: apsw.Connection, blocks: TextBlocks | None = None) -> None:
        self._db = db
        self._blocks = blocks or TextBlocks()

    def read(self, document: int, start: int, stop: int) -> str:
        """The characters from ``start`` to ``stop`` (half-open) of a document's text."""
        first = start // BLOCK_CHARACTERS
        last = max(start, stop - 1) // BLOCK_CHARACTERS
        text = "".join(self._block(document, number) for number in range(first, last + 1))
        return text[start - first * BLOCK_CHARACTERS : stop - first * BLOCK_CHARACTERS]

    def _block(self, document: int, number: int) -> str:
        place = (document, number)
        text = self._blocks.get(place)
        if text is None:
            row = self._db.execute("SELECT text FROM text_blocks WHERE document = ? AND number = ?", place).fetchone()
            text = "" if row is None else unpack(row[0])
            self._blocks.put(place, text)
        return text


def shorten(text: str, span: str) -> tuple[int, str | None]:
    """What a row must keep of a text that rests on ``span``: (form, own text)."""
    collapsed = " ".join(span.split())
    for form, known in ((VERBATIM, span), (COLLAPSED, collapsed)):
        if text == known:
            return form, None
        if known and text.endswith(known):
            return form, text[: len(text) - len(known)]
    spaces = _added_spaces(text, collapsed)
    if spaces is None:
        return OWN, text
    lead = text[: len(text) - len(collapsed) - len(spaces)]
    return SPACED, ",".join(map(str, spaces)) + _AFTER_SPACES + lead


def _added_spaces(text: str, collapsed: str) -> list[int] | None:
    """Offsets into ``collapsed`` before which ``text`` has one more space, or None where it differs otherwise."""
    spaces = []
    place = len(text)
    for offset in range(len(collapsed) - 1, -1, -1):
        place -= 1
        if place > 0 and text[place] == " " != collapsed[offset]:
            spaces.append(offset + 1)
            place -= 1
        if place < 0 or text[place] != collapsed[offset]:
            return None
    return spaces[::-1] or None


def restore(form: int, own: str | None, span: str) -> str:
    """The reverse of ``shorten``."""
    own = own or ""
    if form == OWN:
        return own
    if form == VERBATIM:
        return own + span
    collapsed = " ".join(span.split())
    if form == COLLAPSED:
        return own + collapsed
    offsets, _, lead = own.partition(_AFTER_SPACES)
    cuts = [0, *map(int, offsets.split(",")), len(collapsed)]
    return lead + " ".join(collapsed[start:end] for start, end in pairwise(cuts))
