"""The tables of the example report: captions, columns and rows, ready to be set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from report_data import STORM_GUST_KNOTS, Data, amount, construction_number, day, rock_mean_tonnes, total
from report_registers import RockLoad, inspections, rock_loads, weather_log

CAISSON_NAMES = (
    "Anchor",
    "Bittern",
    "Cormorant",
    "Dulse",
    "Eider",
    "Fulmar",
    "Gannet",
    "Heron",
    "Isinglass",
    "Jetsam",
)


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A table to be set: ``widths`` are shares of the text width, ``numeric`` the columns set to the right.

    ``total_rows`` counts the rows at the end that are sums of the others and are set in bold.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[float, ...]
    numeric: frozenset[int] = frozenset()
    total_rows: int = 0


def tables(data: Data) -> dict[str, ReportTable]:
    """Every table of the report, by the name with which the prose calls it (``[[table:name]]``)."""
    makers: dict[str, Callable[[Data], ReportTable]] = {
        "funding": _funding,
        "spending": _spending,
        "rock_tenders": _rock_tenders,
        "rock_years": _rock_years,
        "scour": _scour,
        "losses": lambda d: _amounts("Table 15.1 Losses caused by the storm", "Loss", d["losses"], "item"),
        "recoveries": lambda d: _amounts("Table 15.2 Sums recovered", "Payer", d["recoveries"], "payer"),
        "generation": _generation,
        "contracts": _contracts,
        "concordance": _concordance,
        "caissons": _caissons,
        "ships": _ships,
        "witnesses": _witnesses,
        "rock": _rock,
        "weather": _weather,
        "inspections": _inspections,
        "chronology": lambda d: _entries("Table A.1 Chronology", ("Date", "Event"), d["chronology"], (0.26, 0.74)),
        "persons": lambda d: _entries(
            "Table B.1 Persons", ("Name", "Also called", "Who"), d["persons"], (0.31, 0.22, 0.47)
        ),
        "glossary": lambda d: _entries("Table M.1 Glossary", ("Term", "Meaning"), d["glossary"], (0.26, 0.74)),
    }
    return {name: make(data) for name, make in makers.items()}


def _entries(caption: str, header: tuple[str, ...], rows: list[list[str]], widths: tuple[float, ...]) -> ReportTable:
    return ReportTable(caption, header, tuple(tuple(cell or "–" for cell in row) for row in rows), widths)


def _amounts(caption: str, first: str, rows: list[Data], key: str) -> ReportTable:
    body = [(str(row[key]), amount(row["amount"])) for row in rows]
    body.append(("Total", amount(total(rows, "amount"))))
    return ReportTable(caption, (first, "Crowns"), tuple(body), (0.76, 0.24), frozenset({1}), 1)


def _funding(data: Data) -> ReportTable:
    rows = [(row["source"], row["terms"], amount(row["amount"])) for row in data["funding"]]
    rows.append(("Total", "", amount(total(data["funding"], "amount"))))
    header = ("Source", "Terms", "Crowns")
    return ReportTable("Table 5.1 Sources of finance", header, tuple(rows), (0.48, 0.32, 0.2), frozenset({2}), 1)


def _spending(data: Data) -> ReportTable:
    rows = [
        (r["number"], r["work"], amount(r["award"]), amount(r["final"]), f"{r['final'] - r['award']:+,}")
        for r in data["contracts"]
    ]
    award, final = total(data["contracts"], "award"), total(data["contracts"], "final")
    rows.append(("", "Total", amount(award), amount(final), f"{final - award:+,}"))
    header = ("Contract", "Work", "Award", "Final cost", "Increase")
    widths = (0.13, 0.36, 0.17, 0.17, 0.17)
    caption = "Table 5.2 Contracts at award and at final account, in crowns"
    return ReportTable(caption, header, tuple(rows), widths, frozenset({2, 3, 4}), 1)


def _rock_tenders(data: Data) -> ReportTable:
    rows = tuple(
        (r["bidder"], r["stone"], amount(r["price"]), str(r["mean_tonnes"]), str(r["score"]))
        for r in data["rock_tenders"]
    )
    header = ("Bidder", "Stone", "Price, crowns", "Mean stone, tonnes", "Mark of 100")
    widths = (0.32, 0.16, 0.18, 0.2, 0.14)
    return ReportTable("Table 6.1 Tenders for contract HS-14", header, rows, widths, frozenset({2, 3, 4}))


def _rock_years(data: Data) -> ReportTable:
    loads = rock_loads(data["seed"])
    rows = []
    for year in sorted({load.day.year for load in loads}):
        rows.append(_rock_row(str(year), [load for load in loads if load.day.year == year]))
    rows.append(_rock_row("Total", loads))
    header = ("Year", "Loads", "Tonnes", "Stones weighed", "Mean stone, tonnes")
    widths = (0.18, 0.16, 0.2, 0.22, 0.24)
    caption = "Table 8.1 Rock delivered under HS-14"
    return ReportTable(caption, header, tuple(rows), widths, frozenset({1, 2, 3, 4}), 1)


def _rock_row(label: str, loads: Sequence[RockLoad]) -> tuple[str, ...]:
    tonnes, stones = sum(load.tonnes for load in loads), sum(load.stones for load in loads)
    return (label, str(len(loads)), amount(tonnes), amount(stones), f"{rock_mean_tonnes(loads):.1f}")


def _scour(data: Data) -> ReportTable:
    scour = data["scour"]
    header = ("Caisson", *(f"{s}, {d}" for s, d in zip(scour["surveys"], scour["dates"], strict=True)))
    rows = tuple((f"No. {i}", *(f"{d:.1f}" for d in row)) for i, row in enumerate(scour["depths"], start=1))
    caption = "Table 11.1 Deepest hole at the toe of each caisson, in metres, by design number"
    return ReportTable(caption, header, rows, (0.16, 0.21, 0.21, 0.21, 0.21), frozenset({1, 2, 3, 4}))


def _generation(data: Data) -> ReportTable:
    g = data["generation"]
    rows = [
        (m, amount(f), amount(d), f"{100 * d / f:.0f}")
        for m, f, d in zip(g["months"], g["forecast"], g["delivered"], strict=True)
    ]
    forecast, delivered = sum(g["forecast"]), sum(g["delivered"])
    rows.append(("Total", amount(forecast), amount(delivered), f"{100 * delivered / forecast:.0f}"))
    header = ("Month", "Forecast, MWh", "Delivered, MWh", "Per cent")
    caption = "Table 19.1 Energy delivered to the grid"
    return ReportTable(caption, header, tuple(rows), (0.34, 0.24, 0.24, 0.18), frozenset({1, 2, 3}), 1)


def _contracts(data: Data) -> ReportTable:
    rows = tuple(
        (r["number"], r["work"], r["contractor"], day(r["signed"]), r["signatory"], amount(r["award"]))
        for r in data["contracts"]
    )
    header = ("Number", "Work", "Contractor", "Signed", "For Corran", "Crowns")
    widths = (0.1, 0.2, 0.2, 0.19, 0.16, 0.15)
    return ReportTable("Table C.1 Register of contracts", header, rows, widths, frozenset({5}))


def _concordance(data: Data) -> ReportTable:
    last = data["scheme"]["caissons"]
    rows = tuple(
        (str(n), str(construction_number(data, n)), CAISSON_NAMES[n - 1], "sluices" if n in (1, last) else "2 turbines")
        for n in range(1, last + 1)
    )
    header = ("Design number", "Construction number", "Name from 2019", "Holds")
    return ReportTable("Table D.1 Concordance", header, rows, (0.22, 0.28, 0.28, 0.22))


def _caissons(data: Data) -> ReportTable:
    rows = tuple(
        (f"No. {r['design']}", day(r["cast"]), day(r["placed"]), str(r["depth_metres"]), amount(r["mass_tonnes"]))
        for r in data["caissons"]
    )
    header = ("Design number", "Cast", "Placed", "Depth, m", "Mass, tonnes")
    widths = (0.18, 0.25, 0.25, 0.14, 0.18)
    return ReportTable("Table D.2 Particulars of the caissons", header, rows, widths, frozenset({3, 4}))


def _ships(data: Data) -> ReportTable:
    rows = tuple(
        (r["name"], r["kind"], r["built"], r["owner"], r["master"], amount(r["tonnes"]), r["note"])
        for r in data["ships"]
    )
    header = ("Name", "Kind", "Built", "Owner", "Master", "Tons", "Note")
    widths = (0.15, 0.12, 0.14, 0.18, 0.15, 0.09, 0.17)
    return ReportTable("Table E.1 Ships and craft", header, rows, widths, frozenset({5}))


def _witnesses(data: Data) -> ReportTable:
    rows = tuple((day(r["day"]), r["name"], r["role"]) for r in data["witnesses"])
    return ReportTable("Table F.1 Witnesses", ("Day", "Witness", "Capacity"), rows, (0.27, 0.31, 0.42))


def _rock(data: Data) -> ReportTable:
    rows = tuple(
        (str(i), day(load.day), load.craft, amount(load.tonnes), str(load.stones), f"{load.mean_tonnes:.1f}")
        for i, load in enumerate(rock_loads(data["seed"]), start=1)
    )
    header = ("Load", "Date", "Tipped by", "Tonnes", "Stones weighed", "Mean, tonnes")
    widths = (0.1, 0.25, 0.24, 0.13, 0.14, 0.14)
    return ReportTable("Table J.1 Rock delivered", header, rows, widths, frozenset({0, 3, 4, 5}))


def _weather(data: Data) -> ReportTable:
    rows = tuple(
        (
            f"{r.day.day} Feb {r.hour:02d}:00",
            r.direction,
            str(r.mean_knots),
            str(r.gust_knots),
            str(r.millibars),
            r.remark,
        )
        for r in weather_log(data["seed"], STORM_GUST_KNOTS)
    )
    header = ("Time", "Wind", "Mean", "Gust", "Pressure", "Remarks")
    widths = (0.19, 0.09, 0.09, 0.09, 0.12, 0.42)
    caption = "Table K.1 Scarrick Light, 1 to 3 February 2018"
    return ReportTable(caption, header, rows, widths, frozenset({2, 3, 4}))


def _inspections(data: Data) -> ReportTable:
    caissons = [(construction_number(data, r["design"]), r["cast"], r["placed"]) for r in data["caissons"]]
    rows = tuple(
        (day(r.day), str(r.caisson), r.item, r.finding, r.initials) for r in inspections(data["seed"], caissons)
    )
    header = ("Date", "Caisson", "Item", "Finding", "By")
    widths = (0.22, 0.11, 0.26, 0.33, 0.08)
    return ReportTable("Table L.1 Inspections", header, rows, widths)
