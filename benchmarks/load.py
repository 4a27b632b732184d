"""Throughput of the batch path against the same prompts sent straight to the engine.

    python -m benchmarks.load --out FOLDER [--model NAME] [--concurrency 1 4 16] [--rounds 5]

Four ways to the same model, with the same prompts, greedy decoding and the same room for replies:

  engine         vLLM's engine in a process of its own, no HTTP; replies of a fixed number of tokens
  http           vLLM's server as `graphreader serve` starts it, through the OpenAI client alone; the same replies
  engine+schema  the engine, replies constrained by a JSON schema that fixes their length
  batch          what GraphReader does: the gate (counts, validates) over its client over the server; the same schema

Server and engine are both loaded, with the same settings, and work in turns: what one does is measured while the other
is idle, after the server's processes have come to rest. http and engine have the same prompts, and so have batch and
engine+schema; no prompt is sent twice to either, so no cached prefix is used but the system message's. A measurement is
a line in FOLDER/records.jsonl; a stopped run goes on. Wall time says what a user sees and wavers on a busy machine;
processor seconds of all processes at work (client, server, engine) waver less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from benchmarks.load_prompts import (
    PATHS,
    REPLY_TOKENS,
    SCHEMA,
    SYSTEM,
    Point,
    points_of,
    prompt_of,
    report,
)
from benchmarks.local_vllm import cpu_seconds, engine_environment, family, serving
from benchmarks.record_lines import RecordLines, Row
from graphreader.errors import GraphReaderError
from graphreader.llm.client import OpenAIChatModel
from graphreader.llm.gate import Gate
from graphreader.llm.tokens import ModelTokenCounter
from graphreader.serve import weights
from graphreader.serve.launch import Endpoint
from graphreader.serve.options import ServeOptions
from graphreader.settings import ModelSettings
from prompts import Prompt

KEY = ("model", "round", "concurrency", "path")
_MAX_CONCURRENT = 16
_STILL_SECONDS = 0.5
_MAX_STILL_SECONDS = 10.0


class Digits(BaseModel):
    """The reply that the schema asks for."""

    digits: list[int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what has no line yet, then print the table."""
    options = _options(arguments)
    records = RecordLines(options.out / "records.jsonl", KEY)
    todo = [
        point
        for point in points_of(options.rounds, options.concurrency)
        if point.path in options.paths and not records.has(model=options.model, **_fields(point))
    ]
    try:
        if todo:
            _measure(options, records, todo)
    except GraphReaderError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(f"\n{options.model}\n\n{report([row for row in records.rows if row['model'] == options.model])}")
    return 0


def _measure(options: argparse.Namespace, records: RecordLines, todo: Sequence[Point]) -> None:
    folder = weights.resolve(options.model)
    served = ServeOptions(
        max_context_tokens=options.tokens,
        kv_cache_gib=options.kv_cache_gib,
        max_concurrent_requests=_MAX_CONCURRENT,
        extra_arguments=tuple(options.serve_argument),
    )
    with serving(options.model, served, options.out / "server") as server, _engine(options, folder) as engine:
        pids = family(server.pid)
        counter = ModelTokenCounter(folder / "tokenizer.json")
        for path in PATHS:  # each way once, unmeasured: grammars are compiled, connections opened
            _run(Point(-1, 1, path), options, server.endpoint, counter, engine)
        for point in todo:
            _wait_until_still(pids)
            server_cpu, own_cpu = cpu_seconds(pids), time.process_time()
            row = _run(point, options, server.endpoint, counter, engine)
            server_cpu, own_cpu = cpu_seconds(pids) - server_cpu, time.process_time() - own_cpu
            if PATHS[point.path] != point.path:
                row |= {"cpu_seconds": server_cpu + own_cpu, "client_cpu_seconds": own_cpu}
            else:
                row["idle_server_cpu_seconds"] = server_cpu
            records.add({"model": options.model, **_fields(point), **row})
            print(
                f"round {point.round}, {point.concurrency:>2} at once, {point.path:<13}: "
                f"{row['requests'] / row['seconds']:6.2f} requests/s, {row['completion_tokens']:,} reply tokens in "
                f"{row['seconds']:.1f} s ({row['cpu_seconds']:.1f} CPU s)",
                flush=True,
            )


def _wait_until_still(pids: list[int]) -> None:
    """VLLM's processes look for work without pause for a second after their last; that would slow down the engine."""
    deadline = time.monotonic() + _MAX_STILL_SECONDS
    while time.monotonic() < deadline:
        before = cpu_seconds(pids)
        time.sleep(_STILL_SECONDS)
        if cpu_seconds(pids) - before < _STILL_SECONDS / 10:
            return


