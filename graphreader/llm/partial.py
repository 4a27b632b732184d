"""Text out of a JSON reply that is still being generated. Pure."""

from __future__ import annotations

import json
import re

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_VALUE = re.compile(r'\s*:\s*(")?')
#: What can be decoded: an escape that is not whole yet, or half of a surrogate pair, waits.
_WHOLE = re.compile(
    r'(?:[^"\\]|\\["\\/bfnrt]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}'
    r"|\\u(?![dD][89abAB])[0-9a-fA-F]{4})*"
)


def partial_string(beginning: str, field: str) -> str:
    """As much of the string value of ``field`` as the beginning of a JSON text holds; empty where there is none yet.

    The field counts wherever it stands as a key, never within another string.
    """
    for found in _STRING.finditer(beginning):
        value = _VALUE.match(beginning, found.end())
        if value is None or found[0] != f'"{field}"':
            continue
        if value[1] is None:
            return ""
        whole = _WHOLE.match(beginning, value.end())
        return str(json.loads(f'"{whole[0]}"', strict=False)) if whole is not None else ""
    return ""


class StringReader:
    """Tells the new characters of one field's text, piece by piece."""

    def __init__(self, field: str) -> None:
        self._field = field
        self._received = ""
        self._told = 0

    def new_text(self, piece: str) -> str:
        """What ``piece``, the next one of the reply, adds to the field's text."""
        self._received += piece
        text = partial_string(self._received, self._field)
        new = text[self._told :]
        self._told = max(self._told, len(text))
        return new
