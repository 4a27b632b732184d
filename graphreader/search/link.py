"""From a question to the key elements that it names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from graphreader.ingest.normalise import normalise
from graphreader.ingest.phrases import key_elements_of_question
from graphreader.search.question import Query
from graphreader.search.walk import Graph
from graphreader.text.terms import terms

#: A link by shared words counts this much beside an exact one.
_LOOSE_LINK: Final = 0.5
#: So many words at least must agree for a loose link, or it must be all words of a shorter candidate's name.
_LOOSE_WORDS: Final = 2
#: An ordinary word counts this much: as a key element it is rare ("Ship" in a heading), as a word it is not.
_WORD_LINK: Final = 0.3


def link_question(graph: Graph, queries: Sequence[Query], near_passages: Iterable[str]) -> dict[str, float]:
    """Key elements that the queries name, hubs among them: name -> strength, 1 for an exact match.

    Exact matches of the normalised candidates come first, then other spellings that a document itself gave ("DPO" for
    "days payable outstanding"). Where the question inflects or shortens a name ("Harbour
    Light" for "harbour light trust"), the key elements of ``near_passages`` are compared by their stemmed words.
    """
    weights: dict[str, float] = {}
    for query in queries:
        for name in key_elements_of_question(query.text):
            weights[name] = max(weights.get(name, 0.0), query.weight if query.adds else 1.0)
    candidates = list(weights)
    graph.describe(candidates)
    proper = _capitalised(queries)
    linked = {
        name: weights[name]
        * (
            1.0
            if " " in name or not proper or name in proper or not (name.isalpha() and name.isascii())
            else _WORD_LINK
        )
        for name in candidates
        if name in graph.summaries
    }
    open_candidates = [name for name in candidates if name not in graph.summaries]
    open_names = frozenset(open_candidates)
    graph.add_passages(near_passages)
    around = {name for passage in graph.key_elements for name in graph.key_elements[passage]}
    asked = [frozenset(words) for words in map(terms, open_candidates) if words]
    question_words = {word for query in queries for word in terms(query.words)}
    for name in sorted(around - linked.keys()):
        if aliases := open_names & {normalise(spelling) for spelling in graph.summaries[name].spellings}:
            linked[name] = max(weights[alias] for alias in aliases)
        elif _is_loosely_named(frozenset(terms(name)), asked, question_words):
            linked[name] = _LOOSE_LINK
    return linked


def _capitalised(queries: Sequence[Query]) -> frozenset[str]:
    """Normalised words with a capital within a query, past its first word; empty where capitals are not used at all."""
    words = (word for query in queries for word in query.text.split()[1:])
    return frozenset(part for word in words if not word.islower() for part in normalise(word).split())


def _is_loosely_named(words: frozenset[str], asked: Sequence[frozenset[str]], question_words: set[str]) -> bool:
    if len(words) >= _LOOSE_WORDS and words <= question_words:
        return True
    return any(len(candidate) >= _LOOSE_WORDS and candidate <= words for candidate in asked)
