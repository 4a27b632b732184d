"""What the evaluation harness itself costs: questions a second with a model that answers at once.

    python -m benchmarks.harness [--questions N] [--mode closed-book] [--concurrency C] [--repeats R]

A dataset of N made-up questions on ten documents is asked in one mode; nothing is waited for but the program and the
disk. Prints questions a second for each repeat (cold: nothing kept; warm: every reply kept from before; resumed: all
is there already) and, last, a line of JSON with the medians. Mode closed-book costs the harness alone; other modes add
what the reader does for a question.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from graphreader import GraphReader, Settings
from graphreader.evaluate.cases import Case, Dataset, GoldEvidence, SourceText, Unit
from graphreader.evaluate.run import Options, evaluate
from graphreader.llm.protocol import JsonSchema, Message, Reply

_DOCUMENTS = 10
_SENTENCES = 40


class InstantModel:
    """A ``ChatModel`` that answers at once with the first thing its schema allows; a word is a token."""

    name = "instant"
    context_tokens = 16_384

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The words of each text."""
        return [len(text.split()) for text in texts]

    def count_prompt_tokens(self, messages: Sequence[Message]) -> int:
        """The words of all messages."""
        return sum(self.count_tokens([message.content for message in messages]))

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: JsonSchema,
        max_tokens: int,
        temperature: float | None = None,
        weigh: str | None = None,
    ) -> Reply:
        """The first thing the schema allows."""
        return Reply(json.dumps(_first(schema)), self.count_prompt_tokens(messages), 0, 8)


def _first(schema: JsonSchema) -> object:
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        return {name: _first(inner) for name, inner in schema["properties"].items()}
    if schema["type"] == "array":
        return [_first(schema["items"])] * int(schema.get("minItems", 0))
    return "Ada Brandt"


def made_up(questions: int) -> Dataset:
    """Questions on ten documents of some forty sentences, with the sentence that answers each as gold."""
    documents = {}
    for number in range(_DOCUMENTS):
        lines = [f"The mill of Orrin {number}-{line} was built by Ada Brandt {line}." for line in range(_SENTENCES)]
        text = f"Mills {number}\n\n" + " ".join(lines)
        documents[f"mills-{number}"] = SourceText(f"mills-{number}", f"Mills {number}", text)
    cases = []
    for number in range(questions):
        document, line = f"mills-{number % _DOCUMENTS}", number % _SENTENCES
        sentence = f"The mill of Orrin {number % _DOCUMENTS}-{line} was built by Ada Brandt {line}."
        start = documents[document].text.index(sentence)
        gold = GoldEvidence(document, Unit.SENTENCE, start, start + len(sentence))
        question = f"Who built the mill of Orrin {number % _DOCUMENTS}-{line}? ({number})"
        labels = {"hops": str(1 + number % 3)}
        cases.append(
            Case(f"q{number}", question, (f"Ada Brandt {line}",), (document,), evidence=(gold,), labels=labels)
        )
    return Dataset("made-up", tuple(cases), documents)


def measure(questions: int, mode: str, concurrency: int, folder: Path) -> dict[str, float]:
    """Questions a second: cold (with the indexing of ten small documents), warm and resumed.

    Each also by the processor's time, which other work on the machine does not lengthen (``cold processor``, ...).
    """
    dataset = made_up(questions)
    options = Options(cache=folder / "replies.db")
    settings = Settings.load(explore={"max_seconds": None}, search={"embedder": "none"})
    speeds = {}
    with GraphReader(folder / "library.db", settings=settings, model=InstantModel()) as reader:
        for kind, out in (("cold", "one"), ("warm", "two"), ("resumed", "two")):
            started, busy = time.perf_counter(), time.process_time()
            evaluate(dataset, reader, modes=[mode], concurrency=concurrency, out=folder / out, options=options)
            speeds[kind] = questions / (time.perf_counter() - started)
            speeds[f"{kind} processor"] = questions / (time.process_time() - busy)
    return speeds


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure some times, print each and the medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.harness", description="Measure the harness itself.")
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--mode", default="closed-book")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    found = []
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as folder:
            found.append(measure(options.questions, options.mode, options.concurrency, Path(folder)))
            print(", ".join(f"{kind} {speed:,.0f} questions/s" for kind, speed in found[-1].items()))
    medians = {kind: round(statistics.median(speeds[kind] for speeds in found), 1) for kind in found[0]}
    print(json.dumps({"questions": options.questions, "mode": options.mode, "questions_per_second": medians}))


if __name__ == "__main__":
    main()
