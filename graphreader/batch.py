"""Many questions at once: ordered so that they share what the server has cached, a bounded number under way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass

from graphreader.records import Answer, Mode


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a batch: its sources as in ``ask``, and a ``key`` of the caller's own to know it by."""

    question: str
    sources: tuple[str, ...] = ()
    mode: Mode = Mode.GRAPH
    key: str = ""


#: What came of a question: its answer, or why there is none.
Outcome = Answer | Exception


def in_shared_order(asked: Iterable[Asked]) -> list[Asked]:
    """The questions with those on the same sources in the same mode one after the other, else in their order."""
    groups: dict[tuple[Mode, frozenset[str]], list[Asked]] = {}
    for one in asked:
        groups.setdefault((one.mode, frozenset(one.sources)), []).append(one)
    return [one for group in groups.values() for one in group]


def outcomes(
    asked: Iterable[Asked], start: Callable[[Asked], Future[Answer]], concurrency: int
) -> Iterator[tuple[Asked, Outcome]]:
    """Each question with what came of it, in the order of completion; at most ``concurrency`` under way.

    ``start`` begins one; what it raises is that question's outcome. In mode ``full`` the first question on the same
    sources goes ahead alone, so that the others find the documents in the server's cache. When the caller stops, or is
    interrupted, what is under way is cancelled.
    """
    waiting = in_shared_order(asked)
    running: dict[Future[Answer], Asked] = {}
    read: set[frozenset[str]] = set()
    try:
        while waiting or running:
            while len(running) < concurrency:
                place = _next(waiting, running.values(), read)
                if place is None:
                    break
                one = waiting.pop(place)
                try:
                    running[start(one)] = one
                except Exception as error:  # it is that question's outcome
                    yield one, error
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                one = running.pop(done)
                if one.mode is Mode.FULL:
                    read.add(frozenset(one.sources))
                yield one, _outcome(done)
    finally:
        for left in running:
            left.cancel()
        wait(running)


def _outcome(done: Future[Answer]) -> Outcome:
    error = done.exception()
    if error is None:
        return done.result()
    if isinstance(error, Exception):
        return error
    raise error


def _next(waiting: list[Asked], running: Iterable[Asked], read: set[frozenset[str]]) -> int | None:
    """The place of the next question to begin; None where all that wait, wait for another to go ahead."""
    ahead = {frozenset(one.sources) for one in running if one.mode is Mode.FULL} - read
    for place, one in enumerate(waiting):
        if one.mode is not Mode.FULL or frozenset(one.sources) not in ahead:
            return place
    return None
