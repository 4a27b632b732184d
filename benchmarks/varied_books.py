"""Any amount of text from a few books: each copy has other names and another order, so that words go on to grow.

Half of a copy's names are made anew, the others stay and become hubs, as they do in a real library on one subject.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from graphreader.ingest.passages import estimated_word_pieces
from graphreader.text.mentions import IDEOGRAPHS

#: The share of a copy's names, or of its less common ideographs, that become others.
_RENAMED: Final = 0.5
#: The ideographs from here on by frequency are exchanged for one another: names and terms rather than grammar.
_COMMON_IDEOGRAPHS: Final = 300
_NAME = re.compile(r"\b[A-Z][a-z]{2,}\b")
_LOWER_WORD = re.compile(r"\b[a-z]{3,}\b")
_SYLLABLES: Final = (
    "ba bel cor dan der el fen gar hol is jor kal lin mar nor os per quin ran sel tam ur vel win yor zan".split()
)
_HUBS: Final = ("Ahab", "the whale", "Queequeg", "Starbuck", "Nantucket", "the Pequod", "曹操", "玄德", "孔明", "关公")
_COMMON: Final = (
    "What did the old man see in the water?",
    "Why do men go down to the sea in ships?",
    "Who came on board in the night?",
    "What is the hand of the captain like?",
    "How long was the boat at sea?",
    "Which part of the head is the best?",
    "Where did all the men stand on the last day?",
    "What was said about the great white thing?",
    "When did they first see land again?",
    "Is it good to eat and drink on deck?",
)


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions by kind."""

    by_kind: dict[str, list[str]]

    def mixed(self) -> list[str]:
        """All of them, the kinds in turn."""
        most = max(len(questions) for questions in self.by_kind.values())
        return [
            questions[place] for place in range(most) for questions in self.by_kind.values() if place < len(questions)
        ]


def write_books(books: Sequence[Path], folder: Path, tokens: int, seed: int = 0) -> int:
    """Write copies of ``books``, in turn, until there are ``tokens`` word pieces; returns their UTF-8 bytes.

    A word piece is what ``estimated_word_pieces`` counts. Where there are several books each gets the same share.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for book in books:
        left = tokens // len(books)
        for number, copy in enumerate(_copies(book.read_text(encoding="utf-8"), random.Random(f"{seed} {book.name}"))):
            kept: list[str] = []
            for paragraph in copy:
                kept.append(paragraph)
                left -= estimated_word_pieces(paragraph)
                if left <= 0:
                    break
            content = "\n\n".join(kept).encode()
            (folder / f"{book.stem}-{number}.txt").write_bytes(content)
            written += len(content)
            if left <= 0:
                break
    return written


def _copies(text: str, chance: random.Random) -> Iterator[list[str]]:
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
    if len(paragraphs) < 50:
        paragraphs = [line.strip() for line in text.splitlines() if line.strip()]
    names = sorted(set(_NAME.findall(text)) - {word.capitalize() for word in _LOWER_WORD.findall(text)})
    ideographs = [character for character, _ in Counter("".join(IDEOGRAPHS.findall(text))).most_common()]
    rarer = ideographs[_COMMON_IDEOGRAPHS:]
    while True:
        renamed = {name: _new_name(chance) for name in names if chance.random() < _RENAMED}
        moved = [character for character in rarer if chance.random() < _RENAMED]
        exchanged = str.maketrans(dict(zip(moved, chance.sample(moved, len(moved)), strict=True)))
        order = chance.sample(paragraphs, len(paragraphs))
        yield [_renamed(part, renamed).translate(exchanged) for part in order]


def _renamed(text: str, names: Mapping[str, str]) -> str:
    return _NAME.sub(lambda match: names.get(match[0], match[0]), text)


def _new_name(chance: random.Random) -> str:
    return "".join(chance.choice(_SYLLABLES) for _ in range(chance.choice((2, 3, 3)))).capitalize()


def questions_of(folder: Path, seed: int = 0) -> Questions:
    """About sixty questions on the texts in ``folder``: names, quoted words, common words, hubs, Chinese."""
    chance = random.Random(seed)
    names: list[str] = []
    phrases: list[str] = []
    chinese: list[str] = []
    files = sorted(folder.glob("*.txt"))
    for file in chance.sample(files, min(6, len(files))):
        text = file.read_text(encoding="utf-8")
        names += chance.sample(sorted(set(_NAME.findall(text))), min(8, len(set(_NAME.findall(text)))))
        words = text.split()
        if runs := [run for run in IDEOGRAPHS.findall(text) if 6 <= len(run) <= 16]:
            chinese += [f"{run}是为何？" for run in chance.sample(runs, min(6, len(runs)))]
        elif len(words) > 20:
            starts = [chance.randrange(len(words) - 10) for _ in range(8)]
            phrases += [" ".join(words[start : start + 7]) for start in starts]
    hubs = [f"What is known of {hub}?" if hub.isascii() else f"{hub}是谁？" for hub in _HUBS]
    named = [f"Who is {name} and where does he come from?" for name in names[:16]]
    return Questions(
        {"names": named, "phrases": phrases[:16], "common": list(_COMMON), "hubs": hubs, "chinese": chinese[:10]}
    )
