"""What may be written to memory while text of documents is in the window.

Text of documents is data, but a model may follow instructions in it. What it then writes is not trusted: only what the
user said in this turn goes where the model wants it, the rest becomes notes about the document. No model decides this.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORD = re.compile(r"[^\W_]+(?:[.,:/@'’+-][^\W_]+)*")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
#: What a sentence about somebody is made of, whatever it says.
_FRAME = frozenset(
    "a an and are as at be by called fact for from has have he her his i in is it its likes me my name named of on or "
    "prefers preference remember said says she that the their them they this to told user user's users wants was who "
    "will with you your 用户 的 是 叫 名字 喜欢".split()
)
#: Of the other words, this share must have been said: for inflected and rearranged ones. Figures and names must all be.
_LEAST_SHARE = 0.75


def said_by_user(text: str, user_messages: Iterable[str]) -> bool:
    """Whether ``text`` says only what the user said: all its names and figures, and most of its other words."""
    said = " ".join(user_messages)
    said_words = {_normal(word) for word in _WORD.findall(said)}
    said_characters = set(_CJK.findall(said))
    words = [word for word in _WORD.findall(text) if _normal(word) not in _FRAME]
    if not words:
        return False
    known = 0
    for word in words:
        if _CJK.search(word):
            known += all(character in said_characters or character in _FRAME for character in _CJK.findall(word))
        elif _normal(word) in said_words:
            known += 1
        elif word[0].isupper() or any(character.isdigit() for character in word):
            return False
    return known >= _LEAST_SHARE * len(words)


def _normal(word: str) -> str:
    return word.casefold().removesuffix("'s").removesuffix("’s")


def quarantine_name(source: str) -> str:
    """The block for notes about a document."""
    return f"about {source}"
