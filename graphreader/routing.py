"""What mode ``auto`` looks at beside the question: sizes, what the server has cached, how fast it has been lately.

Everything is told from what the library keeps; nothing is asked of the model. The rules stand in ``agent.route``.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphreader.agent.route import Route, Situation, choose_mode
from graphreader.agent.whole import Reading, chunks_within, prefix_of
from graphreader.library.protocol import Library
from graphreader.llm.protocol import ChatModel
from graphreader.records import Mode, Usage
from graphreader.search import SearchResult
from graphreader.settings import Settings
from graphreader.text.terms import terms

#: The record of which documents were lately sent whole, and to which endpoint.
_PREFIXES = "whole-prefixes"
#: A server keeps prefixes until it needs their memory; how long that is, none of them says.
_CACHED_SECONDS = 1800.0
#: Answers from which the pace of an endpoint is told, and the passages among which the clearest is looked for.
_PACE_ANSWERS = 20
_CLEAREST_PASSAGES = 3


@dataclass(frozen=True, slots=True)
class Pace:
    """What an endpoint's answers have cost lately; None where no answer tells.

    ``seconds_per_1000_tokens`` is of prompt that was not cached. ``graph_seconds`` and ``graph_tokens`` (of prompts and
    replies) are means over explorations.
    """

    seconds_per_1000_tokens: float | None = None
    graph_seconds: float | None = None
    graph_tokens: float | None = None


def endpoint_of(settings: Settings, model: ChatModel) -> str:
    """A name for server, model and tenant together: what one has cached says nothing of another."""
    salt = settings.model.cache_salt.get_secret_value() if settings.model.cache_salt else ""
    identity = json.dumps([settings.model.base_url or "", model.name, salt])
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def routed(
    library: Library,
    model: ChatModel,
    question: str,
    document_ids: Sequence[str],
    found: SearchResult,
    settings: Settings,
) -> Route:
    """The mode for a question by documents, window, cache, budget, and what search and earlier answers tell."""
    endpoint = endpoint_of(settings, model)
    chunks, tokens = chunks_within(library, document_ids, model.context_tokens)
    pace = pace_of(library.answers(_PACE_ANSWERS), endpoint)
    situation = Situation(
        document_tokens=tokens,
        window_tokens=model.context_tokens,
        is_cached=tokens <= model.context_tokens and is_cached(library, endpoint, prefix_of(chunks)),
        max_whole_tokens=settings.full.max_auto_tokens,
        best_coverage=best_coverage(question, found),
        seconds_per_1000_tokens=pace.seconds_per_1000_tokens,
        graph_seconds=pace.graph_seconds,
        graph_tokens=pace.graph_tokens,
        max_tokens=settings.explore.max_total_tokens,
        max_seconds=settings.explore.max_seconds,
    )
    return choose_mode(question, situation)


def best_coverage(question: str, found: SearchResult) -> float | None:
    """The share of the question's words in that of the best passages which holds most of them; None without any."""
    wanted = set(terms(question))
    held = [len(wanted & set(terms(ranked.passage.text))) for ranked in found.passages[:_CLEAREST_PASSAGES]]
    return max(held) / len(wanted) if held and wanted else None


def pace_of(answers: Sequence[Mapping[str, Any]], endpoint: str) -> Pace:
    """The pace that recorded answers of ``endpoint`` tell.

    No answer takes less than reading its prompt, so each sets a bound; the lowest is the nearest to the truth. A token
    of a far longer prompt costs more than it tells, since attention grows with the square of the length.
    """
    own = [answer for answer in answers if answer.get("endpoint") == endpoint]
    bounds = []
    for answer in own:
        usage = Usage(**answer["usage"])
        if (read := usage.prompt_tokens - usage.cached_tokens) > 0:
            bounds.append(1000 * usage.seconds / read)
    explored = [Usage(**answer["usage"]) for answer in own if answer["mode"] == Mode.GRAPH]
    if not explored:
        return Pace(min(bounds, default=None))
    seconds = sum(usage.seconds for usage in explored)
    tokens = sum(usage.prompt_tokens + usage.completion_tokens for usage in explored)
    return Pace(min(bounds, default=None), seconds / len(explored), tokens / len(explored))


def is_cached(library: Library, endpoint: str, prefix: str) -> bool:
    """Whether ``endpoint`` was sent this prefix a short while ago, and keeps what it is sent as far as is known."""
    sent, is_kept = _sent_lately(library, endpoint, prefix)
    return sent and is_kept


def remember_sent(library: Library, endpoint: str, reading: Reading, cached_tokens: int) -> None:
    """Record that ``reading`` was sent, and how many of its prompt's tokens were cached.

    Sent again within a short while most of it should have been: if not, nothing is kept there, or the endpoint does not
    tell, and from then on it is not counted on.
    """
    sent, is_kept = _sent_lately(library, endpoint, reading.prefix)
    if sent:
        is_kept = 2 * cached_tokens >= reading.token_count
    record = json.dumps({"time": time.time(), "is_kept": is_kept})
    library.put_run_record(_PREFIXES, endpoint, reading.prefix, record.encode())


def _sent_lately(library: Library, endpoint: str, prefix: str) -> tuple[bool, bool]:
    """Whether it was, and whether it is kept there; the latter is assumed until it is known."""
    record = library.run_records(_PREFIXES, endpoint, prefix).get(prefix)
    if record is None:
        return False, True
    sent = json.loads(record)
    return time.time() - sent["time"] < _CACHED_SECONDS, bool(sent["is_kept"])
