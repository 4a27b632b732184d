"""The figures of the example report: read from ``report/*.toml``, computed, and named for the prose.

Nothing that can be computed is typed: totals, differences and shares all come from here, so that the prose, the tables
and the questions cannot disagree. The registers are drawn from a generator seeded in ``data.toml``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from report_registers import RockLoad, rock_loads

Data = dict[str, Any]

FAILED_DESIGN_NUMBER = 4
SLIDE_METRES = 3.4
STORM_GUST_KNOTS = 97
POPULATION_2011 = 11460


def load_data(folder: Path) -> Data:
    """Everything in the TOML files of ``folder``: ``data.toml`` at the root, the others under their names."""
    data: Data = tomllib.loads((folder / "data.toml").read_text(encoding="utf-8"))
    for name in ("chronology", "persons", "glossary"):
        data[name] = tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))["entries"]
    return data


def day(value: date) -> str:
    """A date as the report writes it: ``2 February 2018``."""
    return f"{value.day} {value:%B %Y}"


def amount(value: float) -> str:
    """A whole number with thousands separated."""
    return f"{value:,.0f}"


def construction_number(data: Data, design: int) -> int:
    """The eleven rule of Site Instruction 12 (it is its own inverse)."""
    return int(data["scheme"]["caissons"]) + 1 - design


def total(rows: Sequence[Data], key: str) -> int:
    """The sum of one column."""
    return sum(int(row[key]) for row in rows)


def rock_mean_tonnes(loads: Sequence[RockLoad]) -> float:
    """Mean mass of all stones that were weighed singly."""
    stones = sum(load.stones for load in loads)
    return sum(load.mean_tonnes * load.stones for load in loads) / stones


def values(data: Data) -> dict[str, str]:
    """What the prose may refer to as ``{{name}}``."""
    return _scheme_values(data) | _money_values(data) | _register_values(data)


def _scheme_values(data: Data) -> dict[str, str]:
    scheme = data["scheme"]
    inner = scheme["caissons"] - 2
    turbines = inner * scheme["turbines_per_inner_caisson"]
    failed = next(row for row in data["caissons"] if row["design"] == FAILED_DESIGN_NUMBER)
    failed_construction = construction_number(data, FAILED_DESIGN_NUMBER)
    # The number in the letter was a design number and was read as a construction number.
    misread = construction_number(data, FAILED_DESIGN_NUMBER)
    spacing = scheme["narrows_width_metres"] / scheme["caissons"]
    return {
        "caissons": _word(scheme["caissons"]),
        "inner_caissons": _word(inner),
        "turbines": _word(turbines),
        "turbine_megawatts": str(scheme["turbine_megawatts"]),
        "rated_megawatts": f"{turbines * scheme['turbine_megawatts']:.1f}",
        "narrows_width": str(scheme["narrows_width_metres"]),
        "scour_action_level": str(scheme["scour_action_level_metres"]),
        "specified_rock": amount(scheme["specified_rock_tonnes"]),
        "dark_days": _word((scheme["mains_restored"] - scheme["storm"]).days),
        "days_dive_to_storm": str((scheme["storm"] - date(2017, 10, 9)).days),
        "mains_restored": day(scheme["mains_restored"]),
        "repaired_power": day(scheme["repaired_power"]),
        "failed_design": str(FAILED_DESIGN_NUMBER),
        "failed_construction": str(failed_construction),
        "failed_mass": amount(failed["mass_tonnes"]),
        "failed_scour_after": str(data["scour"]["depths"][FAILED_DESIGN_NUMBER - 1][3]),
        "misread_design": str(misread),
        "caisson_distance": amount(round(abs(misread - FAILED_DESIGN_NUMBER) * spacing, -1)),
        "slide_metres": str(SLIDE_METRES),
        "storm_gust": str(STORM_GUST_KNOTS),
    }


def _money_values(data: Data) -> dict[str, str]:
    funding, award, final = (
        total(data["funding"], "amount"),
        total(data["contracts"], "award"),
        total(data["contracts"], "final"),
    )
    loss, recovery = total(data["losses"], "amount"), total(data["recoveries"], "amount")
    prices = {row["bidder"]: row["price"] for row in data["rock_tenders"]}
    largest = max(data["losses"], key=lambda row: int(row["amount"]))
    by_item = {row["item"]: row["amount"] for row in data["losses"]}
    found = {
        "funding_total": amount(funding),
        "award_total": amount(award),
        "final_total": amount(final),
        "contingency": amount(funding - award),
        "contingency_percent": f"{100 * (funding - award) / award:.1f}",
        "overrun": amount(final - funding),
        "rock_saving": amount(prices["Garrick Stone"] - prices["Sallow Quarry Company"]),
        "loss_total": amount(loss),
        "recovery_total": amount(recovery),
        "net_loss": amount(loss - recovery),
        "net_loss_per_head": amount((loss - recovery) / POPULATION_2011),
        "largest_loss_item": f"the {largest['item'][0].lower()}{largest['item'][1:]}",
        "largest_loss": amount(largest["amount"]),
        "new_rock_cost": amount(by_item["New scour protection on the whole line"]),
        "oyster_settlement": amount(by_item["Settlement with the Nethersound oystermen"]),
    }
    for row in data["contracts"]:
        found[f"{row['number']}.signed"] = day(row["signed"])
    return found


def _register_values(data: Data) -> dict[str, str]:
    loads = rock_loads(data["seed"])
    witnesses, generation = data["witnesses"], data["generation"]
    best = max(range(len(generation["months"])), key=lambda i: int(generation["delivered"][i]))
    delivered, forecast = sum(generation["delivered"]), sum(generation["forecast"])
    return {
        "rock_loads": str(len(loads)),
        "rock_total": amount(sum(load.tonnes for load in loads)),
        "rock_mean": f"{rock_mean_tonnes(loads):.1f}",
        "first_hearing": day(witnesses[0]["day"]),
        "last_hearing": day(witnesses[-1]["day"]),
        "hearing_days": _word(len({row["day"] for row in witnesses})),
        "witness_count": _word(len({row["name"] for row in witnesses})),
        "generation_total": amount(delivered),
        "generation_percent": f"{100 * delivered / forecast:.1f}",
        "best_month": generation["months"][best],
        "best_month_mwh": amount(generation["delivered"][best]),
    }


def _word(number: int) -> str:
    small = (
        "nought one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen"
    ).split()
    if number < len(small):
        return small[number]
    tens, units = divmod(number, 10)
    head = {2: "twenty", 3: "thirty", 4: "forty"}[tens]
    return head if units == 0 else f"{head}-{small[units]}"
