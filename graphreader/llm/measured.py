"""What was measured of a model that answers, where it differs from what is taken of others. See docs/results.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphreader.settings import DEFAULT_MODEL, ExploreSettings, SearchSettings


@dataclass(frozen=True, slots=True)
class Measured:
    """How much evidence a model reads well, and how sure it has to be.

    ``evidence_tokens``: in the prompt that is answered from, of modes ``search`` and ``graph``. ``earlier_tokens``: of
    what an explorer read in earlier steps, shown again beside its notes. ``least_probable``: how probable "yes, the
    excerpts state it" must be for an answer to be given; small models say yes to nearly everything, but less firmly
    where nothing states it (measured by ``benchmarks.answerable`` and ``benchmarks.thresholds``).
    """

    evidence_tokens: int = 1800
    earlier_tokens: int = 1_000_000  # all that any window holds
    least_probable: float = 0.5


#: A small model finds more in less: what stands beside the evidence distracts it.
_MEASURED: Mapping[str, Measured] = {
    DEFAULT_MODEL: Measured(evidence_tokens=600, earlier_tokens=0, least_probable=0.94),
}


def measured_of(model_name: str) -> Measured:
    """What was measured of this model, or the values for models that nobody measured."""
    return _MEASURED.get(model_name, Measured())


def search_tokens(settings: SearchSettings, model_name: str) -> int:
    """Tokens of evidence in the prompt of mode ``search``: the setting, or what this model reads well."""
    return settings.max_prompt_tokens or measured_of(model_name).evidence_tokens


def answer_tokens(settings: ExploreSettings, model_name: str) -> int:
    """Tokens of evidence in the prompt that ends mode ``graph``: the setting, or what this model reads well."""
    return settings.max_answer_tokens or measured_of(model_name).evidence_tokens


def earlier_tokens(settings: ExploreSettings, model_name: str) -> int:
    """Tokens of earlier readings that an explorer is shown again: the setting, or what serves this model."""
    known = settings.max_earlier_tokens
    return measured_of(model_name).earlier_tokens if known is None else known
