"""What an embedder wants to read in front of questions and passages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: The E5 family was trained with these words and keeps them in its model cards only (Wang et al. 2022, 2024).
_E5: Final = re.compile(r"(?:^|[/\\_-])e5-(?:small|base|large)(?:-v2|-unsupervised)?$", re.IGNORECASE)
_PASSAGE_KEYS: Final = ("document", "passage", "corpus")


@dataclass(frozen=True, slots=True)
class Prefixes:
    """Put in front of each question and each passage; mostly empty."""

    query: str = ""
    passage: str = ""


def prefixes_of(name: str, prompts: Mapping[str, str | None]) -> Prefixes:
    """The prefixes of the embedder ``name``: its own ``prompts``, else its family's.

    ``prompts`` are looked up as ``encode_query`` and ``encode_document`` of sentence-transformers do.
    """
    if any(prompts.values()):
        passage = next((prompts[key] for key in _PASSAGE_KEYS if prompts.get(key)), None)
        return Prefixes(prompts.get("query") or "", passage or "")
    return Prefixes("query: ", "passage: ") if _E5.search(name) else Prefixes()
