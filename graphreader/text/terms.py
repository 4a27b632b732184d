"""Index terms for full-text search: what a passage and a question must share to count as the same word.

English words are stemmed (Snowball, https://snowballstem.org/algorithms/english/stemmer.html); scripts written without
spaces become single characters and pairs of neighbours, which match a dictionary-based segmenter for retrieval.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import chain

from snowballstemmer.english_stemmer import EnglishStemmer

#: Scripts without spaces between words: Han, kana, Hangul (spaced, but agglutinating), Thai, Lao, Burmese, Khmer.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U000323af"
)

#: English words that carry no meaning of their own. "us" is absent: "U.S." becomes the same term.
STOP_WORDS = frozenset(
    "a about above after again against all also am an and any are arent as at be because been before being below "
    "between both but by can cannot cant could couldnt did didnt do does doesnt doing dont down during each few for "
    "from further had hadnt has hasnt have havent having he her here hers herself him himself his how i if im in into "
    "is isnt it its itself ive just me more most my myself no nor not of off on once only or other our ours ourselves "
    "out over own same shall she should shouldnt so some such than that thats the their theirs them themselves then "
    "there these they theyre this those through to too under until up upon very was wasnt we were werent what when "
    "where which while who whom whose why will with wont would wouldnt you your yours yourself yourselves".split()
)

# Bounded repeats keep every token, and so the cache of tokens, small whatever the input is.
_TOKEN = re.compile(
    rf"[{UNSPACED}]+|[^\W_{UNSPACED}]{{1,64}}(?:(?:['’.&-]|,(?=\d{{3}}(?!\d)))[^\W_{UNSPACED}]{{1,64}}){{0,6}}"
)
_ASCII_TOKEN = re.compile(r"[a-z0-9]{1,64}(?:(?:['.&-]|,(?=\d{3}(?!\d)))[a-z0-9]{1,64}){0,6}")
_INVISIBLE_OR_ACCENT = re.compile("[\u00ad\u0300-\u036f\u200b-\u200f\u2060\ufeff\ufffe]")
_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)*")
_NUMBER_WITH_UNIT = re.compile(r"(\d+(?:,\d{3})*(?:\.\d+)*)([^\W\d_]+)")
_POSSESSIVE = re.compile(r"['’]s?$")
_WORD_BREAK = re.compile(r"[.,&-]")
_CACHED_TOKENS = 1 << 18


def fold(text: str) -> str:
    """``text`` without differences of case, width, ligature or accent; soft hyphens and other invisible marks go."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFC", _INVISIBLE_OR_ACCENT.sub("", folded))


@lru_cache(maxsize=_CACHED_TOKENS)
def stem(word: str) -> str:
    """The Snowball stem of a folded English word; any other word as it is."""
    if not word.isascii() or not word.isalpha() or len(word) < 3:
        return word
    # A stemmer keeps the word it works on as state, so one shared between threads would mix words up.
    stemmed: str = EnglishStemmer().stemWord(word)
    return stemmed


def terms(text: str) -> list[str]:
    """The index terms of ``text`` in order, repeats kept: stems, numbers without separators, characters and pairs.

    A term holds only letters, digits, ``.``, ``_`` and ``-``. English stop words are left out: the list may be empty.
    A hyphenated word gives its parts and the parts joined; a percent sign, currency or bracket is no part of a number.
    """
    folded = fold(text)
    if folded.isascii():
        return list(chain.from_iterable(map(_terms_of_token, _ASCII_TOKEN.findall(folded))))
    found: list[str] = []
    for token in _TOKEN.findall(folded):
        if _is_unspaced(token[0]):
            found.extend(token)
            found.extend(map(str.__add__, token, token[1:]))
        else:
            found.extend(_terms_of_token(token))
    return found


_UNSPACED_CHARACTER = re.compile(f"[{UNSPACED}]")


def _is_unspaced(character: str) -> bool:
    return character >= "\u0e00" and _UNSPACED_CHARACTER.match(character) is not None


@lru_cache(maxsize=_CACHED_TOKENS)
def _terms_of_token(token: str) -> tuple[str, ...]:
    if _NUMBER.fullmatch(token):
        return (token.replace(",", ""),)
    token = _POSSESSIVE.sub("", token).replace("'", "").replace("’", "")
    if token.isalnum():
        return () if token in STOP_WORDS else (stem(token),)
    parts = [part for part in _WORD_BREAK.split(token) if part]
    if all(len(part) == 1 and part.isalpha() for part in parts):
        return ("".join(parts),)
    numbers_and_words = [piece for part in token.split("-") for piece in _terms_of_part(part)]
    if "-" in token and len(parts) <= 3 and not all(part.isdigit() for part in parts):
        numbers_and_words.append(stem("".join(parts)))
    return tuple(numbers_and_words)


def _terms_of_part(part: str) -> list[str]:
    if _NUMBER.fullmatch(part):
        return [part.replace(",", "")]
    if measured := _NUMBER_WITH_UNIT.fullmatch(part):
        return [measured[1].replace(",", ""), stem(measured[2])]
    return [stem(word) for word in _WORD_BREAK.split(part) if word and word not in STOP_WORDS]
