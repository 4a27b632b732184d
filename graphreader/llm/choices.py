"""How sure a model was of one of its choices: the probabilities of an enumerated field's values in a reply."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

#: A token that was sampled, and the likeliest tokens at its place with the logarithms of their probabilities.
TokenChoice: TypeAlias = tuple[str, Mapping[str, float]]


def field_probabilities(tokens: Iterable[TokenChoice], field: str, values: Sequence[str]) -> dict[str, float]:
    """The probability of each of ``values`` for the string ``field`` of a JSON reply, adding up to 1.

    Read at the first token that holds part of the value: no two values may begin alike there. A value that is not among
    the likeliest tokens counts as 0; empty where the reply does not get as far, or none of the values is among them.
    """
    opening = re.compile(rf'"{re.escape(field)}"\s*:\s*"(?P<part>.+)$', re.DOTALL)
    text = ""
    for token, likeliest in tokens:
        if opening.search(text + token):
            found = {candidate: opening.search(text + candidate) for candidate in likeliest}
            parts = {candidate: match["part"] for candidate, match in found.items() if match is not None}
            mass = dict.fromkeys(values, 0.0)
            for candidate, part in parts.items():
                meant = [value for value in values if f'{value}"'.startswith(part) or part.startswith(f'{value}"')]
                if len(meant) == 1:
                    mass[meant[0]] += math.exp(likeliest[candidate])
            total = sum(mass.values())
            return {value: share / total for value, share in mass.items()} if total else {}
        text += token
    return {}
