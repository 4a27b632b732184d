"""Documents built from what datasets hold: paragraphs, sections and sentences, with their places in the text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from graphreader.evaluate.cases import GoldEvidence, Part, SourceText, Unit
from graphreader.text.sentences import sentence_spans

#: From this share of its letters on, a text is Chinese. A few Han characters do not make one.
_MIN_HAN_SHARE = 0.3
_SAMPLE_CHARACTERS = 20_000


def document_key(name: str, text: str) -> str:
    """A key that is the same wherever the same text has the same name."""
    return f"{name}/{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def of_pieces(title: str, pieces: Iterable[tuple[str, str]], *, gap: str, key: str | None = None) -> SourceText:
    """A document of named pieces under its title, ``gap`` between them where they do not bring their own space."""
    text = f"{title}\n\n" if title else ""
    parts: list[Part] = []
    for name, piece in pieces:
        if parts and not (text[-1:].isspace() or piece[:1].isspace()):
            text += gap
        start = len(text) + len(piece) - len(piece.lstrip())
        text += piece
        parts.append(Part(name, min(start, len(text)), max(start, len(text.rstrip()))))
    return SourceText(key or document_key(title, text), title, text, parts=tuple(parts))


def of_paragraph(title: str, text: str) -> SourceText:
    """A document of one paragraph under its title."""
    return of_pieces(title, [("0", text)], gap="")


def whole_paragraph(title: str, text: str) -> SourceText:
    """A document of one paragraph whose title is no part of its text."""
    part = Part("0", 0, len(text))
    return SourceText(document_key(title, text), title, text, parts=(part,))


def whole_text(key: str, title: str, text: str) -> SourceText:
    """A document whose text is what the dataset gives, without parts."""
    return SourceText(key, title, text)


def part_evidence(document: SourceText, part: Part, unit: Unit) -> GoldEvidence:
    """A part of a document as gold evidence."""
    return GoldEvidence(document.key, unit, part.start, part.end)


def body_evidence(document: SourceText) -> GoldEvidence:
    """All parts of a document, from the first to the last, as one passage of gold evidence."""
    return GoldEvidence(document.key, Unit.PASSAGE, document.parts[0].start, document.parts[-1].end)


def sentence_evidence(document: SourceText, start: int, end: int) -> GoldEvidence:
    """The sentences that hold the characters ``[start, end)``."""
    within = next((part for part in document.parts if part.start <= start < part.end), None)
    low, high = (within.start, within.end) if within else (0, len(document.text))
    spans = [span for span in sentence_spans(document.text, low, high) if span[0] < end and span[1] > start]
    if spans:
        start, end = min(start, spans[0][0]), max(end, spans[-1][1])
    return GoldEvidence(document.key, Unit.SENTENCE, start, end)


def language_of(texts: Iterable[str]) -> str:
    """The language as far as metrics care: "zh" where characters are compared (Chinese, Japanese), else "en"."""
    sample = "".join(text[:500] for text in texts)[:_SAMPLE_CHARACTERS]
    letters = [character for character in sample if character.isalpha()]
    han = sum("\u4e00" <= character <= "\u9fff" for character in letters)
    kana = sum("\u3040" <= character <= "\u30ff" for character in letters)
    return "zh" if letters and (han + kana) / len(letters) >= _MIN_HAN_SHARE else "en"


def find_file(name: str, *folders: Path) -> Path | None:
    """The file called ``name`` in the first of the folders that has it, or in one directly under them."""
    for folder in folders:
        for path in (folder / name, *sorted(folder.glob(f"*/{_escaped(name)}"))):
            if path.is_file():
                return path
    return None


def _escaped(name: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)
