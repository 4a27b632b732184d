"""How busy the model's engine was kept: the requests it worked on, sampled while questions are asked."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event, Thread
from types import TracebackType
from typing import Self

from graphreader.serve.probe import running_requests

_INTERVAL_SECONDS = 1.0
_TIMEOUT_SECONDS = 2.0
#: An endpoint that told nothing so often tells nothing at all; a busy one only misses a sample.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """Requests that ran at once, over all ``samples``: a mean below what the engine takes says that it had to wait."""

    mean: float
    most: float
    samples: int


class EngineWatch:
    """Samples an endpoint's count of running requests in a thread of its own. A context manager.

    ``base_url`` None, or an endpoint that tells no metrics: there is no ``load``.
    """

    def __init__(self, base_url: str | None, interval_seconds: float = _INTERVAL_SECONDS) -> None:
        self._base_url = base_url
        self._interval_seconds = interval_seconds
        self._over = Event()
        self._samples: list[float] = []
        self._thread = Thread(target=self._watch, name="engine", daemon=True)

    def __enter__(self) -> Self:
        if self._base_url is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        if self._base_url is not None:
            self._thread.join()

    @property
    def load(self) -> EngineLoad | None:
        """What was seen so far."""
        seen = list(self._samples)
        return EngineLoad(sum(seen) / len(seen), max(seen), len(seen)) if seen else None

    def _watch(self) -> None:
        assert self._base_url is not None
        missed = 0
        while not self._over.wait(self._interval_seconds):
            running = running_requests(self._base_url, _TIMEOUT_SECONDS)
            if running is not None:
                self._samples.append(running)
                continue
            missed += 1
            if not self._samples and missed == _TRIES:
                return
