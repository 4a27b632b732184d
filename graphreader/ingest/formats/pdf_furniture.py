"""Running headers and footers of a PDF: what repeats from page to page at the edges."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from graphreader.ingest.formats.content import collapse
from graphreader.ingest.formats.pdf_lines import Line

# Lines looked at from each edge of a page, by height and by order: some programs write a footer first.
_EDGE_ROWS = 3
_MIN_PAGES = 3
_MIN_SHARE = 0.25
# What repeats must do so at one height, or on half of all pages: a recurring heading does neither.
_STEADY_SHARE = 0.5
# A band at one height is a running header's where that share of pages have a line in it, and that share of those
# lines are seen again in it. So headers that change with the chapter are found, first lines of the body are not.
_BAND_SHARE = 0.4
_BAND_REPEATING_SHARE = 0.7
_DIGITS = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(r"[-–—\s]*(?:(\d{1,4})|([ivxl]{1,7}))[-–—\s]*", re.I)
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50}


def find_furniture(lines: Sequence[Line], page_count: int) -> frozenset[int]:
    """Indices of the lines that are furniture. Digits do not tell lines apart, so page numbers may change."""
    edges = _edge_lines(lines)
    groups = _alike(lines, edges)
    repeated = _repeated(lines, groups.values(), page_count)
    return frozenset(repeated | _page_numbers(lines, edges) | _in_bands(lines, edges, groups))


def _edge_lines(lines: Sequence[Line]) -> list[int]:
    by_page: dict[int, list[int]] = defaultdict(list)
    for index, line in enumerate(lines):
        by_page[line.page_index].append(index)
    edges: list[int] = []
    for indices in by_page.values():
        by_height = sorted(indices, key=lambda i: lines[i].y)
        ends = (by_height[:_EDGE_ROWS], by_height[-_EDGE_ROWS:], indices[:2], indices[-2:])
        edges += sorted({index for end in ends for index in end})
    return edges


def _masked(text: str) -> str:
    return _DIGITS.sub("#", collapse(text)).casefold()


def _has_words(text: str) -> bool:
    return sum(map(str.isalpha, text)) >= 2


def _alike(lines: Sequence[Line], edges: Iterable[int]) -> dict[str, list[int]]:
    """The lines of words by what they are without digits; rows of tables are left out."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index in edges:
        if _has_words(lines[index].text):
            groups[_masked(lines[index].text)].append(index)
    return {text: group for text, group in groups.items() if not _holds_amounts([lines[index] for index in group])}


def _repeated(lines: Sequence[Line], groups: Iterable[list[int]], page_count: int) -> set[int]:
    """Lines of words that stand at an edge of many pages."""
    found: set[int] = set()
    for indices in groups:
        on_pages = len({lines[index].page_index for index in indices})
        at_one_height = Counter(round(lines[index].y) for index in indices).most_common(1)[0][1]
        is_steady = at_one_height >= _STEADY_SHARE * len(indices) or on_pages >= _STEADY_SHARE * page_count
        if on_pages >= max(_MIN_PAGES, _MIN_SHARE * page_count) and is_steady:
            found.update(indices)
    return found


def _holds_amounts(repeats: Sequence[Line]) -> bool:
    """Whether a number in lines that are else alike is a value: it changes often, but not as page numbers do."""
    for values in zip(*(_DIGITS.findall(line.text) for line in repeats), strict=True):
        numbers = [int(value[:9]) for value in values]
        shifts = Counter(number - line.page_index for number, line in zip(numbers, repeats, strict=True))
        is_counting = shifts.most_common(1)[0][1] >= len(repeats) / 2
        if not is_counting and len(set(numbers)) > len(repeats) / 2:
            return True
    return False


def _page_numbers(lines: Sequence[Line], edges: Iterable[int]) -> set[int]:
    """Lone numbers at an edge that grow with the page: amounts of a table do not."""
    shifts: dict[int, int] = {}
    for index in edges:
        match = _PAGE_NUMBER.fullmatch(lines[index].text)
        number = 0 if match is None else int(match[1]) if match[1] else _roman_value(match[2])
        if number:
            shifts[index] = number - lines[index].page_index
    counts = Counter(shifts.values())
    return {index for index, shift in shifts.items() if counts[shift] >= _MIN_PAGES}


def _roman_value(numeral: str) -> int:
    values = [_ROMAN[letter] for letter in numeral.lower()]
    return sum(-v if v < max(values[i:]) else v for i, v in enumerate(values))


def _in_bands(lines: Sequence[Line], edges: Sequence[int], groups: dict[str, list[int]]) -> set[int]:
    """Headers that change with the chapter: in a band that nearly only such lines use."""
    bands: dict[int, list[int]] = defaultdict(list)
    for index in edges:
        if _has_words(lines[index].text):
            bands[round(lines[index].y)].append(index)
    page_count = len({line.page_index for line in lines})
    found: set[int] = set()
    for indices in bands.values():
        seen = Counter(_masked(lines[index].text) for index in indices)
        repeating = [i for i in indices if (text := _masked(lines[i].text)) in groups and seen[text] >= 2]
        on_pages = len({lines[index].page_index for index in indices})
        if on_pages < max(_MIN_PAGES, _BAND_SHARE * page_count):
            continue
        if len(repeating) >= _BAND_REPEATING_SHARE * len(indices):
            found.update(repeating)
    return found
