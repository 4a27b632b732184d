"""The engine by itself, in this process: answers batches named on standard input, a line of JSON each.

No HTTP, no second process. As many requests as wished are kept in the engine; when one ends the next is added.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.load_prompts import REPLY_TOKENS, SCHEMA, SYSTEM


def main() -> None:
    """First line: the engine's arguments. Then {"prompts", "concurrency", "schema"} each, until the end of input."""
    from vllm import LLM, SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    out = sys.stdout
    sys.stdout = sys.stderr  # what libraries print must not come between
    engine = LLM(**json.loads(sys.stdin.readline()))
    free = SamplingParams(temperature=0, max_tokens=REPLY_TOKENS, ignore_eos=True)
    formed = SamplingParams(
        temperature=0, max_tokens=REPLY_TOKENS, structured_outputs=StructuredOutputsParams(json=SCHEMA)
    )
    _answer(out, {"ready": True})
    for line in sys.stdin:
        batch = json.loads(line)
        params = formed if batch["schema"] else free
        started, cpu_started = time.monotonic(), time.process_time()
        replies = list(_replies(engine, batch["prompts"], params, batch["concurrency"]))
        measured = {
            "seconds": time.monotonic() - started,
            "cpu_seconds": time.process_time() - cpu_started,
            "requests": len(replies),
            "prompt_tokens": sum(len(reply.prompt_token_ids) for reply in replies),
            "cached_tokens": sum(reply.num_cached_tokens or 0 for reply in replies),
            "completion_tokens": sum(len(reply.outputs[0].token_ids) for reply in replies),
        }
        _answer(out, measured)


def _replies(engine: Any, prompts: list[str], params: Any, concurrency: int) -> Iterator[Any]:  # noqa: ANN401 - vLLM
    """Finished requests; the template and the tokenizer are part of what is timed, as they are in the server."""
    tokenizer, core = engine.get_tokenizer(), engine.llm_engine
    waiting = list(enumerate(prompts))[::-1]
    under_way = 0
    while waiting or under_way:
        while waiting and under_way < concurrency:
            number, prompt = waiting.pop()
            messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}]
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            tokens = tokenizer.encode(text, add_special_tokens=False)
            core.add_request(f"{time.monotonic_ns()}-{number}", {"prompt_token_ids": tokens}, params)
            under_way += 1
        for output in core.step():
            if output.finished:
                under_way -= 1
                yield output


def _answer(out: Any, row: dict[str, Any]) -> None:  # noqa: ANN401 - a text stream
    out.write(json.dumps(row) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
