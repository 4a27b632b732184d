"""The command line and environment of vLLM."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphreader.plan.sizes import GIB
from graphreader.serve import command, hardware
from graphreader.serve.fit import fit
from graphreader.serve.hardware import Hardware
from graphreader.serve.options import ServeOptions

CPU = Hardware(uses_gpu=False, core_ids=(0, 1), memory_bytes=16 * GIB, available_bytes=16 * GIB)
GPU = Hardware(uses_gpu=True, core_ids=(0, 1), gpu_count=8, gpu_memory_bytes=80 * GIB)
#: 128 KiB of KV cache for each token, as Llama 3.1 8B.
CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 8192,
    "rope_theta": 500000.0,
    "vocab_size": 128256,
    "torch_dtype": "bfloat16",
}
PLAIN = ServeOptions()
WEIGHTS_BYTES = 4 * GIB  # as if quantised: it is the cache that is looked at here


def line_of(options: ServeOptions = PLAIN, machine: Hardware = CPU, rank: int | None = None) -> list[str]:
    fitted = fit(CONFIG, WEIGHTS_BYTES, options, machine)
    return command.arguments("/weights/tiny", "tiny", 4321, options, fitted, rank)


def environment_of(base: dict[str, str], options: ServeOptions = PLAIN, machine: Hardware = CPU) -> dict[str, str]:
    return command.environment(base, "s3cret", options, fit(CONFIG, WEIGHTS_BYTES, options, machine), machine)


def value(line: list[str], flag: str) -> str:
    assert line.count(flag) == 1
    return line[line.index(flag) + 1]


def test_the_command_for_a_cpu() -> None:
    line = line_of()
    assert line[0] == sys.executable
    assert value(line, "-m") == "vllm.entrypoints.launchers.api_server.entry"
    assert value(line, "--model") == "/weights/tiny"
    assert value(line, "--served-model-name") == "tiny"
    assert value(line, "--host") == "127.0.0.1"
    assert value(line, "--port") == "4321"
    assert value(line, "--max-model-len") == "8192"
    assert value(line, "--block-size") == "32"
    assert value(line, "--kv-cache-memory-bytes") == str(2 * GIB)
    assert value(line, "--max-num-batched-tokens") == "2048"
    assert json.loads(value(line, "--structured-outputs-config")) == {
        "backend": "xgrammar",
        "disable_any_whitespace": True,
    }
    assert {"--enable-prefix-caching", "--enforce-eager"} <= set(line)
    assert "--hf-overrides" not in line


def test_compiled_is_a_choice_on_either() -> None:
    assert "--enforce-eager" not in line_of(ServeOptions(compiled=True))
    assert "--enforce-eager" not in line_of(machine=GPU)
    assert "--enforce-eager" in line_of(ServeOptions(compiled=False), GPU)


def test_a_gpu_gets_vllms_own_defaults() -> None:
    line = line_of(machine=GPU)
    assert not {"--block-size", "--kv-cache-memory-bytes", "--quantization"} & set(line)
    assert value(line, "--max-num-batched-tokens") == "8192"  # of its server on such a GPU
    made = environment_of({}, machine=GPU)
    assert not [name for name in made if "CPU" in name or name == "LD_PRELOAD"]


def test_everything_a_gpu_can_be_told() -> None:
    options = ServeOptions(
        context_tokens=32_768,
        rope="yarn",
        kv_cache_dtype="fp8",
        block_size=64,
        max_batched_tokens=4096,
        long_prefill_tokens=1024,
        tensor_parallel=4,
        data_parallel=2,
        attention_backend="FLASHINFER",
        quantization="fp8",
        ngram_tokens=5,
        lora_modules=(("law", "/adapters/law"), ("med", "/adapters/med")),
    )
    line = line_of(options, GPU, rank=32)
    assert value(line, "--max-model-len") == "32768"
    # All together, or vLLM silently takes another base, or refuses the length.
    assert json.loads(value(line, "--hf-overrides")) == {
        "max_position_embeddings": 32_768,
        "rope_parameters": {
            "rope_type": "yarn",
            "rope_theta": 500000.0,
            "factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
    }
    assert value(line, "--kv-cache-dtype") == "fp8"
    assert value(line, "--block-size") == "64"
    assert value(line, "--max-num-batched-tokens") == "4096"
    assert value(line, "--long-prefill-token-threshold") == "1024"
    assert value(line, "--tensor-parallel-size") == "4"
    assert value(line, "--data-parallel-size") == "2"
    assert value(line, "--attention-backend") == "FLASHINFER"
    assert value(line, "--quantization") == "fp8_per_channel"
    assert json.loads(value(line, "--speculative-config")) == {
        "method": "ngram",
        "num_speculative_tokens": 5,
        "prompt_lookup_min": 2,
        "prompt_lookup_max": 4,
    }
    assert "--enable-lora" in line
    assert value(line, "--max-loras") == "2"
    assert value(line, "--max-lora-rank") == "32"
    at = line.index("--lora-modules")
    assert line[at + 1 : at + 3] == ["law=/adapters/law", "med=/adapters/med"]


def test_extra_arguments_come_last() -> None:
    options = ServeOptions(extra_arguments=("--max-model-len", "77"))
    assert line_of(options)[-2:] == ["--max-model-len", "77"]


def test_the_key_is_in_the_environment_only() -> None:
    made = environment_of({"HOME": "here"})
    assert made["VLLM_API_KEY"] == "s3cret"
    assert made["HOME"] == "here"
    assert "s3cret" not in " ".join(line_of())


def test_memory_threads_and_the_openmp_library() -> None:
    machine = Hardware(uses_gpu=False, core_ids=(0, 1), openmp_library=Path("/lib/libiomp5.so"))
    made = environment_of({"LD_PRELOAD": "/lib/other.so"}, ServeOptions(kv_cache_gib=3), machine)
    assert made["VLLM_CPU_KVCACHE_SPACE"] == "3"
    assert made["VLLM_CPU_OMP_THREADS_BIND"] == "0,1"
    assert made["LD_PRELOAD"] == "/lib/libiomp5.so:/lib/other.so"
    again = environment_of(made, ServeOptions(), machine)
    assert again["LD_PRELOAD"] == made["LD_PRELOAD"]


def test_several_ranks_on_a_cpu_are_bound_by_vllm() -> None:
    machine = Hardware(uses_gpu=False, core_ids=(0, 1), numa_nodes=2)
    assert environment_of({}, ServeOptions(tensor_parallel=2), machine)["VLLM_CPU_OMP_THREADS_BIND"] == "auto"


def test_the_users_own_thread_binding_stays() -> None:
    made = environment_of({"VLLM_CPU_OMP_THREADS_BIND": "nobind"})
    assert made["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"


def test_python_warnings_of_the_caller_stay_out() -> None:
    assert "PYTHONWARNINGS" not in environment_of({"PYTHONWARNINGS": "error"})


def test_a_command_is_shown_as_a_shell_takes_it(tmp_path: Path) -> None:
    base = {"PATH": "/usr/bin:/bin", "PYTHONWARNINGS": "error", "HOME": "/home/x y"}
    made = environment_of(base | {"EXTRA": "a b"})
    program = tmp_path / "echo.py"
    program.write_text("import os, json, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))")
    line = [sys.executable, "-P", str(program), "-", *line_of(ServeOptions(context_tokens=16_384))[4:]]
    text = command.shown(line, made, base)
    assert "s3cret" not in text
    assert "VLLM_API_KEY=***" in text
    run = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True, env=base)
    arguments, seen = json.loads(run.stdout)
    assert arguments == line[3:]
    assert seen["EXTRA"] == "a b"
    assert seen["VLLM_CPU_KVCACHE_SPACE"] == "2"
    assert "PYTHONWARNINGS" not in seen


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text("ab-' \"$\\\n{}=", min_size=1), max_size=8))
def test_shown_arguments_come_back_whole(words: list[str]) -> None:
    text = command.shown(["printf", "%s\\0", "first", "second", *words], {"A": "1"}, {})
    run = subprocess.run(["sh", "-c", text], capture_output=True, check=True)
    assert run.stdout.decode() == "".join(f"{word}\0" for word in ["first", "second", *words])


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


SMI = "0, GPU-aaaa, 81559\n1, GPU-bbbb, 40960\n2, GPU-cccc, [N/A]\n"


@pytest.mark.parametrize(
    ("visible", "mib"),
    [(None, [81559, 40960]), ("1", [40960]), ("GPU-aa", [81559]), ("0, 1", [81559, 40960]), ("", []), ("2", [])],
)
def test_the_gpus_that_may_be_used(visible: str | None, mib: list[int]) -> None:
    assert hardware.parse_gpu_memories(SMI, visible) == [count * 2**20 for count in mib]
    assert hardware.parse_gpu_memories("no devices were found\n", visible) == []


def test_memory_nodes_are_counted(tmp_path: Path) -> None:
    assert hardware.numa_node_count(tmp_path) == 1
    for name in ("node0", "node1", "online", "nodelist"):
        (tmp_path / name).mkdir()
    assert hardware.numa_node_count(tmp_path) == 2
