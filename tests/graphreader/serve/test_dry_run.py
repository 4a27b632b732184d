"""``serve --dry-run``, and what is refused before anything is started."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from model_configs import QWEN25_15B

from graphreader.errors import PlanError, ServeError, WeightsError
from graphreader.plan.sizes import GIB
from graphreader.serve import launch, quantize
from graphreader.serve.hardware import Hardware
from graphreader.serve.options import ServeOptions

ROOT = Path(launch.__file__).parents[2]
CPU = Hardware(uses_gpu=False, core_ids=(0, 1), memory_bytes=24 * GIB, available_bytes=24 * GIB)
GPU = Hardware(uses_gpu=True, core_ids=(0,), gpu_count=1, gpu_memory_bytes=24 * GIB)


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A model of which nothing but the config is here."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(QWEN25_15B))
    return str(folder)


@pytest.fixture
def taken_port() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def test_the_command_line_shows_all_and_starts_nothing(model: str) -> None:
    # What is heavy is not imported, so it need not be installed either.
    script = (
        "import sys\nfrom graphreader.cli import app\n"
        "try:\n    app()\nfinally:\n    loaded = {'vllm', 'torch', 'transformers'} & set(sys.modules)\n"
        "    assert not loaded, loaded\n"
    )
    line = [sys.executable, "-c", script, "serve", model, "--context", "64k", "--rope", "yarn", "--kv-dtype", "fp8"]
    line += ["--block-size", "64", "--batched-tokens", "1024", "--speculative-ngram", "4", "--compiled", "--dry-run"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.replace(" \\\n", " ")
    for wanted in (
        "VLLM_API_KEY=***",
        f"--model {model}",
        "--max-model-len 65536",
        "--kv-cache-dtype fp8",
        "--block-size 64",
        "--max-num-batched-tokens 1024",
        '"original_max_position_embeddings":32768',
        '"method":"ngram"',
    ):
        assert wanted in shown
    assert "--enforce-eager" not in shown
    assert "a window of 65,536 tokens; the KV cache holds" in done.stderr
    assert "Note: YaRN ×2" in done.stderr


def test_settings_say_the_same_as_flags(model: str, tmp_path: Path) -> None:
    (tmp_path / "cwd" / "graphreader.toml").write_text(
        f'[model]\nname = "{model}"\n[serve]\ncontext_tokens = 65536\nrope = "linear"\nport = 0\n'.replace(
            "port = 0\n", ""
        )
    )
    line = [sys.executable, "-m", "graphreader", "serve", "--rope", "ntk", "--dry-run"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "--max-model-len 65536" in done.stdout
    assert '"rope_type":"dynamic"' in done.stdout  # the flag won


def test_int8_is_shown_where_it_will_be(model: str, tmp_path: Path) -> None:
    made = launch.dry_run(model, ServeOptions(quantization="int8"), tmp_path, CPU)
    assert f"--model {quantize.int8_folder(Path(model), tmp_path)}" in made.command
    plain = launch.dry_run(model, ServeOptions(), tmp_path, CPU)
    assert made.plan.memory.weights_bytes < 0.7 * plain.plan.memory.weights_bytes


def test_for_a_gpu_without_one(model: str) -> None:
    made = launch.dry_run(model, ServeOptions(attention_backend="FLASHINFER", kv_cache_dtype="fp8"), None, GPU)
    assert "--attention-backend FLASHINFER" in made.command
    assert "VLLM_CPU" not in made.command


def test_a_port_in_use_names_one_that_is_free(model: str, taken_port: socket.socket) -> None:
    port = taken_port.getsockname()[1]
    with taken_port, pytest.raises(ServeError, match=rf"Port {port} is in use.*use --port (\d+)") as caught:
        launch.dry_run(model, ServeOptions(port=port))
    nearest = int(str(caught.value).partition("--port ")[2].partition(",")[0])
    assert nearest > port
    assert launch.checked_port(nearest) == nearest


def test_what_is_wrong_is_said_before_weights_are_touched(model: str, tmp_path: Path) -> None:
    if find_spec("vllm") is None:
        pytest.skip("vLLM is not installed")
    # There are no weights in the folder: a check that came after them would never be reached.
    with pytest.raises(PlanError, match="--context"):
        launch.plan_vllm(model, ServeOptions(context_tokens=100_000_000))
    with pytest.raises(PlanError, match=r"attention backend"):
        launch.plan_vllm(model, ServeOptions(attention_backend="NO_SUCH"))
    with pytest.raises(WeightsError, match="is no adapter"):
        launch.plan_vllm(model, ServeOptions(lora_modules=(("law", str(tmp_path)),)))
    with pytest.raises(WeightsError, match="No model 'unheard-of'"):
        launch.plan_vllm("unheard-of", ServeOptions())


def test_an_adapter_that_answers_must_be_served() -> None:
    from graphreader.errors import SettingsError
    from graphreader.settings import Settings

    with pytest.raises(SettingsError, match=r"serve\.adapter 'law' is none of serve\.lora_modules"):
        Settings.load(serve={"adapter": "law"})
    assert Settings.load(serve={"adapter": "law", "lora_modules": {"law": "x"}}).serve.adapter == "law"
