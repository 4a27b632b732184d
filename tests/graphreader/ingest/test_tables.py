from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphreader.ingest.chunk import sentences_of
from graphreader.ingest.tables import Table, row_statement, tables_of
from graphreader.records import Document, Heading, Page

BALANCE = """Veldmoor Harbour Trust and Subsidiaries
Consolidated Balance Sheets
($ in millions, except share data)
As of June 30, 2023 2022
Assets
Current assets:
Cash and cash equivalents $ 689 $ 775
Inventories 992 1,114
Total current assets 5,308 5,853
Non-current assets:
Goodwill 5,366 5,285
"""
FLOWS = """Consolidated Statements of Cash Flows
($ in millions)
For the years ended June 30, 2023 2022
Purchases of property, plant and equipment (526) (527)
"""


def _document(*pages: str, headings: tuple[Heading, ...] = ()) -> Document:
    text = "\n\f".join(pages)
    starts = [sum(len(page) + 2 for page in pages[:number]) for number in range(len(pages))]
    ends = [*starts[1:], len(text)]
    spans = tuple(Page(number, *span) for number, span in enumerate(zip(starts, ends, strict=True), start=1))
    return Document("d", "d.pdf", "Annual report", "application/pdf", text, spans, headings)


def _above(document: Document, row: str) -> Table:
    rows = tables_of(document).rows
    return next(table for start, table in rows.items() if document.text.startswith(row, start))


def test_caption_unit_and_columns_stay_in_force_below_the_names_of_groups() -> None:
    document = _document("The pages that follow are audited.", BALANCE)
    table = _above(document, "Goodwill")
    assert table.caption == "Veldmoor Harbour Trust and Subsidiaries Consolidated Balance Sheets"
    assert table.unit == "($ in millions, except share data)"
    assert table.columns == "As of June 30, 2023 2022"
    assert table.group == "Non-current assets:"
    assert table.opens_page
    assert _above(document, "Cash and").group == "Current assets:"


def test_a_table_ends_with_prose_and_with_the_caption_of_the_next() -> None:
    prose = "The trust keeps its piers in repair and lends its crane to every ship that asks for it in good time."
    document = _document("One.", f"{BALANCE}{prose}\n{FLOWS}")
    table = _above(document, "Purchases")
    assert table.caption == "Consolidated Statements of Cash Flows"
    assert (table.columns, table.group) == ("For the years ended June 30, 2023 2022", "")


def test_a_table_goes_on_over_a_page_that_begins_with_its_rows() -> None:
    document = _document("One.", BALANCE, "Other intangible assets 1,524 1,657\nOther assets 309 206\n")
    assert _above(document, "Other intangible").columns == "As of June 30, 2023 2022"


def test_a_sentence_that_announces_a_table_is_its_caption() -> None:
    document = _document(
        "Depreciation was lower.\nThe components of inventories were as follows:\n"
        "June 30, 2023 June 30, 2022\nRope $ 203 $ 201\nSails 1,483 1,323\n"
    )
    assert _above(document, "Sails").caption == "The components of inventories were as follows:"


def test_a_page_that_begins_with_a_caption_is_known_by_it_to_its_end() -> None:
    document = _document("One.", BALANCE, "Two.")
    ((start, (caption, end)),) = tables_of(document).page_captions.items()
    assert document.text.startswith("Veldmoor Harbour Trust", start)
    assert caption.endswith("Consolidated Balance Sheets")
    assert end == document.pages[1].end


@pytest.mark.parametrize(
    ("row", "columns", "unit", "stated"),
    [
        ("Net sales $ 14,694 $ 14,544", "June 30, 2023 2022", "", "Net sales, June 30, 2023: $ 14,694; 2022: $ 14,544"),
        (
            "Purchases of property, plant and equipment (1,577) (1,373) —",
            "Years ended December 31, 2018 2017 2016",
            "(Millions, except per share data)",
            "Purchases of property, plant and equipment, December 31, 2018: (1,577); 2017: (1,373); 2016: — (Millions)",
        ),
        ("Margin 12.5 % 11 %", "FY 2023 FY 2022", "", "Margin, FY 2023: 12.5 %; FY 2022: 11 %"),
        ("Net sales 14,694 14,544 1.0 %", "2023 2022", "", ""),
        ("14,694 14,544", "2023 2022", "", ""),
        ("Net sales were strong", "2023 2022", "", ""),
        ("Net sales 14,694 14,544", "", "", ""),
    ],
)
def test_a_row_states_its_figures_by_date_where_both_are_equally_many(
    row: str, columns: str, unit: str, stated: str
) -> None:
    assert row_statement(row, Table(columns=columns, unit=unit)) == stated


@settings(deadline=None)
@given(st.lists(st.sampled_from([*BALANCE.splitlines(), *FLOWS.splitlines(), "", "Prose.", "|", "2023"]), max_size=40))
def test_every_row_is_a_sentence_and_every_caption_stands_in_the_text(lines: list[str]) -> None:
    document = _document("\n".join(lines), "\n".join(reversed(lines)))
    tables = tables_of(document)
    starts = {start for start, _ in sentences_of(document)}
    assert tables.rows.keys() <= starts
    collapsed = " ".join(document.text.split())
    for table in tables.rows.values():
        assert all(part in collapsed for part in (table.unit, table.group))
        assert not table.caption or table.caption.split()[0] in collapsed
