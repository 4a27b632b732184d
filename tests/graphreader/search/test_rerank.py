from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from graphreader.errors import MissingDependencyError
from graphreader.library.protocol import Library
from graphreader.search import search
from graphreader.search.ranked import DEFAULT_WEIGHTS
from graphreader.search.rerank import CrossEncoderReranker, open_reranker, reranked

QUESTION = "Which harbour has a crane, and which valley lies inland?"


class Prefers:
    """A reranker with one favourite text."""

    def __init__(self, word: str) -> None:
        self._word = word

    def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        return [5.0 if self._word in text else -5.0 for text in texts]


def test_a_reranker_moves_passages_with_their_facts_and_chunks(library: Library, paragraphs: dict[str, str]) -> None:
    result = search(library, QUESTION)
    last = result.passages[-1].passage
    moved = reranked(result, QUESTION, Prefers(last.text), replace(DEFAULT_WEIGHTS, rerank=0.9))
    assert moved.passages[0].passage == last
    assert moved.chunks[0].chunk.id == last.chunk_id
    assert moved.facts[0].fact.chunk_id == last.chunk_id
    assert {ranked.passage.id for ranked in moved.passages} == {ranked.passage.id for ranked in result.passages}
    assert {ranked.fact.id for ranked in moved.facts} == {ranked.fact.id for ranked in result.facts}
    scores = [ranked.score for ranked in moved.passages]
    assert scores == sorted(scores, reverse=True)


def test_a_reranker_is_blended_and_none_changes_nothing(library: Library, paragraphs: dict[str, str]) -> None:
    result = search(library, QUESTION)
    assert reranked(result, QUESTION, None, DEFAULT_WEIGHTS) is result
    without_a_say = reranked(result, QUESTION, Prefers("rope"), replace(DEFAULT_WEIGHTS, rerank=0.0))
    assert [ranked.passage.id for ranked in without_a_say.passages] == [ranked.passage.id for ranked in result.passages]
    few = reranked(result, QUESTION, Prefers("rope"), replace(DEFAULT_WEIGHTS, reranked_passages=1))
    assert few is result


def test_no_reranker_is_the_default() -> None:
    assert open_reranker(None) is None
    assert open_reranker("") is None


def test_an_absent_library_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    opened = open_reranker("some-owner/some-cross-encoder")
    assert isinstance(opened, CrossEncoderReranker)
    with pytest.raises(MissingDependencyError, match="pip install sentence-transformers"):
        opened.scores("a question", ["a text"])


def test_a_cross_encoder_in_a_folder_scores_texts(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "harbour", "crane", "valley"]
    (tmp_path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
        num_labels=1,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    opened = open_reranker(str(tmp_path))
    assert opened is not None
    scores = opened.scores("harbour", ["crane harbour", "valley", "crane harbour"])
    assert len(scores) == 3
    assert scores[0] == pytest.approx(scores[2], abs=1e-5)
