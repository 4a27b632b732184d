"""Metrics: pure functions of answers, evidence and scores; none knows where they come from."""

from graphreader.evaluate.metrics.answers import (
    chosen_letters,
    contains,
    exact_match,
    keyword_f1,
    rouge_l,
    score_answer,
    token_f1,
)
from graphreader.evaluate.metrics.evidence import (
    CitationPrecision,
    Cited,
    Span,
    UnitRecall,
    citation_precision,
    evidence_recall,
)
from graphreader.evaluate.metrics.statistics import Difference, Interval, bootstrap_interval, paired_difference

__all__ = [
    "CitationPrecision",
    "Cited",
    "Difference",
    "Interval",
    "Span",
    "UnitRecall",
    "bootstrap_interval",
    "chosen_letters",
    "citation_precision",
    "contains",
    "evidence_recall",
    "exact_match",
    "keyword_f1",
    "paired_difference",
    "rouge_l",
    "score_answer",
    "token_f1",
]
