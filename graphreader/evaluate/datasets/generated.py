"""Generated datasets after RULER (arXiv 2404.06654) and MemGPT (arXiv 2310.08560): a needle in prose, nested keys.

A name is a kind and its parameters: ``needle:words=16k,n=20``. Everything follows from the seed. Lengths are in words,
since no model's tokens are known here; a word of the prose is about 1.3 tokens, a line of keys about 50.

- ``needle``: sentences "The code of the amber lantern is 4071822." hidden at even depths in prose about a harbour town
  which names no codes. ``words`` (4k) is the length, ``needles`` (1) how many sentences, of which one is asked for.
- ``nested-keys``: lines "KEY: VALUE" of random identifiers, where a value may be a key again. ``pairs`` (140) is the
  number of lines, ``levels`` (0-4) how many times a value must be looked up again: a number, or a range to go through.
"""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise, product

from graphreader.errors import DatasetError
from graphreader.evaluate.cases import Case, Dataset, Part, SourceText, Unit
from graphreader.evaluate.datasets.texts import of_pieces, part_evidence

_SPEC = re.compile(r"(needle|nested-keys)(?::(.*))?")
_NUMBER = re.compile(r"(\d{1,9})(k?)")
_SENTENCES_PER_PARAGRAPH = 6
_DEPTHS_PERCENT = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
_COLOURS = (
    "amber azure bronze copper crimson emerald golden indigo ivory jade lilac maroon ochre pearl scarlet silver "
    "turquoise violet"
).split()
_THINGS = (
    "anchor anvil barrel beacon bellows casket compass dagger goblet harness hourglass lantern locket loom mirror "
    "sextant spindle thimble trumpet violin"
).split()
_PEOPLE = (
    "The baker|A pilot|The old ferryman|The schoolmistress|A young cooper|The harbour clerk|The widow Larkin|"
    "A travelling tinker|The lighthouse keeper|Our neighbour|The miller's son|A retired captain"
).split("|")
_DEEDS = (
    "mended a torn net|carried two baskets of herring|swept the long stairs|argued about the price of rope|"
    "counted the gulls on the mole|painted the shutters once more|waited for the evening boat|wrote a letter home|"
    "sold the last of the apples|tuned the chapel organ|looked for a lost glove|told the story of the great frost"
).split("|")
_PLACES = (
    "by the fish market|under the customs arch|near the rope walk|behind the chapel|on the eastern quay|"
    "beside the pump|in front of the inn|at the foot of the hill|along the sea wall|outside the chandler's shop"
).split("|")
_TIMES = (
    "before the bells rang|while the tide turned|on the first dry morning|after the rain had passed|"
    "as the lamps were lit|when the wind dropped|during the autumn fair|long after supper"
).split("|")


@dataclass(frozen=True, slots=True)
class _Spec:
    name: str
    kind: str
    values: dict[str, tuple[int, int]]


def is_spec(name: str) -> bool:
    """Whether a name is that of a generated dataset."""
    return _SPEC.fullmatch(name) is not None


def generate(name: str, seed: int) -> Dataset:
    """The dataset of that name. Raises ``DatasetError`` for a parameter that is unknown or out of range."""
    spec = _parsed(name)
    make: Callable[[_Spec, random.Random], Iterator[tuple[Case, SourceText]]]
    make = _needles if spec.kind == "needle" else _nested_keys
    made = list(make(spec, random.Random(f"{spec.kind}/{seed}")))
    return Dataset(name, tuple(case for case, _ in made), {document.key: document for _, document in made})


def _parsed(name: str) -> _Spec:
    match = _SPEC.fullmatch(name)
    if match is None:
        raise DatasetError(name, "not the name of a generated dataset", "Name it as in needle:words=16k,n=20.")
    defaults: dict[str, dict[str, tuple[int, int]]] = {
        "needle": {"n": (20, 20), "words": (4_000, 4_000), "needles": (1, 1)},
        "nested-keys": {"n": (20, 20), "pairs": (140, 140), "levels": (0, 4)},
    }
    values = defaults[match[1]]
    for setting in filter(None, (match[2] or "").split(",")):
        key, _, value = setting.partition("=")
        low, _, high = value.partition("-")
        numbers = [_NUMBER.fullmatch(text) for text in (low, high or low)]
        if key not in values or not all(numbers) or (high and key != "levels"):
            known = ", ".join(f"{option}=NUMBER" for option in values)
            raise DatasetError(name, f"{setting!r} is no setting of {match[1]}", f"It knows {known}.")
        low_number, high_number = (int(found[1]) * (1_000 if found[2] else 1) for found in numbers if found)
        values[key] = (low_number, high_number)
    _check(name, match[1], values)
    return _Spec(name, match[1], values)


