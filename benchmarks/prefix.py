"""What the prefix cache saves: the second question about a long document against the first, by block size.

    python -m benchmarks.prefix --document FILE --out FOLDER [--model NAME] [--tokens 16384] [--block-sizes 16 32 64]

For each block size a server is started as `graphreader serve MODEL --context N` does, with positions scaled where N is
beyond the model's window. A document is cut from FILE, another part in each round, and asked three questions, one after
the other, in one prompt each: the document first and the question last. Each question is a line in
FOLDER/records.jsonl; a stopped run goes on with the rounds that are not whole. Time to first token is taken at the
client, from the request to the first token that arrives; replies are 4 tokens, for only their beginning matters here. A
block size that cannot be served has a line that says why.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.local_vllm import serving
from benchmarks.record_lines import RecordLines, Row, markdown_table
from benchmarks.streamed import complete_now, open_tokenizer, tokens_of
from graphreader.errors import GraphReaderError, PlanError, ServeError
from graphreader.plan.records import RopeChoice
from graphreader.serve import weights
from graphreader.serve.options import ServeOptions

KEY = ("model", "tokens", "block_size", "round", "question")
_QUESTIONS: Final = (
    "\n\nQuestion: Who is speaking at the beginning of this text?\nAnswer:",
    "\n\nQuestion: Which places does the text name?\nAnswer:",
    "\n\nQuestion: In one sentence, what happens at the end of the text, and to whom?\nAnswer:",
)
_REPLY_TOKENS: Final = 4
_ROOM_TOKENS: Final = 64


def prompts_of(
    text_tokens: Sequence[int], questions: Sequence[Sequence[int]], tokens: int, part: int
) -> list[list[int]]:
    """Prompts of at most ``tokens`` tokens about one part of the text; parts overlap only where it is too short.

    Raises ``ValueError`` where the text is shorter than one document.
    """
    length = tokens - _ROOM_TOKENS
    if max(map(len, questions)) + _REPLY_TOKENS > _ROOM_TOKENS or length < 1:
        raise ValueError(f"{tokens:,} tokens have no room for a document and a question.")
    parts = len(text_tokens) // length
    if not parts:
        raise ValueError(f"The text has {len(text_tokens):,} tokens: too few for a document of {length:,}.")
    start = part % parts * length
    return [[*text_tokens[start : start + length], *question] for question in questions]


def report(rows: Sequence[Row]) -> str:
    """A line for each block size: medians over the rounds; the speed-up is taken within each round."""
    made = []
    for block_size in sorted({row["block_size"] for row in rows}):
        own = [row for row in rows if row["block_size"] == block_size]
        if refused := [row for row in own if "refused" in row]:
            made.append([block_size, "-", "-", "-", "-", "-", "-", refused[0]["refused"].replace("|", "/")])
            continue
        by_round: dict[int, dict[int, Row]] = {}
        for row in own:
            by_round.setdefault(row["round"], {})[row["question"]] = row
        whole = [asked for asked in by_round.values() if len(asked) == len(_QUESTIONS)]
        if not whole:
            continue
        first = statistics.median(asked[0]["first_seconds"] for asked in whole)
        later = statistics.median(asked[at]["first_seconds"] for asked in whole for at in (1, 2))
        ratio = statistics.median(asked[0]["first_seconds"] / asked[1]["first_seconds"] for asked in whole)
        again = statistics.median(
            asked[at]["prompt_tokens"] - asked[at]["cached_tokens"] for asked in whole for at in (1, 2)
        )
        cached = statistics.median(asked[at]["cached_tokens"] for asked in whole for at in (1, 2))
        tokens = statistics.median(asked[1]["prompt_tokens"] for asked in whole)
        made.append(
            [
                block_size,
                f"{first:.2f}",
                f"{later:.2f}",
                f"{ratio:.1f}",
                f"{tokens:,.0f}",
                f"{cached:,.0f}",
                f"{again:,.0f}",
                f"{len(whole)} rounds",
            ]
        )
    header = ("block", "first s", "later s", "first / second", "prompt tokens", "cached", "read again", "")
    return markdown_table(header, made)


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask what was not asked before, then print the table."""
    options = _options(arguments)
    records = RecordLines(options.out / "records.jsonl", KEY)
    try:
        folder = weights.resolve(options.model)
        tokenizer = open_tokenizer(folder)
        text = tokens_of(tokenizer, options.document.read_text(encoding="utf-8"))
        questions = [tokens_of(tokenizer, question) for question in _QUESTIONS]
        for block_size in options.block_sizes:
            todo = [part for part in range(options.rounds) if not _is_done(records, options, block_size, part)]
            if todo:
                prompts = {part: prompts_of(text, questions, options.tokens, part) for part in todo}
                _measure(options, records, block_size, prompts)
    except (GraphReaderError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    chosen = [row for row in records.rows if (row["model"], row["tokens"]) == (options.model, options.tokens)]
    print(f"\n{options.model}, documents of {options.tokens:,} tokens with their question\n\n{report(chosen)}")
    return 0


def _measure(
    options: argparse.Namespace, records: RecordLines, block_size: int, prompts: dict[int, list[list[int]]]
) -> None:
    rope: RopeChoice = options.rope
    served = ServeOptions(
        context_tokens=options.tokens, rope=rope, kv_cache_gib=options.kv_cache_gib, block_size=block_size
    )
    key: Row = {"model": options.model, "tokens": options.tokens, "block_size": block_size}
    try:
        with serving(options.model, served, options.out / "server") as server:
            warm_up = prompts[min(prompts)][0][-100:]  # so that only the text is cold
            complete_now(server.endpoint, [warm_up], _REPLY_TOKENS)
            for part, asked in prompts.items():
                for number, prompt in enumerate(asked):
                    (reply,) = complete_now(server.endpoint, [prompt], _REPLY_TOKENS)
                    measured: Row = {
                        "round": part,
                        "question": number,
                        "first_seconds": reply.first_seconds,
                        "prompt_tokens": reply.prompt_tokens,
                        "cached_tokens": reply.cached_tokens,
                    }
                    if not records.has(**key, round=part, question=number):
                        records.add({**key, **measured})
                    print(
                        f"block {block_size:>3}, round {part}, question {number}: {reply.first_seconds:7.2f} s, "
                        f"{reply.cached_tokens:,} of {reply.prompt_tokens:,} tokens cached",
                        flush=True,
                    )
    except (ServeError, PlanError) as error:
        log = options.out / "server" / "server.log"
        records.add({**key, "round": min(prompts), "question": 0, "refused": _reason(error, log)})
        print(f"block {block_size}: refused", flush=True)


def _reason(error: GraphReaderError, log: Path) -> str:
    """The line of vLLM's log that names the error, or what the product says."""
    if isinstance(error, PlanError):
        return str(error)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    named = [line.rpartition(") ")[2] for line in lines if "Error: " in line]
    return named[0].strip() if named else str(error).splitlines()[0]


def _is_done(records: RecordLines, options: argparse.Namespace, block_size: int, part: int) -> bool:
    key = {"model": options.model, "tokens": options.tokens, "block_size": block_size}
    own = [row for row in records.rows if all(row[name] == value for name, value in key.items())]
    if any("refused" in row for row in own):
        return True
    return all(records.has(**key, round=part, question=number) for number in range(len(_QUESTIONS)))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.prefix", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--document", type=Path, required=True, help="a plain text (UTF-8)")
    parser.add_argument("--out", type=Path, required=True, help="folder for records.jsonl and the server's log")
    parser.add_argument("--model", default="qwen2.5-coder-1.5b-instruct", help="packaged name, folder or hub id")
    parser.add_argument("--tokens", type=int, default=16_384, help="window: document, question and reply")
    parser.add_argument("--block-sizes", nargs="+", type=int, default=[16, 32, 64, 128])
    parser.add_argument("--rounds", type=int, default=2, help="documents for each block size")
    parser.add_argument("--rope", choices=["auto", "yarn", "linear", "ntk"], default="auto")
    parser.add_argument("--kv-cache-gib", type=int, default=2)
    options = parser.parse_args(arguments)
    if not options.document.is_file():
        parser.error(f"{options.document} is no file")
    return options


if __name__ == "__main__":
    sys.exit(main())
