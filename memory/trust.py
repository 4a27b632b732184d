"""What may be written to memory while text of documents is in the window.

Text of documents is data, but a model may follow instructions in it. What it then writes is not trusted: only what the
user said goes where the model wants it, the rest becomes notes about the document. No model decides this.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(f"[{_CJK}]|[^\\W_{_CJK}]+(?:[.,:/@'’+-][^\\W_{_CJK}]+)*")
#: A clause ends at a line's end, at full-width punctuation, and at other punctuation before a space: not in "1,234.5".
_CLAUSE_END = re.compile(r"\n|[。；：！？，、]|[.;:!?,](?=\s|$)")
#: What a sentence about somebody is made of, whatever it says.
_FRAME = frozenset(
    "a am an and are as at be by called fact for from has have he her his i i'm in is it its me my name named of on or "
    "prefer prefers like likes remember said says she that the their them they this to told user user's users "
    "wants was who with you your 的 是 叫 我".split()
)
_CHINESE_FRAME = re.compile("用户|名字|喜欢")
_MAX_NAME = 120
#: How much of a longer word has to be the same, for "lives" and "live".
_STEM_LEAST, _STEM_DROPPED = 4, 3


def said_by_user(text: str, user_messages: Iterable[str]) -> bool:
    """Whether ``text`` says only what the user said.

    Each of its clauses, words like "the user's name is" apart, must stand in one of the messages in the same order
    and without others in between: from single words alone anything could be put together.
    """
    clauses = [words for part in _CLAUSE_END.split(text) if (words := _words(part))]
    said = [_words(message) for message in user_messages]
    return bool(clauses) and all(any(_within(clause, message) for message in said) for clause in clauses)


def _within(clause: list[str], message: list[str]) -> bool:
    length = len(clause)
    return any(message[start : start + length] == clause for start in range(len(message) - length + 1))


def _words(text: str) -> list[str]:
    words = (word for word in _TOKEN.findall(_CHINESE_FRAME.sub(" ", text)) if word.casefold() not in _FRAME)
    return [_normal(word) for word in words]


def _normal(word: str) -> str:
    folded = word.casefold().replace("’", "'").removesuffix("'s")
    if any(character.isdigit() for character in folded):
        return folded
    return folded[: max(_STEM_LEAST, len(folded) - _STEM_DROPPED)]


def quarantine_name(source: str) -> str:
    """The block for notes about a document, which may be called anything."""
    return f"about {source if len(source) <= _MAX_NAME else hashlib.sha256(source.encode()).hexdigest()[:16]}"