def _check(name: str, kind: str, values: dict[str, tuple[int, int]]) -> None:
    most_needles = len(_COLOURS) * len(_THINGS)
    if not 1 <= values["n"][0]:
        raise DatasetError(name, "there must be at least one question", "Set n to 1 or more.")
    if kind == "needle" and not 1 <= values["needles"][0] <= most_needles:
        raise DatasetError(name, "the number of needles is out of range", f"Set needles to 1 to {most_needles}.")
    if kind == "nested-keys" and not 0 <= values["levels"][0] <= values["levels"][1] < values["pairs"][0]:
        raise DatasetError(name, "levels are out of range", "Set levels to a number or a range below pairs.")


def _needles(spec: _Spec, rng: random.Random) -> Iterator[tuple[Case, SourceText]]:
    for number in range(spec.values["n"][0]):
        depth = _DEPTHS_PERCENT[number % len(_DEPTHS_PERCENT)]
        sentences = list(_prose(spec.values["words"][0], rng))
        names = rng.sample(
            [f"{colour} {thing}" for colour, thing in product(_COLOURS, _THINGS)], spec.values["needles"][0]
        )
        codes = [str(rng.randrange(1_000_000, 10_000_000)) for _ in names]
        for name, code in zip(names[1:], codes[1:], strict=True):
            sentences.insert(rng.randrange(len(sentences) + 1), f"The code of the {name} is {code}.")
        at = round(depth / 100 * len(sentences))
        sentences.insert(at, f"The code of the {names[0]} is {codes[0]}.")
        document = _document(f"needle-{number}", sentences)
        case = Case(
            f"needle-{number}",
            f"What is the code of the {names[0]}?",
            (codes[0],),
            (document.key,),
            evidence=(part_evidence(document, document.parts[at], Unit.SENTENCE),),
            labels={"type": "needle", "depth": f"{depth}%"},
        )
        yield case, document


def _prose(words: int, rng: random.Random) -> Iterator[str]:
    count = 0
    while count < words:
        pieces = [rng.choice(pool) for pool in (_PEOPLE, _DEEDS, _PLACES, _TIMES)]
        sentence = f"{' '.join(pieces)}."
        count += len(sentence.split())
        yield sentence


def _document(key: str, sentences: list[str]) -> SourceText:
    text = "A town by the sea\n\n"
    parts = []
    for number, sentence in enumerate(sentences):
        parts.append(Part(str(number), len(text), len(text) + len(sentence)))
        text += sentence + ("\n\n" if number % _SENTENCES_PER_PARAGRAPH == _SENTENCES_PER_PARAGRAPH - 1 else " ")
    return SourceText(key, "A town by the sea", text, parts=tuple(parts))


def _nested_keys(spec: _Spec, rng: random.Random) -> Iterator[tuple[Case, SourceText]]:
    low, high = spec.values["levels"]
    for number in range(spec.values["n"][0]):
        levels = low + number % (high - low + 1)
        keys = list(islice(_identifiers(rng), spec.values["pairs"][0]))
        values = dict(zip(keys, _identifiers(rng), strict=False))
        chain = rng.sample(keys, levels + 1)
        for key, following in pairwise(chain):
            values[key] = following
        order = {key: place for place, key in enumerate(keys)}
        lines = [(key, f"{key}: {values[key]}") for key in keys]
        document = of_pieces("Keys and values", lines, gap="\n", key=f"nested-keys-{number}")
        question = (
            f"What is the final value of the key {chain[0]}? Where a value is itself a key of the list, look that key "
            "up, and so on, until a value is not a key."
        )
        case = Case(
            f"nested-keys-{number}",
            question,
            (values[chain[-1]],),
            (document.key,),
            evidence=tuple(part_evidence(document, document.parts[order[key]], Unit.SENTENCE) for key in chain),
            labels={"type": "nested-keys", "hops": str(levels + 1)},
        )
        yield case, document


def _identifiers(rng: random.Random) -> Iterator[str]:
    while True:
        yield str(uuid.UUID(int=rng.getrandbits(128), version=4))
