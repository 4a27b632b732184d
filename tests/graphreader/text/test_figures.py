from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphreader.text.figures import rescaled_amounts, without_figures


def test_labels_and_years_of_a_table_are_left_without_its_cells() -> None:
    table = (
        "Years ended 2023 2022: Net sales $ 14,694 $ 14,544 Cost of sales (11,969) (11,724) Margin 12.5% 11% Other — 7"
    )
    assert without_figures(table) == "Years ended 2023 2022: Net sales Cost of sales Margin Other"


@pytest.mark.parametrize(
    "text",
    [
        "In 1987 she paid 38,000 crowns for 2 piers.",
        "Mill 7 of 1802, mill 8 of 1803, mill 9 of 1804 and mill 10 of 1805",
        "",
        "三国演义 120 回",
    ],
)
def test_prose_is_left_as_it_is(text: str) -> None:
    assert without_figures(text) == text


@given(st.text(alphabet="ab 1,.()$—%2", max_size=200))
def test_leaving_figures_out_twice_changes_nothing_more(text: str) -> None:
    once = without_figures(text)
    assert len(once) <= len(text)
    assert without_figures(once) == once


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("a loss of $1.5 billion", ("1500000", "1500")),
        ("sales of 1,577 million", ("1577000", "1.577")),
        ("38 thousand crowns", ("0.038",)),
        ("5 m long", ("5000", "0.005")),
        ("the year 1987", ()),
        ("1.5-billion-fold", ()),
    ],
)
def test_amounts_are_told_in_the_scales_that_tables_use(text: str, amounts: tuple[str, ...]) -> None:
    assert rescaled_amounts(text) == amounts
