"""A config.json as vLLM sees it: the text model's part, other spellings, what transformers assumes where it is silent.

``defaults.json`` is made by ``requirements/model_defaults.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from graphreader.errors import PlanError

#: Where multimodal configs keep the model of the text.
_TEXT_PARTS = ("text_config", "language_config", "llm_config", "decoder", "thinker_config")


class ModelConfig:
    """Looks values up: as written, in the model type's own spelling, then the default. Null stays None.

    ``text_path`` are the names that lead to the text part; empty for a plain model.
    """

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self.text_path, self.text = _text_part(raw)
        outer_type = str(raw.get("model_type") or "")
        self.model_type = str(self.text.get("model_type") or outer_type)
        defaults = _defaults()
        found = defaults.get(self.model_type) or defaults.get(outer_type)
        if isinstance(found, str):  # a multimodal model: the type of its text part
            self.model_type = found if self.text_path else self.model_type
            found = defaults.get(found)
        self.is_known = found is not None
        self._defaults: dict[str, Any] = found if isinstance(found, dict) else {}
        self._spelled: dict[str, str] = self._defaults.get("spelled", {})

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - any JSON value
        """The value of a name, or ``default`` where neither the file nor its type says anything."""
        for key in (name, self._spelled.get(name)):
            if key is not None and key in self.text:
                return self.text[key]
        return self._defaults.get(name, default)

    def says(self, name: str) -> bool:
        """Whether the file itself gives the name, in one spelling or the other."""
        return name in self.text or self._spelled.get(name) in self.text

    def default(self, name: str) -> Any:  # noqa: ANN401 - any JSON value
        """What the model type assumes, whatever the file says."""
        return self._defaults.get(name)

    def spelling(self, name: str) -> str:
        """The name as this file has it, or as its type spells it."""
        return name if name in self.text else self._spelled.get(name, name)

    def first(self, *names: str) -> Any:  # noqa: ANN401 - any JSON value
        """The first of these that is not None."""
        return next((value for name in names if (value := self.get(name)) is not None), None)

    def count(self, *names: str) -> int:
        """The first of these as a number; 0 where none is given. Raises ``PlanError`` where it is no number."""
        value = next((v for name in names if (v := self.get(name)) not in (None, "auto")), None)
        if isinstance(value, list) and value:
            value = max(value)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise PlanError(f"config.json: {names[0]} is {value!r}, not a number. Restore the model's config.json.")
        return int(value)

    @property
    def dtype(self) -> str:
        """Of the weights before quantisation, e.g. ``bfloat16``; float32 where nothing is said, as vLLM takes it."""
        named = next((c[key] for c in (self.raw, self.text) for key in ("dtype", "torch_dtype") if c.get(key)), None)
        return str(named or "float32").removeprefix("torch.")

    @property
    def quantization(self) -> Mapping[str, Any]:
        """The quantisation of the weights, empty where there is none."""
        for part in (self.raw, self.text):
            for key in ("quantization_config", "compression_config"):
                if isinstance(part.get(key), Mapping):
                    return dict(part[key])
        return {}


def _text_part(raw: Mapping[str, Any]) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    path: list[str] = []
    part = raw
    while (name := next((name for name in _TEXT_PARTS if isinstance(part.get(name), Mapping)), None)) is not None:
        path.append(name)
        part = part[name]
    return tuple(path), part


@cache
def _defaults() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((files(__package__) / "defaults.json").read_text(encoding="utf-8"))
    return loaded
