"""Gold evidence against what a run retrieved, read, noted or cited: recall at a stage, precision of citations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from graphreader.evaluate.cases import GoldEvidence, Unit


@dataclass(frozen=True, slots=True)
class Span:
    """Characters ``[start, end)`` of a document, the page (from 1) they stand on, or both.

    What goes over several pages is given as a span for each.
    """

    document: str
    start: int | None = None
    end: int | None = None
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Cited:
    """A quote, and where it is said to stand: the whole of it, and a span for each page where there are pages."""

    span: Span
    quote: str
    pages: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitRecall:
    """How many pieces of gold evidence of one unit were found, of how many."""

    found: int
    total: int

    @property
    def share(self) -> float:
        """The part of the evidence that was found."""
        return self.found / self.total


@dataclass(frozen=True, slots=True)
class CitationPrecision:
    """Of ``count`` citations, the part that stands verbatim where it says, and that is also gold evidence, by unit."""

    count: int
    verbatim: float
    supporting: Mapping[Unit, float]


def evidence_recall(evidence: Sequence[GoldEvidence], spans: Iterable[Span]) -> dict[Unit, UnitRecall]:
    """How much of the gold evidence the spans hold, for each unit that the case has evidence of."""
    listed = list(spans)
    recalls = {}
    for unit in dict.fromkeys(piece.unit for piece in evidence):
        pieces = [piece for piece in evidence if piece.unit is unit]
        found = sum(any(holds(span, piece) for span in listed) for piece in pieces)
        recalls[unit] = UnitRecall(found, len(pieces))
    return recalls


def holds(span: Span, piece: GoldEvidence) -> bool:
    """Whether a span holds a piece of evidence: the same page, or at least half of the shorter of the two.

    So a long passage holds the sentence inside it, a quote from a section holds the section, and two neighbours that
    touch by a word do not hold each other.
    """
    if span.document != piece.document:
        return False
    if piece.start is None or piece.end is None:
        return span.page is not None and span.page == piece.page
    if span.start is None or span.end is None:
        return False
    common = min(span.end, piece.end) - max(span.start, piece.start)
    return common > 0 and 2 * common >= min(span.end - span.start, piece.end - piece.start)


def citation_precision(
    citations: Sequence[Cited], texts: Mapping[str, str], evidence: Sequence[GoldEvidence]
) -> CitationPrecision | None:
    """How good the citations of an answer are, given the documents' texts; None where there are none."""
    if not citations:
        return None
    verbatim = [cited for cited in citations if _is_verbatim(cited, texts)]
    supporting = {}
    for unit in dict.fromkeys(piece.unit for piece in evidence):
        pieces = [piece for piece in evidence if piece.unit is unit]
        good = sum(
            any(holds(span, piece) for span in (cited.span, *cited.pages) for piece in pieces) for cited in verbatim
        )
        supporting[unit] = good / len(citations)
    return CitationPrecision(len(citations), len(verbatim) / len(citations), supporting)


def _is_verbatim(cited: Cited, texts: Mapping[str, str]) -> bool:
    text = texts.get(cited.span.document, "")
    start, end = cited.span.start, cited.span.end
    return start is not None and end is not None and bool(cited.quote) and text[start:end] == cited.quote
