"""The routine registers of the example report, drawn from a seeded generator.

Only ``Random.random`` is used, whose sequence for a seed is the same in every version of Python; ``choice`` and its
like carry no such promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random


@dataclass(frozen=True, slots=True)
class RockLoad:
    """One barge-load of rock; ``mean_tonnes`` is the mean of ``stones`` stones weighed singly."""

    day: date
    craft: str
    tonnes: int
    stones: int
    mean_tonnes: float


@dataclass(frozen=True, slots=True)
class WeatherHour:
    """One line of the weather log; gust is the highest in the hour that ends at ``hour``."""

    day: date
    hour: int
    direction: str
    mean_knots: int
    gust_knots: int
    millibars: int
    remark: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """One line of the register of inspections; ``caisson`` is a construction number."""

    day: date
    caisson: int
    item: str
    finding: str
    initials: str


def _between(random: Random, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high``, both included."""
    return low + int(random.random() * (high - low + 1))


def _pick(random: Random, options: Sequence[str]) -> str:
    return options[int(random.random() * len(options))]


def _working_day(day: date) -> date:
    return day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() > 4 else 0)


def rock_loads(seed: int) -> tuple[RockLoad, ...]:
    """The loads from the first of 6 October 2015 to July 2017; the stones grow lighter as the good beds give out."""
    random = Random(seed)
    first, last = date(2015, 10, 6), date(2017, 7, 14)
    loads: list[RockLoad] = []
    day = first
    while day <= last:
        share = (day - first).days / (last - first).days
        mean = round(2.45 - 1.0 * share + 0.35 * (random.random() - 0.5), 1)
        craft = "Patient Margaret" if random.random() < 0.6 else "hopper"
        loads.append(RockLoad(day, craft, _between(random, 420, 640), _between(random, 8, 14), mean))
        day = _working_day(day + timedelta(days=_between(random, 6, 12)))
    # The load that the inspector's ledger mentions.
    noted = RockLoad(date(2017, 4, 27), "hopper", 506, 10, 1.3)
    return tuple(sorted([load for load in loads if load.day != noted.day] + [noted], key=lambda load: load.day))


_REMARKS = {
    (1, 8): "Glass still high. Sea slight.",
    (1, 12): "Harbour reported closed. Falling.",
    (1, 17): "Backing. Swell from the SE.",
    (1, 22): "Rain. Spray over the rocks.",
    (2, 0): "Spray on the lantern glass.",
    (2, 2): "Tower trembling a little.",
    (2, 4): "Lowest I have seen here.",
    (2, 5): "Gust of {gust} at 04:20. Lantern steady. Cat under the stove.",
    (2, 6): "Port Ansel dark. Lifeboat called 05:12, away 05:26.",
    (2, 7): "No lights anywhere. On own battery.",
    (2, 9): "Veering. Lifeboat seen returning.",
    (2, 14): "Moderating.",
    (2, 20): "Island quite dark. Stars.",
    (3, 8): "Fine. Slept three hours.",
    (3, 15): "Candles brought up from the village. Light rain.",
}


def weather_log(seed: int, gust_knots: int) -> tuple[WeatherHour, ...]:
    """Sixty-four hours of weather. Pressure falls 34 millibars from 08:00 on the first to 04:00 on the second."""
    random = Random(seed + 1)
    rows = []
    for index in range(64):
        day, hour = 1 + index // 24, index % 24
        pressure = _pressure(index)
        # The deeper the low, the stronger the wind; the peak hour is set apart below.
        mean = max(_between(random, 6, 13), round((1000 - pressure) * 1.55) + _between(random, -3, 3))
        gust = round(mean * (1.3 + 0.12 * random.random()))
        if (day, hour) == (2, 5):
            gust = gust_knots
        remark = _REMARKS.get((day, hour), "").format(gust=gust_knots)
        rows.append(
            WeatherHour(date(2018, 2, day), hour, _direction(index), mean, min(gust, gust_knots), pressure, remark)
        )
    return tuple(rows)


def _pressure(index: int) -> int:
    low_index, start_index, start, fall = 28, 8, 992, 34
    if index <= start_index:
        return start + round((start_index - index) * 0.4)
    if index <= low_index:
        # Slow at first, steepest in the last hours: the square of the time gone.
        return start - round(fall * ((index - start_index) / (low_index - start_index)) ** 2)
    return min(start - fall + round((index - low_index) * 1.7), 1004)


def _direction(index: int) -> str:
    for limit, direction in ((10, "S"), (17, "SSE"), (31, "SE"), (36, "S"), (46, "SW"), (60, "WSW")):
        if index < limit:
            return direction
    return "W"


_YARD_ITEMS = ("Formwork", "Reinforcement", "Ducts", "Concrete, wall pour", "Concrete, base pour", "Cover to steel")
_SEA_ITEMS = ("Setting level", "Sand fill", "Grout pressure", "Gate seals", "Lifting points", "Sluice guides")
_FINDINGS = (
    "Pass",
    "Pass",
    "Pass",
    "Pass, label missing",
    "Pass, signed next day",
    "Fail, put right same day",
    "Pass, photograph taken",
    "Not ready",
    "Fail, presented again, pass",
)


def inspections(seed: int, caissons: Sequence[tuple[int, date, date]]) -> tuple[Inspection, ...]:
    """The register, for each (construction number, cast, placed): yard checks before casting, others after placing."""
    random = Random(seed + 2)
    opened, dismissed = date(2015, 3, 9), date(2017, 7, 3)
    rows = []
    for number, cast, placed in caissons:
        checks = [(cast - timedelta(days=_between(random, 3, 75)), _pick(random, _YARD_ITEMS)) for _ in range(7)]
        checks += [(placed + timedelta(days=_between(random, 1, 60)), _pick(random, _SEA_ITEMS)) for _ in range(6)]
        for raw_day, item in checks:
            day = _working_day(max(raw_day, opened))
            initials = "P.H." if day < dismissed else "M.D."
            rows.append(Inspection(day, number, item, _pick(random, _FINDINGS), initials))
    rows += [
        Inspection(date(2016, 10, 19), 7, "Bed before placing", "Cobbles gone over wide area, QF-131", "P.H."),
        Inspection(date(2017, 2, 8), 7, "Toe, by diver", "Refused, stream too strong", "P.H."),
        Inspection(date(2017, 10, 9), 4, "Toe, south, by diver", "Hollow 0.3 m, weed; no action", "C.S."),
    ]
    return tuple(sorted(rows, key=lambda row: (row.day, row.caisson, row.item, row.finding)))
