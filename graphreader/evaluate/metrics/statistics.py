"""How far a mean, or the difference of two runs, may be from what more questions would give. Seeded throughout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 10_000
_LEVEL = 0.95
#: Resamples drawn at a time: 8 MB of indices for a thousand questions.
_BATCH_NUMBERS = 1_000_000
#: Values are few where each stands this often on average.
_FEW_VALUES = 4

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean of ``n`` values and its interval."""

    n: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """How much higher the first of two runs scores on the same ``n`` questions, on average, and its interval.

    ``p_value``: how often a difference as large comes about where it is chance which run has which score.
    """

    n: int
    mean: float
    low: float
    high: float
    p_value: float


def bootstrap_interval(
    values: Sequence[float], *, level: float = _LEVEL, resamples: int = _RESAMPLES, seed: int = 0
) -> Interval:
    """The mean and its percentile bootstrap interval (Efron 1979). Raises ``ValueError`` where there is no value."""
    scores = _array(values)
    low, high = _percentiles(_means(scores, resamples, np.random.default_rng(seed)), level)
    return Interval(len(scores), float(scores.mean()), low, high)


def paired_difference(
    first: Sequence[float],
    second: Sequence[float],
    *,
    level: float = _LEVEL,
    resamples: int = _RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Two runs on the same questions in the same order: bootstrap of the differences, and a permutation test of signs.

    Raises ``ValueError`` where there is no value, or not the same number of them.
    """
    if len(first) != len(second):
        raise ValueError(f"Two runs are compared on the same questions, not {len(first)} and {len(second)}.")
    differences = _array(first) - _array(second)
    rng = np.random.default_rng(seed)
    low, high = _percentiles(_means_of_draws(differences, resamples, rng), level)
    observed = abs(float(differences.mean()))
    as_large = 0
    for rows in _batches(resamples, len(differences)):
        signs = rng.integers(0, 2, (rows, len(differences))) * 2 - 1
        # A sum in another order may differ in its last digit.
        as_large += int(np.count_nonzero(np.abs(signs @ differences) / len(differences) >= observed - 1e-12))
    return Difference(len(differences), float(differences.mean()), low, high, (as_large + 1) / (resamples + 1))


def _array(values: Sequence[float]) -> Floats:
    scores = np.asarray(values, dtype=np.float64)
    if not len(scores):
        raise ValueError("There is no value to take the mean of.")
    return scores


def _means(scores: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Means of resamples. Few values (exact match has two) are drawn as counts, which is the same and much faster."""
    values, counts = np.unique(scores, return_counts=True)
    if len(values) * _FEW_VALUES <= len(scores):
        drawn = rng.multinomial(len(scores), counts / len(scores), resamples)
        # A sum may differ from what it should be in its last digit.
        return np.clip(drawn @ values / len(scores), values[0], values[-1])
    return _means_of_draws(scores, resamples, rng)


def _means_of_draws(scores: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    shapes = [(rows, len(scores)) for rows in _batches(resamples, len(scores))]
    return np.concatenate([scores[rng.integers(0, len(scores), shape)].mean(axis=1) for shape in shapes])


def _percentiles(means: Floats, level: float) -> tuple[float, float]:
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _batches(resamples: int, values: int) -> Iterator[int]:
    most = max(1, _BATCH_NUMBERS // values)
    for done in range(0, resamples, most):
        yield min(most, resamples - done)
