"""The command `plan`, as a user runs it; and where configs come from."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import model_configs as models
import pytest
from typer.testing import CliRunner

from graphreader.cli import app
from graphreader.errors import WeightsError
from graphreader.serve.gguf_config import config_of
from graphreader.serve.model_config import find_config


@pytest.fixture
def llama() -> str:
    Path("llama").mkdir()
    Path("llama/config.json").write_text(json.dumps(models.LLAMA31_8B), encoding="utf-8")
    return "llama"


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["plan", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_json_has_every_field(llama: str) -> None:
    code, stdout, _ = run(llama, "--memory", "80GiB", "--context", "128k", "--kv-dtype", "fp8", "--json")
    assert code == 0
    made = json.loads(stdout)
    assert made["kv_bytes_per_token"] == 65_536
    assert made["max_model_len"] == 131_072
    assert made["device"] == "gpu"
    wanted = (
        "attention position_encoding capacity_tokens max_concurrency native_context hf_overrides vllm_args warnings"
    )
    assert set(wanted.split()) <= made.keys()


def test_the_terminal_shows_what_fits_and_how_to_run_it(llama: str) -> None:
    code, stdout, _ = run(llama, "--device", "cpu", "--kv-memory", "20GiB")
    words = " ".join(stdout.split())
    assert code == 0
    assert "grouped-query: 32 query heads on 8 KV heads" in words
    assert "128 KiB a token" in words
    assert "1.25 requests of 131,072 at once" in words
    assert "native window 131,072 tokens (128k)" in words
    assert "--max-model-len 131072" in words


def test_without_memory_a_cpu_gets_the_cache_of_the_settings(llama: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHREADER_SERVE__KV_CACHE_GIB", "3")
    code, stdout, _ = run(llama, "--device", "cpu", "--json")
    assert code == 0
    assert json.loads(stdout)["memory"]["kv_bytes"] == 3 * 1024**3


def test_the_impossible_is_one_sentence_and_code_1(llama: str) -> None:
    code, stdout, stderr = run(llama, "--tensor-parallel", "3", "--device", "gpu")
    assert (code, stdout) == (1, "")
    assert "--tensor-parallel 2 or 4" in " ".join(stderr.split())
    assert run(llama, "--memory", "much")[0] == 1
    assert run(llama, "--rope", "alibi")[0] == 2


def test_a_file_a_folder_and_the_size_of_its_weights(llama: str) -> None:
    assert find_config("llama/config.json").config == models.LLAMA31_8B
    assert find_config(llama).weights_bytes is None
    Path("llama/model.safetensors").write_bytes(b"x" * 1000)
    assert find_config(llama).weights_bytes == 1000


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("nothing", ["No model 'nothing'", "smollm2-135m-instruct"]),
        ("empty", ["no config.json"]),
        ("broken.json", ["cannot be read as JSON"]),
        ("list.json", ["no JSON object"]),
    ],
)
def test_what_is_no_model_is_named_with_its_mend(model: str, words: list[str]) -> None:
    Path("empty").mkdir()
    Path("broken.json").write_text("{", encoding="utf-8")
    Path("list.json").write_text("[]", encoding="utf-8")
    with pytest.raises(WeightsError) as caught:
        find_config(model)
    for word in words:
        assert word in str(caught.value)


def test_offline_a_hub_id_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"^nobody/nothing: .*not in the cache; HF_HUB_OFFLINE is set\. Check"):
        find_config("nobody/nothing")


def gguf(**values: Any) -> bytes:
    """A header with numbers, strings, and lists of strings."""
    parts = [b"GGUF", struct.pack("<IQQ", 3, 0, len(values))]
    for name, value in values.items():
        key = name.replace("__", ".").encode()
        parts.append(struct.pack("<Q", len(key)) + key)
        if isinstance(value, str):
            parts.append(struct.pack("<IQ", 8, len(value)) + value.encode())
        elif isinstance(value, list):
            parts.append(struct.pack("<IIQ", 9, 8, len(value)))
            parts += [struct.pack("<Q", len(item)) + item.encode() for item in value]
        elif isinstance(value, float):
            parts.append(struct.pack("<If", 6, value))
        else:
            parts.append(struct.pack("<II", 4, value))
    return b"".join(parts)


def test_a_gguf_header_says_what_a_config_would() -> None:
    header = gguf(
        general__architecture="llama",
        general__name="tiny",
        llama__embedding_length=64,
        llama__feed_forward_length=128,
        llama__block_count=2,
        llama__attention__head_count=4,
        llama__attention__head_count_kv=2,
        llama__context_length=512,
        llama__rope__freq_base=5000.0,
        tokenizer__ggml__tokens=["a", "b", "c"],
    )
    Path("tiny.gguf").write_bytes(header)
    config = config_of(Path("tiny.gguf"))
    assert (config["vocab_size"], config["rope_theta"], config["num_key_value_heads"]) == (3, 5000.0, 2)
    Path("cut.gguf").write_bytes(header[:100])
    with pytest.raises(WeightsError, match="cannot be read"):
        config_of(Path("cut.gguf"))
    Path("other.gguf").write_bytes(gguf(general__architecture="bert"))
    with pytest.raises(WeightsError, match="'bert'"):
        config_of(Path("other.gguf"))
