"""Embedders other than the packaged one: tiny models with random weights, loaded by the name of their folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphreader.errors import WeightsError
from graphreader.llm.bert import TORCH_FROM_TEXTS, BertEmbedder
from graphreader.llm.bert_files import is_plain_bert
from graphreader.llm.embed import Embedder, open_embedder
from graphreader.llm.sentence_transformer import SentenceTransformerEmbedder

pytest.importorskip("sentence_transformers")

WORDS = "<s> <pad> </s> <unk> query passage : the mill was built in 1790 by a miller who came from tarn [ ]".split()
MAX_TOKENS = 32
Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Iterator[Save]:
    """Saves a model of a kind under a folder name, and returns the folder."""
    logging.disable(logging.WARNING)
    yield lambda name, kind="xlm-roberta", **more: _save(tmp_path, name, kind, **more)
    logging.disable(logging.NOTSET)


def _save(parent: Path, name: str, kind: str, *, pooling: str = "mean", prompts: dict[str, str] | None = None) -> Path:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import Tokenizer, pre_tokenizers, processors
    from tokenizers.models import WordLevel
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", pad_token="<pad>", model_max_length=MAX_TOKENS
    )
    config = AutoConfig.for_model(
        kind,
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=MAX_TOKENS + 8,
        pad_token_id=1,
    )
    bare, folder = parent / "bare", parent / name
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(bare)
    tokenizer.save_pretrained(bare)
    modules = [Transformer(str(bare)), Pooling(16, pooling), Normalize()]
    whole = SentenceTransformer(modules=modules, prompts=prompts, device="cpu")
    whole.save_pretrained(str(folder), create_model_card=False)
    return folder


def opened(folder: Path) -> Embedder:
    embedder = open_embedder(str(folder))
    assert embedder is not None
    return embedder


def test_a_folder_of_another_architecture_is_loaded_by_the_general_library(save: Save) -> None:
    embedder = opened(save("some-multilingual-model"))
    assert isinstance(embedder, SentenceTransformerEmbedder)
    assert (embedder.name, embedder.english_only) == ("some-multilingual-model", False)
    assert (embedder.dimensions, embedder.max_tokens) == (16, MAX_TOKENS)
    vectors = embedder.embed(["the mill was built", "", "a miller came"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(embedder.embed_queries(["a miller came"])[0], vectors[2], atol=1e-5)
    assert embedder.embed([]).shape == (0, 16)


@pytest.mark.parametrize("kind", ["xlm-roberta", "bert"])
def test_the_e5_family_is_told_apart_questions_and_passages(save: Save, kind: str) -> None:
    plain, e5 = opened(save("plain", kind)), opened(save("multilingual-e5-small", kind))
    assert isinstance(e5, BertEmbedder) is (kind == "bert")
    text = "the mill was built in 1790"
    expected = plain.embed([f"query: {text}", f"passage: {text}"])
    np.testing.assert_allclose(e5.embed_queries([text])[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(e5.embed([text])[0], expected[1], atol=1e-5)


@pytest.mark.parametrize("kind", ["xlm-roberta", "bert"])
def test_prompts_that_a_model_brings_are_used(save: Save, kind: str) -> None:
    plain = opened(save("plain", kind))
    prompted = opened(save("e5-small-tuned", kind, prompts={"query": "a miller : ", "document": "[ ] "}))
    text = "the mill was built in 1790"
    expected = plain.embed([f"a miller : {text}", f"[ ] {text}"])
    np.testing.assert_allclose(prompted.embed_queries([text])[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(prompted.embed([text])[0], expected[1], atol=1e-5)


def test_what_is_beyond_the_window_of_a_small_model_is_seen_too(save: Save) -> None:
    embedder = opened(save("multilingual-e5-small"))
    inside = "the mill was built in 1790 " * 8
    alone, followed, other = embedder.embed([inside, inside + "from tarn came a miller who " * 8, "from tarn"])
    assert abs(float(alone @ followed)) < 0.9999
    assert float(followed @ other) != pytest.approx(float(alone @ other), abs=1e-4)


@pytest.mark.parametrize("bulk", [False, True])
def test_the_own_reader_agrees_with_the_general_library(save: Save, bulk: bool) -> None:
    folder = save("plain", "bert")
    own = opened(folder)
    assert isinstance(own, BertEmbedder)
    assert own.max_tokens == MAX_TOKENS
    texts = [" ".join(WORDS[4 : 5 + place]) for place in range(TORCH_FROM_TEXTS + 3 if bulk else 3)]
    general = SentenceTransformerEmbedder(str(folder), "plain", english_only=False)
    assert (own.embed(texts) * general.embed(texts)).sum(axis=1).min() > (0.999 if bulk else 0.99999)


def test_only_mean_pooling_without_further_layers_is_read_here(save: Save) -> None:
    assert not is_plain_bert(save("by-first-token", "bert", pooling="cls"))
    folder = save("plain", "bert")
    assert is_plain_bert(folder)
    modules: list[dict[str, Any]] = json.loads((folder / "modules.json").read_text())
    dense = {"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence_transformers.models.Dense"}
    (folder / "modules.json").write_text(json.dumps([*modules, dense]))
    assert not is_plain_bert(folder)


def test_a_folder_of_the_hubs_cache_has_the_models_name(save: Save, tmp_path: Path) -> None:
    cached = tmp_path / "hub" / "models--intfloat--multilingual-e5-small" / "snapshots" / "0a1b"
    cached.parent.mkdir(parents=True)
    save("plain", "bert").rename(cached)
    assert opened(cached).name == "intfloat/multilingual-e5-small"


def test_a_model_that_cannot_be_loaded_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"broken.*search\.embedder"):
        opened(tmp_path / "broken").embed(["anything"])