def _run(
    point: Point,
    options: argparse.Namespace,
    endpoint: Endpoint,
    counter: ModelTokenCounter,
    engine: subprocess.Popen[str],
) -> Row:
    count = max(options.requests_per_slot * point.concurrency, options.min_requests) if point.round >= 0 else 1
    # The same for a path and the engine's that it is compared with; others would find these in the server's cache.
    seeds = (f"{point.round} {point.concurrency} {PATHS[point.path]} {number}" for number in range(count))
    prompts = [prompt_of(seed, options.lines) for seed in seeds]
    if point.path.startswith("engine"):
        batch = {"prompts": prompts, "concurrency": point.concurrency, "schema": point.path != "engine"}
        return _told(engine, batch)
    if point.path == "http":
        return asyncio.run(_http(endpoint, prompts, point.concurrency))
    return asyncio.run(_batch(endpoint, counter, prompts, point.concurrency))


async def _batch(endpoint: Endpoint, counter: ModelTokenCounter, prompts: Sequence[str], concurrency: int) -> Row:
    """As the program asks: a gate over its client, which holds the number of requests at once."""
    model = OpenAIChatModel(
        ModelSettings(name=endpoint.model, concurrency=concurrency),
        counter,
        name=endpoint.model,
        base_url=endpoint.base_url,
        api_key=endpoint.api_key,
        context_tokens=endpoint.max_model_len,
    )
    gate = Gate(model)
    started = time.monotonic()
    asked = (gate.ask(Prompt(SYSTEM, prompt), Digits, SCHEMA, REPLY_TOKENS) for prompt in prompts)
    replies = await asyncio.gather(*asked)
    seconds = time.monotonic() - started
    usage = gate.usage
    await model.close()
    return {
        "seconds": seconds,
        "requests": len(replies),
        "calls": usage.llm_calls,
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
    }


async def _http(endpoint: Endpoint, prompts: Sequence[str], concurrency: int) -> Row:
    """The OpenAI client alone, without a schema."""
    import openai

    client = openai.AsyncOpenAI(base_url=endpoint.base_url, api_key=endpoint.api_key, timeout=600)
    slots = asyncio.Semaphore(concurrency)

    async def ask(prompt: str) -> Any:  # noqa: ANN401 - the usage of one reply, of the client's own type
        async with slots:
            completion = await client.chat.completions.create(
                model=endpoint.model,
                messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}],
                max_tokens=REPLY_TOKENS,
                temperature=0,
                extra_body={"ignore_eos": True},
            )
        return completion.usage

    started = time.monotonic()
    usages = await asyncio.gather(*(ask(prompt) for prompt in prompts))
    seconds = time.monotonic() - started
    await client.close()
    details = [usage.prompt_tokens_details for usage in usages]
    return {
        "seconds": seconds,
        "requests": len(usages),
        "prompt_tokens": sum(usage.prompt_tokens for usage in usages),
        "cached_tokens": sum((detail.cached_tokens or 0) for detail in details if detail),
        "completion_tokens": sum(usage.completion_tokens for usage in usages),
    }


@contextmanager
def _engine(options: argparse.Namespace, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The engine's process, ready. Its settings are those of the server."""
    arguments = {
        "model": str(folder),
        "max_model_len": options.tokens,
        "max_num_seqs": _MAX_CONCURRENT,
        "max_num_batched_tokens": 2048,
        "block_size": 32,
        "enforce_eager": True,
        "enable_prefix_caching": True,
        "kv_cache_memory_bytes": options.kv_cache_gib << 30,
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
    }
    with (options.out / "engine.log").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load_engine"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=engine_environment(),
            text=True,
        )
        try:
            _told(child, arguments)
            yield child
        finally:
            child.kill()
            child.communicate()


def _told(engine: subprocess.Popen[str], line: dict[str, Any]) -> Row:
    if engine.stdin is None or engine.stdout is None:
        raise ValueError("The engine's process has no pipes.")
    engine.stdin.write(json.dumps(line) + "\n")
    engine.stdin.flush()
    reply = engine.stdout.readline()
    if not reply:
        raise GraphReaderError("The engine's process ended: engine.log in the folder of --out says why.")
    return dict(json.loads(reply))


def _fields(point: Point) -> Row:
    return {"round": point.round, "concurrency": point.concurrency, "path": point.path}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for records.jsonl and the logs")
    parser.add_argument("--model", default="smollm2-135m-instruct", help="packaged name, folder or hub id")
    parser.add_argument("--concurrency", nargs="+", type=int, default=[1, 4, 16], help="requests at once, 16 at most")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests-per-slot", type=int, default=3, help="requests for each one at once")
    parser.add_argument("--min-requests", type=int, default=8, help="of one measurement")
    parser.add_argument("--lines", type=int, default=20, help="lines of a prompt, of 15 to 20 tokens each")
    parser.add_argument("--paths", nargs="+", choices=list(PATHS), default=list(PATHS))
    parser.add_argument("--tokens", type=int, default=4096, help="window")
    parser.add_argument("--kv-cache-gib", type=int, default=1, help="each, of server and engine")
    parser.add_argument("--serve-argument", action="append", default=[], help="for vLLM's server alone, as it is")
    options = parser.parse_args(arguments)
    if not all(1 <= wished <= _MAX_CONCURRENT for wished in options.concurrency):
        parser.error(f"--concurrency takes numbers from 1 to {_MAX_CONCURRENT}")
    return options


if __name__ == "__main__":
    sys.exit(main())
