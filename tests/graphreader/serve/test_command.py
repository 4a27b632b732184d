"""The command line and environment of vLLM."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphreader.errors import WeightsError
from graphreader.serve import command, hardware
from graphreader.serve.command import ServeOptions
from graphreader.serve.hardware import Hardware

CPU = Hardware(uses_gpu=False, core_ids=(0, 1))
GPU = Hardware(uses_gpu=True, core_ids=(0, 1))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 8192}))
    return tmp_path


def value(line: list[str], flag: str) -> str:
    return line[line.index(flag) + 1]


def test_the_command_for_a_cpu(model: Path) -> None:
    line = command.arguments(model, "tiny", 4321, ServeOptions(), CPU)
    assert line[0] == sys.executable
    assert value(line, "-m") == "vllm.entrypoints.launchers.api_server.entry"
    assert value(line, "--model") == str(model)
    assert value(line, "--served-model-name") == "tiny"
    assert value(line, "--host") == "127.0.0.1"
    assert value(line, "--port") == "4321"
    assert value(line, "--block-size") == "32"
    assert json.loads(value(line, "--structured-outputs-config")) == {
        "backend": "xgrammar",
        "disable_any_whitespace": True,
    }
    assert "--enforce-eager" in line
    assert "--enforce-eager" not in command.arguments(model, "tiny", 1, ServeOptions(compiled=True), CPU)


def test_a_gpu_gets_vllms_own_defaults(model: Path) -> None:
    line = command.arguments(model, "tiny", 1, ServeOptions(), GPU)
    assert not {"--enforce-eager", "--block-size"} & set(line)
    made = command.environment({}, "key", ServeOptions(), GPU)
    assert not [name for name in made if "CPU" in name or name == "LD_PRELOAD"]


def test_extra_arguments_come_last(model: Path) -> None:
    options = ServeOptions(extra_arguments=("--max-model-len", "77"))
    assert command.arguments(model, "tiny", 1, options, CPU)[-2:] == ["--max-model-len", "77"]


def test_the_window_is_no_larger_than_the_models_own(model: Path) -> None:
    assert command.context_tokens(model, ServeOptions(max_context_tokens=16_384)) == 8192
    assert command.context_tokens(model, ServeOptions(max_context_tokens=2048)) == 2048
    (model / "config.json").write_text(json.dumps({"text_config": {"max_position_embeddings": 1024}}))
    assert command.context_tokens(model, ServeOptions()) == 1024
    (model / "config.json").write_text("{")
    with pytest.raises(WeightsError, match=r"config\.json cannot be read"):
        command.context_tokens(model, ServeOptions())


def test_the_key_is_in_the_environment_only(model: Path) -> None:
    line = command.arguments(model, "tiny", 1, ServeOptions(), CPU)
    made = command.environment({"HOME": "here"}, "s3cret", ServeOptions(), CPU)
    assert made["VLLM_API_KEY"] == "s3cret"
    assert made["HOME"] == "here"
    assert "s3cret" not in " ".join(line)


def test_memory_threads_and_the_openmp_library() -> None:
    machine = Hardware(uses_gpu=False, core_ids=(0, 1), openmp_library=Path("/lib/libiomp5.so"))
    made = command.environment({"LD_PRELOAD": "/lib/other.so"}, "key", ServeOptions(kv_cache_gib=3), machine)
    assert made["VLLM_CPU_KVCACHE_SPACE"] == "3"
    assert made["VLLM_CPU_OMP_THREADS_BIND"] == "0,1"
    assert made["LD_PRELOAD"] == "/lib/libiomp5.so:/lib/other.so"
    again = command.environment(made, "key", ServeOptions(), machine)
    assert again["LD_PRELOAD"] == made["LD_PRELOAD"]


def test_the_users_own_thread_binding_stays() -> None:
    made = command.environment({"VLLM_CPU_OMP_THREADS_BIND": "nobind"}, "key", ServeOptions(), CPU)
    assert made["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"


def test_python_warnings_of_the_caller_stay_out() -> None:
    assert "PYTHONWARNINGS" not in command.environment({"PYTHONWARNINGS": "error"}, "key", ServeOptions(), CPU)


@pytest.mark.parametrize(
    ("core_ids", "binding"),
    [((0, 1), "0,1"), ((0, 2, 4, 6), "0,2,4,6"), (tuple(range(5)), "auto"), ((), "auto")],
)
def test_thread_binding(core_ids: tuple[int, ...], binding: str) -> None:
    assert Hardware(False, core_ids).thread_binding == binding


@settings(deadline=None, max_examples=25)  # it writes files
@given(st.lists(st.integers(0, 15), unique=True, min_size=1).map(sorted))
def test_one_cpu_of_each_physical_core(cpus: list[int]) -> None:
    with tempfile.TemporaryDirectory() as name:
        for cpu in range(16):  # cpu and cpu + 8 share a core
            topology = Path(name) / f"cpu{cpu}" / "topology"
            topology.mkdir(parents=True)
            (topology / "thread_siblings_list").write_text(f"{cpu % 8},{cpu % 8 + 8}\n")
        chosen = hardware.physical_cores(cpus, Path(name))
    assert set(chosen) <= set(cpus)
    assert sorted(core % 8 for core in chosen) == sorted({cpu % 8 for cpu in cpus})


def test_cores_where_the_system_tells_nothing(tmp_path: Path) -> None:
    assert hardware.physical_cores([0, 3], tmp_path) == (0, 3)
