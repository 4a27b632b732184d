"""HTML, Word documents and EPUBs, built here."""

from __future__ import annotations

import contextlib
import io
import zipfile

import docx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphreader.errors import DamagedSourceError, EmptySourceError, EncryptedSourceError, SourceError
from graphreader.ingest.formats import archive
from graphreader.ingest.load import load_bytes
from graphreader.records import Document


def load_html(body: str, name: str = "page.html") -> Document:
    return load_bytes(body.encode(), name)


PAGE = """<!DOCTYPE html><html><head><title> The  Lighthouse </title><style>p {color: red}</style>
<script>var hidden = "never shown";</script></head><body><nav><a href="/">Home</a></nav>
<h1>A <em>bright</em>
light</h1><p>First&nbsp;paragraph<br>with a   break.</p><!-- a comment --><p>Second.</p>
<ul><li>one</li><li>two</li></ul>
<table><tr><th></th><th>2022</th><th>2023</th></tr><tr><td>Oil</td><td>$</td><td>5</td><td></td><td>(7</td><td>)</td></tr></table>
<pre>keep  this
  shape</pre><div style="display:none">secret</div><h2>End</h2>tail</body></html>"""


def test_html_is_what_a_reader_sees() -> None:
    document = load_html(PAGE)
    assert document.text == (
        "A bright light\n\nFirst\xa0paragraph\nwith a break.\n\nSecond.\n\n- one\n- two\n\n"
        "| 2022 | 2023\nOil | $5 | (7)\n\nkeep  this\n  shape\n\nEnd\n\ntail"
    )
    assert document.title == "The Lighthouse"
    assert [(h.level, h.title) for h in document.headings] == [(1, "A bright light"), (2, "End")]


def test_tables_that_lay_out_a_page_are_blocks() -> None:
    document = load_html("<table><tr><td><h1>Top</h1><p>Some text.</p></td></tr></table><p>after</p>")
    assert document.text == "Top\n\nSome text.\n\nafter"


@pytest.mark.parametrize("tag", ["table><tr><td", "div", "ul><li", "b"])
def test_deep_nesting_does_not_exhaust_the_stack(tag: str) -> None:
    document = load_html(f"<p>before</p>{f'<{tag}>' * 3000}deep")
    assert document.text.startswith("before")


@pytest.mark.parametrize(
    ("encoding", "word"), [("gb18030", "灯塔"), ("windows-1252", "phare éteint"), ("utf-16", "灯塔")]
)
def test_html_encodings(encoding: str, word: str) -> None:
    page = f'<html><head><meta charset="{encoding}"></head><body><p>{word}</p></body></html>'
    assert load_bytes(page.encode(encoding), "a.html").text == word


def test_html_is_told_by_content_where_the_name_says_nothing() -> None:
    assert load_html(PAGE, "-").media_type == "text/html"
    assert load_html("<p>hello</p>", "-").media_type == "text/plain"


@pytest.mark.parametrize(
    "body", ["<html><body></body></html>", "<!-- nothing -->", "<script>x</script>", "<!DOCTYPE html>"]
)
def test_html_without_visible_text_is_empty(body: str) -> None:
    with pytest.raises(EmptySourceError, match=r"page\.html"):
        load_html(body)


def test_html_fetches_and_includes_nothing() -> None:
    document = load_html('<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/hostname">]><p>a &x; b</p>')
    assert "&x;" in document.text


@settings(deadline=None)
@given(st.text(alphabet="<>/pbtrdhul1!- a&;\n", min_size=1))
def test_any_markup_gives_consistent_spans(body: str) -> None:
    document = load_html(f"<p>x</p>{body}")
    assert (document.pages[0].start, document.pages[-1].end) == (0, len(document.text))
    for heading in document.headings:
        assert " ".join(document.text[heading.start : heading.end].split()) == heading.title


