"""PDFs made here with reportlab: text, pages, headings, furniture, and everything that is wrong with PDFs."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from graphreader.errors import DamagedSourceError, EmptySourceError, EncryptedSourceError, SourceError
from graphreader.ingest.load import load_bytes
from graphreader.records import Document

WORDS = "The harbour of Port Ellery was rebuilt after the flood and its warehouses were let to new tenants".split()


def make_pdf(draw: Callable[[Canvas], None], **options: object) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(400, 600), invariant=1, **options)
    draw(canvas)
    canvas.save()
    return buffer.getvalue()


def sentence(number: int) -> str:
    return " ".join(WORDS[number % 7 :] + WORDS[: number % 7]) + "."


def draw_report(canvas: Canvas, page_count: int = 8) -> None:
    canvas.setTitle("Annual Review of the Harbour")
    for page in range(1, page_count + 1):
        canvas.setFont("Helvetica", 9)
        canvas.drawString(40, 580, "Harbour Trust - Annual Review")
        canvas.drawString(190, 20, f"Page {page} of {page_count}")
        canvas.setFont("Helvetica-Bold", 16)
        canvas.drawString(40, 540, f"Story of the Year Number {'abcdefghij'[page]}".title())
        canvas.setFont("Helvetica-Bold", 10)
        canvas.drawString(40, 510, f"Works in the {'abcdefghij'[page].upper()} Basin")
        canvas.setFont("Helvetica", 10)
        for row in range(6):
            canvas.drawString(40, 490 - 12 * row - (12 if row > 2 else 0), sentence(page * 6 + row)[:70])
        canvas.setFont("Helvetica-Bold", 10)
        canvas.drawString(200, 300, "2022")
        canvas.drawString(260, 300, "2023")
        canvas.setFont("Helvetica", 10)
        canvas.drawString(40, 288, "Tolls received")
        canvas.drawString(200, 288, f"{page * 37 % 11},204")
        canvas.drawString(260, 288, f"{page * 53 % 17},377")
        canvas.showPage()


@pytest.fixture(scope="module")
def report() -> Document:
    return load_bytes(make_pdf(draw_report), "review.pdf")


def test_pages_cover_the_text_and_hold_their_own_words(report: Document) -> None:
    assert [page.number for page in report.pages] == list(range(1, 9))
    assert "".join(report.text[page.start : page.end] for page in report.pages) == report.text
    for page in report.pages:
        assert f"Page {page.number} of 8" in report.text[page.start : page.end]


def test_rows_stay_rows_and_gaps_part_paragraphs(report: Document) -> None:
    assert "Tolls received 4,204 2,377" in report.text
    first_page = report.text[report.pages[0].start : report.pages[0].end]
    lengths = [paragraph.count("\n") + 1 for paragraph in first_page.split("\n\n")]
    # Header and title, subtitle, two paragraphs of three rows, the table with the footer.
    assert lengths[2:4] == [3, 3]


def test_headings_by_type_size_and_weight(report: Document) -> None:
    by_level = {level: [h.title for h in report.headings if h.level == level] for level in (1, 2)}
    assert by_level[1] == [f"Story Of The Year Number {letter}" for letter in "BCDEFGHI"]
    assert by_level[2] == [f"Works in the {letter} Basin" for letter in "BCDEFGHI"]
    for heading in report.headings:
        assert " ".join(report.text[heading.start : heading.end].split()) == heading.title


def test_headers_and_footers_are_furniture_and_tables_are_not(report: Document) -> None:
    furniture = [report.text[start:end] for start, end in report.furniture]
    assert furniture.count("Harbour Trust - Annual Review") == 8
    assert sum(text.startswith("Page ") for text in furniture) == 8
    assert len(furniture) == 16


def test_headers_that_change_with_the_chapter_are_furniture() -> None:
    def draw(canvas: Canvas) -> None:
        for page in range(12):
            canvas.setFont("Helvetica", 8)
            canvas.drawString(40, 580, ("Of Whales", "Of Ships", "Of Men")[page // 4])
            canvas.setFont("Helvetica", 10)
            for row in range(5):
                canvas.drawString(40, 540 - 12 * row, f"{'abcdefghijklm'[page]} {sentence(page + row)[:60]}")
            canvas.showPage()

    document = load_bytes(make_pdf(draw), "book.pdf")
    assert [document.text[a:b] for a, b in document.furniture] == ["Of Whales"] * 4 + ["Of Ships"] * 4 + ["Of Men"] * 4


def test_lone_amounts_at_the_foot_are_no_page_numbers() -> None:
    def draw(canvas: Canvas) -> None:
        for page, amount in enumerate((71, 12, 55, 30)):
            canvas.drawString(40, 500, f"Ledger {'abcd'[page]} of the estate")
            canvas.drawString(40, 40, str(amount))
            canvas.drawString(40, 20, str(page + 9))
            canvas.showPage()

    document = load_bytes(make_pdf(draw), "ledger.pdf")
    assert [document.text[a:b] for a, b in document.furniture] == ["9", "10", "11", "12"]


def test_the_outline_gives_the_headings_where_there_is_one() -> None:
    def draw(canvas: Canvas) -> None:
        for number, title in enumerate(("Arrival", "The long winter", "Departure"), 1):
            canvas.bookmarkPage(str(number))
            canvas.addOutlineEntry(title, str(number), level=0 if number < 3 else 1)
            canvas.drawString(40, 560, f"{number} {title}")
            canvas.drawString(40, 540, f"They spoke of {title.lower()} for many years.")
            canvas.showPage()

    document = load_bytes(make_pdf(draw), "diary.pdf")
    assert [(h.level, h.title) for h in document.headings] == [
        (1, "1 Arrival"),
        (1, "2 The long winter"),
        (2, "3 Departure"),
    ]


def test_the_title_is_the_metadata_unless_a_program_wrote_it() -> None:
    assert load_bytes(make_pdf(draw_report), "x.pdf").title == "Annual Review of the Harbour"

    def draw(canvas: Canvas) -> None:
        draw_report(canvas)
        canvas.setTitle("Microsoft Word - final_v3.doc")

    assert load_bytes(make_pdf(draw), "harbour.pdf").title == "Story Of The Year Number B"


def test_a_page_without_text_among_others_is_an_empty_page() -> None:
    def draw(canvas: Canvas) -> None:
        for page in range(3):
            if page != 1:
                canvas.drawString(40, 500, f"Text of page {page + 1}")
            canvas.showPage()

    document = load_bytes(make_pdf(draw), "gap.pdf")
    assert document.page_at(document.text.index("Text of page 3")) == 3
    assert document.text[document.pages[1].start : document.pages[1].end].strip() == ""


def test_no_text_layer_names_the_page_and_ocr() -> None:
    data = make_pdf(lambda canvas: canvas.rect(10, 10, 50, 50))
    with pytest.raises(EmptySourceError, match=r"scan\.pdf, page 1: .*ocrmypdf") as caught:
        load_bytes(data, "scan.pdf")
    assert caught.value.page == 1


def test_a_password_is_asked_for_by_name() -> None:
    data = make_pdf(draw_report, encrypt=StandardEncryption("secret", "owner"))
    with pytest.raises(EncryptedSourceError, match=r"locked\.pdf.*password"):
        load_bytes(data, "locked.pdf")


def test_an_owner_password_alone_does_not_hinder() -> None:
    data = make_pdf(draw_report, encrypt=StandardEncryption("", "owner"))
    assert "Tolls received" in load_bytes(data, "restricted.pdf").text


@settings(max_examples=40, deadline=None)
@given(st.floats(min_value=0.01, max_value=0.985))
def test_a_truncated_pdf_never_loads_in_part(share: float) -> None:
    data = make_pdf(draw_report)
    with pytest.raises(SourceError, match=r"half\.pdf"):
        load_bytes(data[: int(len(data) * share)], "half.pdf")


def test_truncation_is_called_damage() -> None:
    data = make_pdf(draw_report)
    with pytest.raises(DamagedSourceError, match=r"half\.pdf.*(truncated|cut off)"):
        load_bytes(data[: len(data) * 3 // 4], "half.pdf")
    with pytest.raises(DamagedSourceError, match=r"half\.pdf.*(truncated|cut off)"):
        load_bytes(data[:200], "half.pdf")


def test_a_file_cut_off_in_its_last_update_is_not_taken_for_whole() -> None:
    data = make_pdf(draw_report)
    assert load_bytes(data, "whole.pdf").text
    with pytest.raises(DamagedSourceError, match=r"half\.pdf.*cut off"):
        load_bytes(data + b"\n900 0 obj\n<< /Type /Page", "half.pdf")


def test_an_incremental_update_after_the_end_mark_is_whole() -> None:
    data = make_pdf(draw_report)
    again = data + data[data.rindex(b"startxref") :]
    assert load_bytes(again, "x.pdf").text == load_bytes(data, "x.pdf").text


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_flipped_bytes_load_or_are_a_source_error(data: st.DataObject) -> None:
    pdf = bytearray(make_pdf(lambda canvas: draw_report(canvas, 2)))
    for _ in range(data.draw(st.integers(1, 30))):
        pdf[data.draw(st.integers(0, len(pdf) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(SourceError):
        document = load_bytes(bytes(pdf), "noise.pdf")
        assert "".join(document.text[page.start : page.end] for page in document.pages) == document.text
        assert "\x00" not in document.text
