"""One variant of the needle test on a vLLM in this process: reads a job from standard input, adds rows to its file."""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.needle_prompts import LEADS, REPLY_TOKENS, WORDS, Encode, choose_needles, hide, score, single_tokens
from benchmarks.record_lines import RecordLines, Row

#: Tells one document from another.
KEY = ("variant", "length", "trial")
_BLOCK_TOKENS = 32


def main() -> None:
    """Run the job: a dictionary with the fields read below."""
    job: dict[str, Any] = json.load(sys.stdin)
    records = RecordLines(Path(job["records"]), KEY)
    todo = [(trial, length) for trial, length in job["documents"] if not _is_done(records, job, trial, length)]
    if not todo:
        return
    from vllm import LLM

    engine = LLM(
        job["weights"],
        max_model_len=max(job["lengths"]),
        hf_overrides=job["hf_overrides"],
        kv_cache_memory_bytes=job["kv_bytes"],
        block_size=_BLOCK_TOKENS,
        max_num_seqs=len(LEADS),
        max_num_batched_tokens=2048,
        enforce_eager=True,
        enable_prefix_caching=True,
    )
    tokenizer = engine.get_tokenizer()
    encode: Encode = lambda text: list(tokenizer.encode(text, add_special_tokens=False))  # noqa: E731
    hay = encode(Path(job["haystack"]).read_text(encoding="utf-8"))
    ends = {token for token in set(hay) if tokenizer.decode([token]).rstrip(" ").endswith((".", "\n"))}
    for trial, length in todo:
        row = _ask(engine, encode, _part(hay, length, trial), ends, job["depths"], trial, length)
        records.add({"variant": job["variant"], "model": job["model"], **row})
        found = sum(needle["found"] for needle in row["needles"])
        print(
            f"{job['variant']:<7} {length:>6,} tokens, trial {trial}: {found} of {len(row['needles'])} found, "
            f"{row['read_seconds']:.0f} s to read, {row['asked_seconds']:.0f} s to ask",
            flush=True,
        )


def _is_done(records: RecordLines, job: dict[str, Any], trial: int, length: int) -> bool:
    return records.has(variant=job["variant"], length=length, trial=trial)


def _part(hay: list[int], length: int, trial: int) -> list[int]:
    """Another part of the text for each trial and length, the same for all variants."""
    start = random.Random(f"{trial}-{length}").randrange(max(len(hay) - length, 1))
    return hay[start : start + length]


def _ask(
    engine: Any,  # noqa: ANN401 - vLLM has no types
    encode: Encode,
    hay: list[int],
    ends: set[int],
    depths: list[float],
    trial: int,
    length: int,
) -> Row:
    from vllm import SamplingParams

    words = single_tokens(WORDS, encode)
    needles = choose_needles(depths, words, trial, engine.get_tokenizer().decode(hay))
    document = hide(hay, needles, encode, ends, length)
    started, cpu_started = time.monotonic(), time.process_time()
    engine.generate({"prompt_token_ids": document}, SamplingParams(temperature=0, max_tokens=1), use_tqdm=False)
    read, cpu_read = time.monotonic(), time.process_time()
    replies = engine.generate(
        [{"prompt_token_ids": document + encode(needle.question)} for needle in needles],
        SamplingParams(temperature=0, max_tokens=REPLY_TOKENS, logprob_token_ids=list(words.values())),
        use_tqdm=False,
    )
    scores = []
    for needle, reply in zip(needles, replies, strict=True):
        first = reply.outputs[0].logprobs[0]
        scores.append(
            score(needle, reply.outputs[0].text, {word: first[token].logprob for word, token in words.items()})
        )
    return {
        "length": length,
        "trial": trial,
        "document_tokens": len(document),
        "cached_tokens": min(reply.num_cached_tokens for reply in replies),
        "words": len(words),
        "read_seconds": read - started,
        "read_cpu_seconds": cpu_read - cpu_started,
        "asked_seconds": time.monotonic() - read,
        "asked_cpu_seconds": time.process_time() - cpu_read,
        "needles": scores,
    }


if __name__ == "__main__":
    main()
