"""How far a run is, in a line: questions, running scores, speed, time to go."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from graphreader.evaluate.record import Record


class RunProgress:
    """Adds up records as they come, and shows a line at most every ``interval_seconds``."""

    def __init__(
        self, show: Callable[[str], None], interval_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._show = show
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._started = self._shown = clock()
        self._total = self._before = self._new = self._failed = 0
        self._tokens = 0.0
        self._scores: dict[str, list[float]] = {}

    def start(self, total: int, done: Sequence[Record]) -> None:
        """The questions begin: so many, of which some were answered before."""
        self._started = self._shown = self._clock()
        self._total, self._before = total, len(done)
        for record in done:
            self._add(record)
        if done:
            self._show(f"{len(done):,} of {total:,} questions were asked before; {total - len(done):,} are left.")

    def record(self, record: Record) -> None:
        """One more is finished."""
        self._new += 1
        self._add(record)
        if not record.replayed_calls:
            self._tokens += record.usage.get("prompt_tokens", 0) + record.usage.get("completion_tokens", 0)
        now = self._clock()
        if now - self._shown >= self._interval_seconds or self._before + self._new == self._total:
            self._shown = now
            self._show(self.line())

    def line(self) -> str:
        """The line as it is now."""
        seconds = max(self._clock() - self._started, 1e-9)
        left = self._total - self._before - self._new
        parts = [f"{self._before + self._new:,} of {self._total:,}"]
        parts += [
            f"{mode} {100 * total / count:.1f}" for mode, (total, count) in ((m, s) for m, s in self._scores.items())
        ]
        if self._failed:
            parts.append(f"{self._failed:,} failed")
        parts.append(f"{self._tokens / seconds:,.0f} tokens/s")
        if left and self._new:
            parts.append(f"{_duration(left * seconds / self._new)} to go")
        return " · ".join(parts)

    def _add(self, record: Record) -> None:
        self._failed += record.failed
        sums = self._scores.setdefault(record.mode, [0.0, 0.0])
        sums[0] += record.scores.get("score", 0.0)
        sums[1] += 1


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
