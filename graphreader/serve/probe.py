"""Questions to a vLLM on this machine, over plain HTTP: is it ready, what does it serve, is it at work."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException

from graphreader.errors import ServeError

#: Requests under way, and counters that move with every request.
_RUNNING = ("vllm:num_requests_running", "vllm:num_requests_waiting")
_COUNTERS = ("vllm:prompt_tokens_total", "vllm:generation_tokens_total", "vllm:request_success_total")
_CAPACITY = "vllm:cache_config_info"
_LABEL = re.compile(r'(\w+)="([^"]*)"')
#: No proxy from the environment must come between us and the loopback interface.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Activity:
    """Requests under way now, and the sum of the counters; a changed sum means there was work since."""

    requests: float
    counted: float


@dataclass(frozen=True, slots=True)
class Capacity:
    """Tokens that the KV caches of all engines hold, and how many requests of a full window."""

    tokens: int
    max_concurrency: float


def is_healthy(base_url: str, timeout_seconds: float = 5.0) -> bool:
    """Whether GET /health says 200: the model is loaded and the engine lives."""
    return _get(_root(base_url) + "/health", "", timeout_seconds) is not None


def served_context_tokens(base_url: str, api_key: str, model: str, timeout_seconds: float = 5.0) -> int | None:
    """The window of ``model`` as the server reports it; None where nobody answers (yet).

    Raises ``ServeError`` if what answers is no vLLM or serves another model: the port is somebody else's.
    """
    reply = _get(f"{base_url}/models", api_key, timeout_seconds)
    if reply is None:
        return None
    try:
        windows = {str(entry["id"]): entry["max_model_len"] for entry in json.loads(reply)["data"]}
        if model in windows:
            return int(windows[model])  # an adapter beside it has none
    except (ValueError, KeyError, TypeError) as error:
        raise ServeError(f"{base_url} does not answer as vLLM does. Run `graphreader stop`, then again.") from error
    raise ServeError(f"{base_url} serves {', '.join(windows)}, not {model}. Run `graphreader stop`, then again.")


def running_requests(base_url: str, timeout_seconds: float = 5.0) -> float | None:
    """How many requests the engine works on now, those that wait left out; None where GET /metrics does not tell."""
    reply = _get(_root(base_url) + "/metrics", "", timeout_seconds)
    samples = [
        float(line.rpartition(" ")[2])
        for line in (reply or "").splitlines()
        if line.partition("{")[0].partition(" ")[0] == _RUNNING[0]
    ]
    return sum(samples) if samples else None


def activity(base_url: str, timeout_seconds: float = 5.0) -> Activity | None:
    """What GET /metrics tells; None where nobody answers."""
    reply = _get(_root(base_url) + "/metrics", "", timeout_seconds)
    return parse_metrics(reply) if reply is not None else None


def parse_metrics(text: str) -> Activity:
    """The sums of the samples we watch, of all engines, in Prometheus' text format."""
    requests = counted = 0.0
    for line in text.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        if name in _RUNNING:
            requests += float(line.rpartition(" ")[2])
        elif name in _COUNTERS:
            counted += float(line.rpartition(" ")[2])
    return Activity(requests, counted)


def capacity(base_url: str, timeout_seconds: float = 5.0) -> Capacity | None:
    """What the server holds, by GET /metrics; None where it does not say."""
    reply = _get(_root(base_url) + "/metrics", "", timeout_seconds)
    return parse_capacity(reply) if reply is not None else None


def parse_capacity(text: str) -> Capacity | None:
    """From Prometheus' text format, summed over the engines; None where it is not told, or not in numbers."""
    tokens, max_concurrency = 0, 0.0
    for line in text.splitlines():
        if line.partition("{")[0] != _CAPACITY:
            continue
        labels = dict(_LABEL.findall(line))
        try:
            tokens += int(labels["kv_cache_size_tokens"])
            max_concurrency += float(labels["kv_cache_max_concurrency"])
        except (KeyError, ValueError):
            return None
    return Capacity(tokens, max_concurrency) if tokens else None


def _root(base_url: str) -> str:
    return base_url.removesuffix("/v1")


def _get(url: str, api_key: str, timeout_seconds: float) -> str | None:
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        with _OPENER.open(urllib.request.Request(url, headers=headers), timeout=timeout_seconds) as response:
            return str(response.read().decode("utf-8", errors="replace"))
    except urllib.error.HTTPError as error:
        error.close()
        return None
    except (OSError, HTTPException):
        return None
