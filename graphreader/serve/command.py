"""From options and their plan to vLLM's command line and environment. Pure."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence

from graphreader.serve.fit import Fit
from graphreader.serve.hardware import Hardware
from graphreader.serve.options import ServeOptions

__all__ = ["ServeOptions", "arguments", "environment", "shown"]

#: ``vllm serve`` does not start with the CPU wheel (it looks for a distribution called vllm); this module does.
_ENTRY_MODULE = "vllm.entrypoints.launchers.api_server.entry"
_OWN_MEMORY_FLAG = "--kv-cache-memory-bytes"
_SECRETS = ("VLLM_API_KEY",)
#: Matches of three or four tokens are seldom by chance; vLLM's own upper bound for its examples.
_NGRAM_MIN_TOKENS, _NGRAM_MAX_TOKENS = 2, 4


def arguments(
    weights_folder: str, served_name: str, port: int, options: ServeOptions, fit: Fit, max_lora_rank: int | None = None
) -> list[str]:
    """The command line of a server on the loopback interface. The key is not in it: others could read it there."""
    structured = {"backend": "xgrammar", "disable_any_whitespace": True}
    return [
        *(sys.executable, "-P", "-m", _ENTRY_MODULE),
        *("--model", weights_folder),
        *("--served-model-name", served_name),
        *("--host", "127.0.0.1"),
        *("--port", str(port)),
        *_planned(fit),
        *("--max-num-seqs", str(options.max_concurrent_requests)),
        # Without it a small model can fill its whole reply with legal newlines.
        *("--structured-outputs-config", _compact(structured)),
        "--enable-prompt-tokens-details",  # cached tokens in the usage
        "--enable-prefix-caching",
        *("--disable-access-log-for-endpoints", "/health,/metrics"),
        *_wished(options, fit, max_lora_rank),
        *options.extra_arguments,
    ]


def environment(
    base: Mapping[str, str], api_key: str, options: ServeOptions, fit: Fit, hardware: Hardware
) -> dict[str, str]:
    """``base`` with what vLLM reads: its key, no reports home, and on a CPU memory and threads."""
    # A Python warning turned into an error by the caller's own settings must not stop the server.
    made = {name: value for name, value in base.items() if name != "PYTHONWARNINGS"}
    made |= {
        "VLLM_API_KEY": api_key,
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",  # the weights are in a folder by now
    }
    if fit.kv_cache_gib is None:
        return made
    made["VLLM_CPU_KVCACHE_SPACE"] = str(fit.kv_cache_gib)
    ranks = options.tensor_parallel * options.data_parallel
    made.setdefault("VLLM_CPU_OMP_THREADS_BIND", hardware.thread_binding if ranks == 1 else "auto")
    if hardware.openmp_library is not None and "libiomp5" not in base.get("LD_PRELOAD", ""):
        made["LD_PRELOAD"] = ":".join(filter(None, [str(hardware.openmp_library), base.get("LD_PRELOAD", "")]))
    return made


def shown(command: Sequence[str], environment: Mapping[str, str], base: Mapping[str, str]) -> str:
    """The command as it can be typed into a shell, with what its environment has beyond ``base``; secrets masked."""
    added = {name: value for name, value in environment.items() if base.get(name) != value}
    lines = [f"{name}={'***' if name in _SECRETS else shlex.quote(value)}" for name, value in sorted(added.items())]
    lines += [f"-u {name}" for name in sorted(base.keys() - environment.keys())]
    lines = ["env " + " ".join(sorted(lines, key=lambda line: not line.startswith("-u"))), shlex.join(command[:4])]
    words = list(command[4:])
    while words:
        count = 2 if len(words) > 1 and not words[1].startswith("--") else 1
        lines.append("  " + shlex.join(words[:count]))
        words = words[count:]
    return " \\\n".join(lines)


def _planned(fit: Fit) -> list[str]:
    """The plan's arguments; on a GPU vLLM measures for itself what is left for the cache."""
    made = list(fit.plan.vllm_args)
    if fit.kv_cache_gib is None and _OWN_MEMORY_FLAG in made:
        at = made.index(_OWN_MEMORY_FLAG)
        del made[at : at + 2]
    return made


def _wished(options: ServeOptions, fit: Fit, max_lora_rank: int | None) -> list[str]:
    made: list[str] = []
    on_cpu = fit.kv_cache_gib is not None
    if options.compiled is False or (options.compiled is None and on_cpu):
        made.append("--enforce-eager")
    if options.data_parallel > 1:
        made += ["--data-parallel-size", str(options.data_parallel)]
    if options.attention_backend is not None:
        made += ["--attention-backend", options.attention_backend]
    if options.long_prefill_tokens is not None:
        made += ["--long-prefill-token-threshold", str(options.long_prefill_tokens)]
    if options.ngram_tokens:
        guesses = {
            "method": "ngram",
            "num_speculative_tokens": options.ngram_tokens,
            "prompt_lookup_min": _NGRAM_MIN_TOKENS,
            "prompt_lookup_max": _NGRAM_MAX_TOKENS,
        }
        made += ["--speculative-config", _compact(guesses)]
    if options.quantization == "fp8":
        made += ["--quantization", "fp8_per_channel"]
    if options.lora_modules:
        modules = [f"{name}={folder}" for name, folder in options.lora_modules]
        made += ["--enable-lora", "--max-loras", str(len(modules)), "--max-lora-rank", str(max_lora_rank or 16)]
        made += ["--lora-modules", *modules]
    return made


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
