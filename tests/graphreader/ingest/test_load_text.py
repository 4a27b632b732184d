"""Plain text and Markdown: encodings, verbatim text, headings, pages."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphreader.errors import EmptySourceError, UnsupportedSourceError
from graphreader.ingest.load import load_bytes
from graphreader.records import Document

CHINESE = "第一回 灵根育孕源流出\n\n    话说海外有一国土，名曰傲来国。国近大海，海中有一座名山，唤为花果山。\n" * 8
TRADITIONAL = "話說海外有一國土，名曰傲來國。國近大海，海中有一座名山，喚為花果山。\n" * 8
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗い所で泣いていた。\n" * 8
FRENCH = (
    "L’été, la côte s’éveille à l’aube ; les pêcheurs déjà s’éloignent, « bon vent ! » crie le phare où naît l’aube.\n"
    * 8
)
GERMAN = (
    "Über die Brücke führen große Wege, müde Wanderer grüßen schöne Mädchen; später fällt die Dämmerung über Köln.\n"
    * 8
)
POLISH = "Zażółć gęślą jaźń; w Szczebrzeszynie chrząszcz brzmi w trzcinie, a żaba śpi. Święta są późno tego roku.\n" * 8
KOREAN = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 이성과 양심을 부여받았다.\n" * 8
RUSSIAN = "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.\n" * 8


def load_text(text: str, name: str = "a.txt") -> Document:
    return load_bytes(text.encode(), name)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *((CHINESE, encoding) for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030")),
        *((JAPANESE, encoding) for encoding in ("shift_jis", "euc_jp")),
        *((GERMAN, encoding) for encoding in ("latin-1", "utf-16-le", "utf-16-be", "utf-32-be")),
        *((RUSSIAN, encoding) for encoding in ("cp1251", "koi8-r")),
        (TRADITIONAL, "big5"),
        (KOREAN, "cp949"),
        (POLISH, "cp1250"),
        (FRENCH, "cp1252"),
    ],
)
def test_common_encodings_come_out_as_they_were_written(text: str, encoding: str) -> None:
    assert load_bytes(text.encode(encoding), "a.txt").text == text


@settings(deadline=None)
@given(st.text(min_size=1).filter(lambda text: text.isprintable() and text.strip()))
def test_printable_text_is_verbatim(text: str) -> None:
    document = load_text(text)
    assert document.text == text.removeprefix("\ufeff")
    assert [(page.start, page.end) for page in document.pages] == [(0, len(document.text))]


def test_only_line_ends_and_controls_change() -> None:
    assert load_text("ﬁrst\r\nsecond\rthird\tx ² Ⅳ\n").text == "ﬁrst\nsecond\nthird\tx ² Ⅳ\n"
    assert (
        load_text("a long enough line with one stray \x00 and one \x07 in text" + " and so on" * 30).text.count("\x00")
        == 0
    )


def test_form_feeds_end_pages() -> None:
    document = load_text("one\ftwo\fthree")
    assert [document.text[page.start : page.end] for page in document.pages] == ["one\f", "two\f", "three"]
    assert document.page_at(document.text.index("two")) == 2
    assert len(load_text("one\ftwo\f").pages) == 2


def test_chapters_are_headings_and_a_list_of_them_is_not() -> None:
    titles = [f"CHAPTER {n}. The {word}" for n, word in enumerate(("Bag", "Inn", "Street", "Chapel", "Sermon"), 1)]
    listing = "\n\n".join(titles[:-1]) + f"\n\n{titles[-1]}\n\n"
    body = "".join(f"{title}\n\nIt was a chapter of events. I thought so.\n\n" for title in titles)
    document = load_text(f"A BOOK\n\nBy somebody or other.\n\nCONTENTS\n\n{listing}{body}")
    found = [heading.title for heading in document.headings]
    assert found[-4:] == titles[1:]
    assert all(found.count(title) <= 1 for title in titles[:-1])
    assert all(document.text[h.start : h.end] == h.title for h in document.headings)


def test_parts_stand_above_chapters() -> None:
    document = load_text("PART ONE\n\nCHAPTER I\n\nText here.\n\nCHAPTER II\n\nMore text.\n")
    assert [(h.level, h.title) for h in document.headings] == [(1, "PART ONE"), (2, "CHAPTER I"), (2, "CHAPTER II")]


@pytest.mark.parametrize(
    "line",
    [
        "Chapter and verse were quoted, and he went on.",
        "He wept.",
        "第一回见面时，他笑了。",
        "12 men went out.",
        "“NO!”",
        "I.",
    ],
)
def test_prose_is_no_heading(line: str) -> None:
    assert load_text(f"Some text.\n\n{line}\n\nMore text.\n").headings == ()


def test_chinese_chapters() -> None:
    assert {h.title for h in load_text(CHINESE).headings} == {"第一回 灵根育孕源流出"}


def test_title_is_the_file_name_where_the_text_has_none() -> None:
    assert load_text("CHAPTER 1. Loomings\n\nCall me Ishmael.\n", "whale.txt").title == "whale"


MARKDOWN = """---
title: "The Mill"
---
# First *things* #

Text.

```
# not a heading
```

Second
thing
------

> # quoted

    # indented code

### Third\t
"""


def test_markdown_is_unchanged_and_its_headings_are_found() -> None:
    document = load_text(MARKDOWN, "mill.md")
    assert document.text == MARKDOWN
    assert document.title == "The Mill"
    assert [(h.level, h.title) for h in document.headings] == [(1, "First *things*"), (2, "Second thing"), (3, "Third")]
    assert document.media_type == "text/markdown"


@settings(deadline=None)
@given(st.text(alphabet="#-= \n>ab`*\t1.\f", min_size=1).filter(str.strip))
def test_markdown_spans_hold_their_titles(text: str) -> None:
    document = load_text(text, "a.md")
    assert document.text == text
    assert "".join(text[page.start : page.end] for page in document.pages) == text
    for heading in document.headings:
        assert " ".join(document.text[heading.start : heading.end].split()) == heading.title


@pytest.mark.parametrize("word", ["Zürich", "Málaga", "naïve café"])
def test_a_few_words_are_enough(word: str) -> None:
    assert load_bytes(word.encode("cp1252"), "a.txt").text == word


@pytest.mark.parametrize("data", [b"", b" \n\t ", b"\xef\xbb\xbf", "\u3000\n".encode()])
def test_empty_text_is_an_empty_source(data: bytes) -> None:
    with pytest.raises(EmptySourceError, match=r"nothing\.txt"):
        load_bytes(data, "nothing.txt")


def test_noise_is_not_text() -> None:
    noise = bytes((i * 7919 + i * i * 31) % 256 for i in range(4000))
    with pytest.raises(UnsupportedSourceError, match=r"noise\.txt") as caught:
        load_bytes(noise, "noise.txt")
    assert re.search("UTF-8", str(caught.value))
