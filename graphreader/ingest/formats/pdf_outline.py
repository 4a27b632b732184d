"""The headings that a PDF's outline (its bookmarks) names, found again on their pages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from graphreader.ingest.formats.content import DEEPEST_LEVEL
from graphreader.ingest.formats.pdf_lines import HeadingLines, Line, OutlineEntry

_MIN_ENTRIES = 3
# An outline with fewer found entries than one to so many pages leaves out most headings.
_PAGES_PER_ENTRY = 8
_MAX_ROWS = 3
# How many letters the line may have more than the bookmark: a number in front.
_MAX_EXTRA_LETTERS = 12


def locate_outline(
    outline: Sequence[OutlineEntry], lines: Sequence[Line], furniture: Collection[int], page_count: int
) -> list[HeadingLines]:
    """The outline as headings in the order of the text; empty where it is missing or too coarse to be of use."""
    by_page: dict[int, list[int]] = defaultdict(list)
    for index, line in enumerate(lines):
        if index not in furniture:
            by_page[line.page_index].append(index)
    found: dict[int, HeadingLines] = {}
    taken: set[int] = set()
    for entry in outline:
        wanted = _letters(entry.title)
        if not wanted:
            continue
        spans = (_find(wanted, by_page[page], lines, taken) for page in (entry.page_index, entry.page_index + 1))
        span = next((span for span in spans if span is not None), None)
        if span is not None:
            taken.update(range(span[0], span[1] + 1))
            found[span[0]] = HeadingLines(min(entry.level, DEEPEST_LEVEL), *span)
    if len(found) < max(_MIN_ENTRIES, page_count / _PAGES_PER_ENTRY):
        return []
    return [found[first] for first in sorted(found)]


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()


def _find(wanted: str, indices: Sequence[int], lines: Sequence[Line], taken: Collection[int]) -> tuple[int, int] | None:
    """The run of up to three lines that holds just these letters, perhaps after a number; the largest type wins."""
    best: tuple[float, int, int] | None = None
    for position, first in enumerate(indices):
        letters = ""
        for last in indices[position : position + _MAX_ROWS]:
            # Lines between two of a page that are furniture would be covered by the heading's span.
            if last in taken or last - first >= _MAX_ROWS:
                break
            letters += _letters(lines[last].text)
            if len(letters) > len(wanted) + _MAX_EXTRA_LETTERS:
                break
            if _is_title(letters, wanted) and (best is None or lines[first].size > best[0]):
                best = (lines[first].size, first, last)
    return None if best is None else (best[1], best[2])


def _is_title(letters: str, wanted: str) -> bool:
    if letters == wanted:
        return True
    longer, shorter = (letters, wanted) if len(letters) > len(wanted) else (wanted, letters)
    extra = longer[: len(longer) - len(shorter)]
    # Only a number may be missing on one side ("3.1", "Chapter 4", "IV").
    return bool(shorter) and longer.endswith(shorter) and len(extra) <= _MAX_EXTRA_LETTERS and _is_number(extra)


def _is_number(extra: str) -> bool:
    rest = extra.removeprefix("chapter").removeprefix("section").removeprefix("item").removeprefix("part")
    return rest.isdigit() or rest[:-1].isdigit() or set(rest) <= set("ivxlc") or (len(rest) == 1)
