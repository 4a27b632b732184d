"""Start-up, speed and memory of the local server: eager or compiled, bf16 or int8, threads, guessed tokens.

    python -m benchmarks.serving --out FOLDER [--model NAME] [--variants eager compiled int8 ...] [--rounds 3]

Each round starts a server for each variant, in turn forward and backward, as `graphreader serve` does, and measures

  ready        seconds from the command until it answers; weights are converted before. The first time is told apart:
               vLLM keeps what it compiles (here in FOLDER/cache), and the files are not in memory yet
  first        then, seconds for the first answer: 64 tokens of prompt and 16 of reply
  prefill      prompt tokens a second, for prompts of 1,024 and 8,192 tokens that are not in the cache
  decode       reply tokens a second of an essay, one alone, and eight written together
  quote        the same, alone, for a reply that repeats the prompt: where guessing tokens from the prompt pays
  peak         the largest memory of all its processes (Linux; pages they share are counted twice), KV cache included

A server's figures are one line in FOLDER/records.jsonl; a stopped run goes on. Further variants: --variant
NAME=ARGUMENTS, which go to vLLM as they are, e.g. --variant "fp8kv=--kv-cache-dtype fp8".
"""

from __future__ import annotations

import argparse
import random
import shlex
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.local_vllm import Server, family, peak_bytes, serving
from benchmarks.record_lines import RecordLines, Row, markdown_table
from benchmarks.streamed import Timed, complete_now, decode_rate, open_tokenizer, tokens_of
from graphreader.errors import GraphReaderError
from graphreader.serve import hardware, weights
from graphreader.serve.options import Quantization, ServeOptions

if TYPE_CHECKING:
    from tokenizers import Tokenizer

KEY = ("model", "round", "variant")
_BINDING: Final = "VLLM_CPU_OMP_THREADS_BIND"
_GUESSED_TOKENS: Final = 4
_WORDS: Final = (
    "the harbour master wrote that seven grey barges had passed the northern light before noon and that none of them "
    "carried salt although the ledger of the mill promised forty barrels to the brewer of the lower town by friday"
).split()

_SUBJECTS: Final = (
    "Bees",
    "Lighthouses",
    "Bread",
    "Volcanoes",
    "Chess",
    "Glass",
    "Trams",
    "Salt",
    "Maps",
    "Owls",
    "Dikes",
)


@dataclass(frozen=True, slots=True)
class Variant:
    """What a server is started with, beside what all have."""

    compiled: bool = False
    quantization: Quantization = "none"
    ngram_tokens: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    extra_arguments: tuple[str, ...] = ()


