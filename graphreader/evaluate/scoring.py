"""From what came of a question to its scores: answer against gold, evidence at every stage, citations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graphreader.evaluate.asking import Outcome
from graphreader.evaluate.cases import Case
from graphreader.evaluate.corpus import Corpus
from graphreader.evaluate.metrics import Cited, Span, citation_precision, evidence_recall, score_answer
from graphreader.records import Citation, TraceStep

#: What evidence passes through, in this order: put forward by search or walk, shown to the model, noted, quoted.
STAGES = ("retrieved", "read", "noted", "cited")
#: Details of trace steps that hold spans, by the stage at which they were.
_DETAILS = {"retrieved": ("found", "shown", "evidence"), "read": ("shown", "evidence"), "noted": ("notes",)}
_MAIN_SCORES = ("choice", "keyword_f1", "f1")

#: A span of the library.
_Place = tuple[str, int, int]


def main_score(scores: Mapping[str, float]) -> float | None:
    """The one number of a question: the score that its kind is judged by, ``choice``, ``keyword_f1`` or ``f1``."""
    return next((scores[name] for name in _MAIN_SCORES if name in scores), None)


def scores_of(case: Case, outcome: Outcome, corpus: Corpus, language: str) -> dict[str, float]:
    """The scores of an answer; those of citations only where there are some."""
    conclusion = outcome.conclusion
    scores = score_answer(case, conclusion.answer, conclusion.answerable, language)
    scores["score"] = main_score(scores) or 0.0
    cited = [_cited(citation, corpus) for citation in conclusion.citations]
    precision = citation_precision(
        [entry for entry in cited if entry is not None], _Texts(corpus), corpus.evidence(case)
    )
    if precision is not None:
        scores["citation_verbatim"] = precision.verbatim
        if precision.supporting:
            scores["citation_supporting"] = max(precision.supporting.values())
    return scores


def no_scores(case: Case, language: str) -> dict[str, float]:
    """The scores of a question that failed: each that an answer would have had, at 0."""
    return dict.fromkeys([*score_answer(case, "", not case.answerable, language), "score"], 0.0)


def recall_of(case: Case, outcome: Outcome, corpus: Corpus, stages: Sequence[str]) -> dict[str, dict[str, float]]:
    """The share of the gold evidence that was there at each stage, by unit: 0 at one of ``stages``, those of the mode,
    that the question never came to; others that it did come to are told as well.
    """
    gold = corpus.evidence(case)
    if not gold or not stages:
        return {}
    places = {stage: _places(outcome.trace, names) for stage, names in _DETAILS.items()}
    places["cited"] = [(entry.document_id, entry.start, entry.end) for entry in outcome.conclusion.citations]
    found = {}
    for stage, at in places.items():
        if at is not None or stage in stages:
            recalls = evidence_recall(gold, _spans(at or [], corpus))
            found[stage] = {unit.value: recall.share for unit, recall in recalls.items()}
    return found


def no_recall(case: Case, corpus: Corpus, stages: Sequence[str]) -> dict[str, dict[str, float]]:
    """The recall of a question that failed: nothing at any stage of its mode."""
    units = sorted({piece.unit.value for piece in corpus.evidence(case)})
    return {stage: dict.fromkeys(units, 0.0) for stage in stages} if units else {}


def _places(trace: Sequence[TraceStep], names: Sequence[str]) -> list[_Place] | None:
    """The spans in these details of all steps; None where no step has any of them."""
    details = (step.detail.get(name) for step in trace for name in names)
    held = [detail for detail in details if isinstance(detail, list)]
    if not held:
        return None
    return list(dict.fromkeys((entry[0], entry[1], entry[2]) for entries in held for entry in entries))


def _spans(places: Sequence[_Place], corpus: Corpus) -> list[Span]:
    return [span for document_id, start, end in places for span in corpus.spans(document_id, start, end)]


def _cited(citation: Citation, corpus: Corpus) -> Cited | None:
    spans = corpus.spans(citation.document_id, citation.start, citation.end)
    if not spans:
        return None
    whole = Span(spans[0].document, citation.start, citation.end)
    return Cited(whole, citation.quote, tuple(span for span in spans if span.document == whole.document))


class _Texts(Mapping[str, str]):
    """The texts of documents by key, each read when it is looked at."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus

    def __getitem__(self, key: str) -> str:
        if key not in self._corpus.ids:
            raise KeyError(key)
        return self._corpus.text(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._corpus.ids)

    def __len__(self) -> int:
        return len(self._corpus.ids)


def plain_trace(outcome: Outcome) -> list[dict[str, Any]]:
    """The steps as JSON values."""
    return [{"actor": step.actor, "action": step.action, "detail": dict(step.detail)} for step in outcome.trace]