def make_docx(title: str = "The Reservoir") -> bytes:
    document = docx.Document()
    document.core_properties.title = title
    document.add_heading("History", level=1)
    document.add_paragraph("It was dug in 1871.")
    table = document.add_table(rows=2, cols=2)
    for row, cells in zip(table.rows, (("Year", "Depth"), ("1871", "12 m")), strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    document.add_heading("Repairs", level=2)
    paragraph = document.add_paragraph("One\ttwo")
    paragraph.add_run("\nthree").bold = True
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def rewrite(data: bytes, changes: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, changes.get(name, old.read(name)))
    return buffer.getvalue()


def test_docx_in_the_order_of_the_document() -> None:
    document = load_bytes(make_docx(), "r.docx")
    assert document.text == "History\n\nIt was dug in 1871.\n\nYear | Depth\n1871 | 12 m\n\nRepairs\n\nOne\ttwo\nthree"
    assert [(h.level, h.title) for h in document.headings] == [(1, "History"), (2, "Repairs")]
    assert document.title == "The Reservoir"
    assert load_bytes(make_docx(""), "r.docx").title == "History"


def test_docx_shows_no_deleted_text_and_each_shape_once() -> None:
    w = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    mc = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    body = (
        f'<w:document xmlns:w="{w}" xmlns:mc="{mc}"><w:body><w:p><w:pPr><w:tabs><w:tab w:val="left"/></w:tabs></w:pPr>'
        "<w:r><w:t>kept </w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>added</w:t></w:r></w:ins></w:p>"
        "<mc:AlternateContent><mc:Fallback><w:p><w:r><w:t>twice</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent>"
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>in a control</w:t></w:r></w:p></w:sdtContent></w:sdt>"
        "</w:body></w:document>"
    )
    data = rewrite(make_docx(), {"word/document.xml": body.encode()})
    assert load_bytes(data, "r.docx").text == "kept added\n\nin a control"


def test_xml_entities_are_not_resolved() -> None:
    w = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY f SYSTEM "file:///etc/hostname">]>'
    body = f'{bomb}<w:document xmlns:w="{w}"><w:body><w:p><w:r><w:t>x &f; y</w:t></w:r></w:p></w:body></w:document>'
    text = load_bytes(rewrite(make_docx(), {"word/document.xml": body.encode()}), "r.docx").text
    assert text.startswith("x")
    assert len(text) < 10


CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
)
PACKAGE = (
    '<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
    "<dc:title>Tides</dc:title></metadata><manifest>"
    '<item id="b" href="two%20b.xhtml" media-type="application/xhtml+xml"/>'
    '<item id="a" href="one.xhtml" media-type="application/xhtml+xml"/>'
    '<item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/></manifest>'
    '<spine><itemref idref="n"/><itemref idref="a"/><itemref idref="b"/></spine></package>'
)


def make_epub(**extra: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as book:
        book.writestr("mimetype", "application/epub+zip")
        book.writestr("META-INF/container.xml", CONTAINER)
        book.writestr("OEBPS/book.opf", PACKAGE)
        book.writestr("OEBPS/nav.xhtml", "<html><body><p>links</p></body></html>")
        book.writestr("OEBPS/one.xhtml", '<?xml version="1.0"?><html><h1>Ebb</h1><p>The sea fell.</p></html>')
        book.writestr("OEBPS/two b.xhtml", "<html><body><h1>Flow</h1><p>It rose.</p></body></html>")
        for name, text in extra.items():
            book.writestr(name, text)
    return buffer.getvalue()


def test_epub_follows_its_spine_one_page_an_item() -> None:
    document = load_bytes(make_epub(), "tides.epub")
    assert document.text == "Ebb\n\nThe sea fell.\n\fFlow\n\nIt rose."
    assert document.title == "Tides"
    assert [document.page_at(heading.start) for heading in document.headings] == [1, 2]
    assert document.pages[0].end == document.pages[1].start == document.text.index("Flow")


def test_a_protected_epub_says_so() -> None:
    encryption = (
        '<encryption xmlns:enc="http://www.w3.org/2001/04/xmlenc#">'
        '<enc:EncryptedData><enc:CipherData><enc:CipherReference URI="OEBPS/one.xhtml"/></enc:CipherData>'
        "</enc:EncryptedData></encryption>"
    )
    with pytest.raises(EncryptedSourceError, match=r"tides\.epub.*protect"):
        load_bytes(make_epub(**{"META-INF/encryption.xml": encryption}), "tides.epub")


@pytest.mark.parametrize(("data", "name"), [(make_docx(), "cut.docx"), (make_epub(), "cut.epub")])
def test_a_truncated_container_is_damaged(data: bytes, name: str) -> None:
    for length in (100, len(data) // 2, len(data) - 30):
        with pytest.raises(DamagedSourceError, match="cut"):
            load_bytes(data[:length], name)


def test_malformed_xml_names_the_part() -> None:
    with pytest.raises(DamagedSourceError, match=r"r\.docx.*word/document\.xml"):
        load_bytes(rewrite(make_docx(), {"word/document.xml": b"<w:document><unclosed>"}), "r.docx")


def test_a_zip_bomb_is_refused_before_it_expands() -> None:
    bomb = rewrite(make_docx(), {"word/document.xml": b" " * 3_000_000})
    with pytest.raises(DamagedSourceError, match="expand"):
        archive.Archive(bomb, "bomb.docx", max_total_bytes=1_000_000).read("word/document.xml")


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(make_epub()) - 1), st.integers(0, 255)), max_size=8))
def test_flipped_bytes_in_a_container_load_or_are_a_source_error(flips: list[tuple[int, int]]) -> None:
    data = bytearray(make_epub())
    for place, value in flips:
        data[place] = value
    with contextlib.suppress(SourceError):
        document = load_bytes(bytes(data), "noise.epub")
        assert "".join(document.text[page.start : page.end] for page in document.pages) == document.text