def variants(threads: str) -> dict[str, Variant]:
    """Those known by name; ``threads`` is the product's own binding, which all have where nothing else is said."""
    one = threads.partition(",")[0]
    return {
        "eager": Variant(),
        "compiled": Variant(compiled=True),
        "int8": Variant(quantization="int8"),
        "int8-compiled": Variant(compiled=True, quantization="int8"),
        "ngram": Variant(ngram_tokens=_GUESSED_TOKENS),
        "int8-ngram": Variant(quantization="int8", ngram_tokens=_GUESSED_TOKENS),
        # vLLM's engine then computes itself, in place of a worker process of its own.
        "no-worker": Variant(environment={"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}),
        "threads-auto": Variant(environment={_BINDING: "auto"}),
        "threads-unbound": Variant(environment={_BINDING: "nobind"}),
        "threads-one": Variant(environment={_BINDING: one if one.isdigit() else "0"}),
    }


def order(names: Sequence[str], rounds: int) -> list[tuple[int, str]]:
    """Rounds and variants in their order: every other round goes backward."""
    return [(number, name) for number in range(rounds) for name in (names if number % 2 == 0 else names[::-1])]


def text_of(seed: int, words: int) -> str:
    """Sentences made by chance."""
    generator = random.Random(seed)
    made = [" ".join(generator.choices(_WORDS, k=12)).capitalize() + "." for _ in range(words // 12 + 1)]
    return " ".join(made)


def essay_prompt(number: int) -> str:
    """The title and first words of an essay: what follows is of the model's own making, and repeats no prompt."""
    subject = _SUBJECTS[number % len(_SUBJECTS)]
    return f"# {subject}, essay {number + 1}\n\nWhat most people do not know about {subject.lower()} is that"


def report(rows: Sequence[Row]) -> str:
    """Medians over the rounds, and for the first variant in the table as 100%, ratios taken within each round."""
    names = list(dict.fromkeys(row["variant"] for row in rows))
    base = {row["round"]: row for row in rows if row["variant"] == names[0] and "refused" not in row}
    made = []
    figures = _figures(rows)
    for name in names:
        own = [row for row in rows if row["variant"] == name and "refused" not in row]
        if not own:
            refused = next(str(row["refused"]) for row in rows if row["variant"] == name)
            made.append([name, refused.replace("|", "/"), *[""] * (len(figures) - 1)])
            continue
        made.append([name, *(_cell(figure, own, base, name == names[0]) for figure in figures)])
    return markdown_table(("variant", *(title for title, _, _, _ in figures)), made)


#: Title, key, digits, whether it is compared with the first variant.
Figure = tuple[str, str, int, bool]


def _figures(rows: Sequence[Row]) -> list[Figure]:
    lengths = sorted({int(key.removeprefix("prefill_")) for row in rows for key in row if key.startswith("prefill_")})
    return [
        ("ready s", "ready_seconds", 1, False),
        ("ready s, first time", "first_ready_seconds", 1, False),
        ("first answer s", "first_answer_seconds", 2, False),
        *((f"prefill {length:,} /s", f"prefill_{length}", 0, True) for length in lengths),
        ("decode 1 /s", "decode_1", 1, True),
        ("decode 8 /s", "decode_8", 1, True),
        ("quote /s", "quote", 1, True),
        ("peak GB", "peak_gb", 2, False),
    ]


def _cell(figure: Figure, rows: Sequence[Row], base: Mapping[int, Row], is_base: bool) -> str:
    _, key, digits, is_compared = figure
    if key == "first_ready_seconds":
        rows, key = rows[:1], "ready_seconds"
    elif key == "ready_seconds" and len(rows) > 1:
        rows = rows[1:]
    values = [row[key] for row in rows if row.get(key) is not None]
    if not values:
        return ""
    said = f"{statistics.median(values):,.{digits}f}"
    ratios = [
        row[key] / base[row["round"]][key]
        for row in rows
        if is_compared and row.get(key) and row["round"] in base and base[row["round"]].get(key)
    ]
    return f"{said} ({statistics.median(ratios):.0%})" if ratios and not is_base else said


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what has no line yet, then print the table."""
    options = _options(arguments)
    records = RecordLines(options.out / "records.jsonl", KEY)
    known = variants(hardware.detect().thread_binding) | options.variant
    names = [*options.variants, *(name for name in options.variant if name not in options.variants)]
    try:
        tokenizer = open_tokenizer(weights.resolve(options.model))
    except GraphReaderError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for number, name in order(names, options.rounds):
        if records.has(model=options.model, round=number, variant=name):
            continue
        row: Row = {"model": options.model, "round": number, "variant": name}
        try:
            row |= _measure(options, known[name], tokenizer, number)
        except GraphReaderError as error:
            row["refused"] = str(error).splitlines()[0]
        records.add(row)
        print({name: round(value, 2) if isinstance(value, float) else value for name, value in row.items()}, flush=True)
    print(f"\n{options.model}\n\n{report([row for row in records.rows if row['model'] == options.model])}")
    return 0


def _measure(options: argparse.Namespace, variant: Variant, tokenizer: Tokenizer, number: int) -> Row:
    served = ServeOptions(
        max_context_tokens=options.tokens,
        kv_cache_gib=options.kv_cache_gib,
        compiled=variant.compiled,
        quantization=variant.quantization,
        ngram_tokens=variant.ngram_tokens,
        extra_arguments=variant.extra_arguments,
    )
    environment = {"VLLM_CACHE_ROOT": str((options.out / "cache").resolve()), **variant.environment}
    with serving(options.model, served, options.out / "server", environment) as server:
        row: Row = {"ready_seconds": server.ready_seconds}
        (first,) = complete_now(server.endpoint, [_prompt(tokenizer, 64, number)], 16)
        row["first_answer_seconds"] = first.last - first.asked
        for length in options.prefill:
            (reply,) = complete_now(server.endpoint, [_prompt(tokenizer, length, number + length)], 1)
            row[f"prefill_{length}"] = (reply.prompt_tokens - reply.cached_tokens) / reply.first_seconds
        for batch in (1, 8):
            prompts = [tokens_of(tokenizer, essay_prompt(8 * number + place)) for place in range(batch)]
            row[f"decode_{batch}"] = decode_rate(complete_now(server.endpoint, prompts, options.reply_tokens))
        quoted = _quote(server, tokenizer, number, options.reply_tokens)
        row |= {"quote": decode_rate([quoted]), "quote_text": quoted.text}
        row["peak_gb"] = peak_bytes(family(server.pid)) / 1e9 or None
    return row


def _prompt(tokenizer: Tokenizer, length: int, seed: int) -> list[int]:
    """Exactly ``length`` tokens of a text of its own: different texts share no block."""
    return tokens_of(tokenizer, f"{seed}. {text_of(seed, length)}")[:length]


def _quote(server: Server, tokenizer: Tokenizer, number: int, reply_tokens: int) -> Timed:
    """A passage, and the beginning of its repetition: what follows is in the prompt, word for word."""
    passage = text_of(7000 + number, 150)
    started = " ".join(passage.split()[:12])
    prompt = f"The passage:\n{passage}\n\nThe passage once more, word for word:\n{passage}\n\nAnd again:\n{started}"
    (reply,) = complete_now(server.endpoint, [tokens_of(tokenizer, prompt)], reply_tokens)
    return reply


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    known = list(variants("0"))
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for records.jsonl and the server's log")
    parser.add_argument("--model", default="qwen2.5-coder-1.5b-instruct", help="packaged name, folder or hub id")
    parser.add_argument("--variants", nargs="*", choices=known, default=known, help="default: all")
    parser.add_argument("--variant", action="append", default=[], metavar="NAME=ARGUMENTS", help="a further one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prefill", nargs="+", type=int, default=[1024, 8192], help="lengths of prompts, in tokens")
    parser.add_argument("--reply-tokens", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=16_384, help="window, or the model's own where that is smaller")
    parser.add_argument("--kv-cache-gib", type=int, default=2)
    options = parser.parse_args(arguments)
    named = dict(part.partition("=")[::2] for part in options.variant)
    options.variant = {name: Variant(extra_arguments=tuple(shlex.split(said))) for name, said in named.items()}
    return options


if __name__ == "__main__":
    sys.exit(main())
