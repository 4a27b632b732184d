"""Documents with needles in them: which sentences, where they stand, and how a model's replies are scored. Pure.

A document holds one needle at every depth. The needles are unlike each other ("The parrot at the inn can only say
marble."), and each is asked for alone by the beginning of its sentence, so one reading of a document serves all depths,
by the prefix cache. Each ends in a word that is one token: its probability is that of the whole answer, and the
probabilities of other such words show how near a wrong answer was.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

LEADS: Final = (
    "The password of the harbour gate is",
    "The parrot at the inn can only say",
    "The sign above the tailor's door reads",
    "The children voted to call the puppy",
    "The label on the smallest bottle says",
    "My grandmother's favourite word was",
    "The title of the stolen painting is",
    "The first prize in the village lottery was",
    "The new postman is nicknamed",
    "The robot answered every question with",
    "On the back of the photograph someone wrote",
)
#: Possible answers: common nouns, of which a tokenizer's single tokens are used.
WORDS: Final = tuple(
    """anchor apple arrow atlas bacon balloon bamboo banana basil basket battery beacon bicycle blanket brick bridge
    bronze bubble butter cabin camera candle carbon carpet carrot castle cement chalk cheese cherry chess chimney
    chocolate circus coffee comet copper coral cotton crystal curtain cushion diamond dragon drum eagle elbow elephant
    feather flute forest fountain fox galaxy garden garlic glacier goose granite grape guitar hammer helmet honey
    jacket jungle kettle kitten ladder lantern laser lemon lizard lobster magnet mango marble mirror monkey mosaic
    mushroom needle nickel oak olive onion orbit oven owl paddle palace panda pepper piano pillow pirate planet pocket
    potato prism pumpkin pyramid quartz rabbit radio ribbon robot rocket saddle salmon silver spider spoon squirrel
    statue sugar temple ticket tiger timber tomato tractor trumpet tunnel umbrella velvet violin volcano walnut whistle
    zinc""".split()
)
#: vLLM gives probabilities of at most 128 tokens of one's choice.
MAX_WORDS: Final = 100
REPLY_TOKENS: Final = 4
#: A needle is put after the end of a sentence at most so many tokens before its place.
_MAX_SHIFT_TOKENS: Final = 200

Encode = Callable[[str], list[int]]


@dataclass(frozen=True, slots=True)
class Needle:
    """A sentence in the document: ``lead`` and the ``word`` that ends it. ``depth`` from 0 (start) to 1 (end)."""

    lead: str
    word: str
    depth: float

    @property
    def question(self) -> str:
        """What follows the document."""
        return f"\n\n{self.lead}"

    @property
    def text(self) -> str:
        """The needle as it stands in the document."""
        return f"\n\n{self.lead} {self.word}.\n\n"


def single_tokens(words: Sequence[str], encode: Encode) -> dict[str, int]:
    """Those of ``words`` that are one token behind a space, with that token; ``MAX_WORDS`` of them at most."""
    encoded = {word: encode(f" {word}") for word in words}
    return dict(list({word: ids[0] for word, ids in encoded.items() if len(ids) == 1}.items())[:MAX_WORDS])


def choose_needles(depths: Sequence[float], words: Collection[str], trial: int, text: str = "") -> list[Needle]:
    """A needle for each depth. Over the trials every sentence comes to stand at every depth; words are drawn anew.

    No word of ``text`` is an answer. Raises ``ValueError`` where there are more depths than sentences, or where too
    few words are left.
    """
    if len(depths) > len(LEADS):
        raise ValueError(f"{len(depths)} depths, and there are {len(LEADS)} needles only.")
    seen = set(re.findall(r"\w+", text.lower()))
    left = [word for word in words if word not in seen]
    if len(left) < len(depths):
        raise ValueError(f"Only {len(left)} of the words do not occur in the haystack: take another part or text.")
    generator = random.Random(trial)
    drawn = generator.sample(left, len(depths))
    leads = [LEADS[(place + 4 * trial) % len(LEADS)] for place in range(len(depths))]
    return [Needle(*parts) for parts in zip(leads, drawn, depths, strict=True)]


def hide(
    hay: Sequence[int], needles: Sequence[Needle], encode: Encode, ends: Collection[int], length: int
) -> list[int]:
    """The tokens of a document: ``hay`` cut so that prompt and reply together are ``length`` tokens for the longest
    question, each needle behind the nearest sentence end before its depth. ``ends`` are tokens that end a sentence.

    Raises ``ValueError`` where there is too little hay or room.
    """
    hidden = [encode(needle.text) for needle in needles]
    longest_question = max(len(encode(needle.question)) for needle in needles)
    room = length - REPLY_TOKENS - longest_question - sum(map(len, hidden))
    if not 0 < room <= len(hay):
        raise ValueError(f"A document of {length:,} tokens wants {room:,} of the haystack, which has {len(hay):,}.")
    made: list[int] = []
    last = 0
    for needle, tokens in sorted(zip(needles, hidden, strict=True), key=lambda pair: pair[0].depth):
        place = _behind_sentence(hay, round(needle.depth * room), room, ends)
        place = max(place, last)
        made += [*hay[last:place], *tokens]
        last = place
    return [*made, *hay[last:room]]


def _behind_sentence(hay: Sequence[int], place: int, room: int, ends: Collection[int]) -> int:
    if place in (0, room):
        return place
    for candidate in range(place, max(place - _MAX_SHIFT_TOKENS, 0), -1):
        if hay[candidate - 1] in ends:
            return candidate
    return place


def score(needle: Needle, reply: str, logprobs: Mapping[str, float]) -> dict[str, object]:
    """How a reply did: ``found`` where the needle's word stands in it, the word's ``logprob`` as the first token, and
    its ``rank`` among all words that could have been the answer.
    """
    own = logprobs[needle.word]
    return {
        "depth": needle.depth,
        "lead": needle.lead,
        "word": needle.word,
        "reply": reply,
        "found": re.search(rf"\b{re.escape(needle.word)}\b", reply.lower()) is not None,
        "logprob": own,
        "rank": 1 + sum(other > own for other in logprobs.values()),
    }
