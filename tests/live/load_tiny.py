"""Run by test_plan_capacity.py in a process of its own: load tiny random models in vLLM and print what it says of them.

Standard input has a JSON list of ``{"name", "folder", "config", "arguments"}``; a line of JSON comes out for each. With
``make`` the folders get models of the given config (``model_type`` and values) with random weights, with ``load`` vLLM
loads them with the arguments of its own command line.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from typing import Any

_PROMPT_TOKENS = 600


def make(folder: str, values: dict[str, Any]) -> None:
    """A model of the given config with random weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(**values)
    model = AutoModelForCausalLM.from_config(config).to(getattr(torch, values.get("dtype", "float32")))
    model.save_pretrained(folder)


def load(folder: str, arguments: list[str]) -> dict[str, Any]:
    """VLLM's own account of its KV cache, and what it makes of a long prompt."""
    from vllm import SamplingParams
    from vllm.distributed import cleanup_dist_env_and_memory
    from vllm.engine.arg_utils import EngineArgs
    from vllm.utils.argparse_utils import FlexibleArgumentParser
    from vllm.v1.engine.llm_engine import LLMEngine

    parser = EngineArgs.add_cli_args(FlexibleArgumentParser())
    own = ["--model", folder, "--enforce-eager", "--skip-tokenizer-init", "--max-num-seqs", "4"]
    engine = LLMEngine.from_engine_args(EngineArgs.from_cli_args(parser.parse_args([*own, *arguments])))
    try:
        cache, model = engine.vllm_config.cache_config, engine.vllm_config.model_config
        prompt_tokens = min(model.max_model_len - 2, _PROMPT_TOKENS)
        prompt = {"prompt_token_ids": [number % 90 + 5 for number in range(prompt_tokens)]}
        engine.add_request("long", prompt, SamplingParams(max_tokens=2, temperature=0, logprobs=1, detokenize=False))
        outputs = []
        while engine.has_unfinished_requests():
            outputs += engine.step()
        return {
            "num_blocks": cache.num_gpu_blocks,
            "block_size": cache.block_size,
            "capacity_tokens": cache.kv_cache_size_tokens,
            "max_concurrency": cache.kv_cache_max_concurrency,
            "max_model_len": model.max_model_len,
            "rope_parameters": getattr(model.hf_text_config, "rope_parameters", None),
            "logprobs": [entry.logprob for step in outputs[-1].outputs[0].logprobs for entry in step.values()],
        }
    finally:
        engine.engine_core.shutdown()
        del engine
        cleanup_dist_env_and_memory()
        gc.collect()


def main() -> None:
    """One line for each case; what fails becomes a line with ``error``."""
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    for case in json.load(sys.stdin):
        said: dict[str, Any] = {"case": case["name"]}
        try:
            if sys.argv[1] == "make":
                make(case["folder"], case["config"])
            else:
                said |= load(case["folder"], case["arguments"])
        except Exception as error:  # what vLLM refuses is the test's to judge
            said["error"] = f"{type(error).__name__}: {error}"
        sys.stdout.write("\n" + json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
