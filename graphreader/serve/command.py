"""From options to vLLM's command line and environment. Pure."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graphreader.errors import WeightsError
from graphreader.serve.hardware import Hardware

#: ``vllm serve`` does not start with the CPU wheel (it looks for a distribution called vllm); this module does.
_ENTRY_MODULE = "vllm.entrypoints.launchers.api_server.entry"
_FALLBACK_CONTEXT_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How the local vLLM is run. ``kv_cache_gib`` and ``compiled`` matter on a CPU only.

    ``compiled`` runs torch.compile at the start. ``extra_arguments`` go to vLLM as they are, last.
    """

    max_context_tokens: int = 16_384
    kv_cache_gib: int = 2
    max_concurrent_requests: int = 16
    compiled: bool = False
    extra_arguments: tuple[str, ...] = ()


def context_tokens(weights_folder: Path, options: ServeOptions) -> int:
    """The window to serve: the option's, or the model's own where that is smaller. Raises ``WeightsError``."""
    path = weights_folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read ({error}): restore the model's folder.") from error
    text_config = config.get("text_config") or config
    own = text_config.get("max_position_embeddings") or _FALLBACK_CONTEXT_TOKENS
    return min(options.max_context_tokens, int(own))


def arguments(
    weights_folder: Path, served_name: str, port: int, options: ServeOptions, hardware: Hardware
) -> list[str]:
    """The command line of a server on the loopback interface. The key is not in it: others could read it there."""
    structured = {"backend": "xgrammar", "disable_any_whitespace": True}
    command = [
        *(sys.executable, "-P", "-m", _ENTRY_MODULE),
        *("--model", str(weights_folder)),
        *("--served-model-name", served_name),
        *("--host", "127.0.0.1"),
        *("--port", str(port)),
        *("--max-model-len", str(context_tokens(weights_folder, options))),
        *("--max-num-seqs", str(options.max_concurrent_requests)),
        # Without it a small model can fill its whole reply with legal newlines.
        *("--structured-outputs-config", json.dumps(structured, separators=(",", ":"))),
        "--enable-prompt-tokens-details",  # cached tokens in the usage
        "--enable-prefix-caching",
        *("--disable-access-log-for-endpoints", "/health,/metrics"),
    ]
    if not hardware.uses_gpu:
        # The default of 128 tokens would round every reuse of a cached prefix down to that.
        command += ["--block-size", "32"]
        if not options.compiled:
            command.append("--enforce-eager")
    return [*command, *options.extra_arguments]


def environment(base: Mapping[str, str], api_key: str, options: ServeOptions, hardware: Hardware) -> dict[str, str]:
    """``base`` with what vLLM reads: its key, no reports home, and on a CPU memory and threads."""
    # A Python warning turned into an error by the caller's own settings must not stop the server.
    made = {name: value for name, value in base.items() if name != "PYTHONWARNINGS"}
    made |= {
        "VLLM_API_KEY": api_key,
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",  # the weights are in a folder by now
    }
    if hardware.uses_gpu:
        return made
    made["VLLM_CPU_KVCACHE_SPACE"] = str(options.kv_cache_gib)
    made.setdefault("VLLM_CPU_OMP_THREADS_BIND", hardware.thread_binding)
    if hardware.openmp_library is not None and "libiomp5" not in base.get("LD_PRELOAD", ""):
        made["LD_PRELOAD"] = ":".join(filter(None, [str(hardware.openmp_library), base.get("LD_PRELOAD", "")]))
    return made
