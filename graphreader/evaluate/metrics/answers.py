"""An answer against its gold: the usual measures of question answering, as pure functions of two texts.

Words are compared as in the evaluation script of SQuAD, which HotpotQA, MuSiQue and LongBench share: lower case, no
ASCII punctuation, no English articles. In Chinese (``language`` "zh") single characters are compared, and runs of Latin
letters or digits, as in CMRC 2018; LongBench segments words with jieba instead, so its F1 of Chinese differs a little.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from graphreader.evaluate.cases import Case
from graphreader.text.terms import STOP_WORDS, UNSPACED

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_CHARACTERS = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+")
_ROUGE_WORDS = re.compile(r"[^\W_]+")
#: LV-Eval gives no score to an answer with a smaller share of the keywords.
_MIN_KEYWORD_RECALL = {"en": 0.2, "zh": 0.4}
#: Words that say nothing by themselves: English ones, and the particles of Chinese.
_IDLE_WORDS = STOP_WORDS | frozenset("的和是等在为与了或至有于不中由也要以所后无将用能而从到但并上来地个时使")

_STATED = re.compile(
    r"(?:answer|option|choice|答案|选择|选项)(?:\s+(?:is|are))?[^A-Za-z]{0,6}([A-H])(?![A-Za-z])", re.I
)
_LEADING = re.compile(r"\s*[(\[（]?([A-H])(?:[)\]）.:：,、]|\s*$)")
_SMALL_ALONE = re.compile(r"\W*([a-h])\W*")
_BRACKETED = re.compile(r"[(（]([A-H])[)）]")
_LETTERS_ALONE = re.compile(r"[\s(\[（]*([A-H](?:(?:[\s,，、;/&()（）]|and|和)*[A-H])*)[\s)\]）.。]*")
_ANY_LETTER = re.compile(r"(?<![A-Za-z'’])([A-H])(?![A-Za-z'’])")


def tokens(text: str, language: str = "en") -> list[str]:
    """The words that are compared; in Chinese the characters."""
    if language == "zh":
        return _CHARACTERS.findall(text.lower())
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def exact_match(answer: str, gold: str, language: str = "en") -> float:
    """1 where both have the same words in the same order, else 0."""
    return float(tokens(answer, language) == tokens(gold, language))


def token_f1(answer: str, gold: str, language: str = "en") -> float:
    """Harmonic mean of precision and recall of the words, each counted as often as it stands in both."""
    given, wanted = tokens(answer, language), tokens(gold, language)
    if not given or not wanted:
        return float(given == wanted)
    return _harmonic(sum((Counter(given) & Counter(wanted)).values()), len(given), len(wanted))


def contains(answer: str, gold: str, language: str = "en") -> float:
    """1 where the words of the gold stand in the answer one after the other (RULER's string match), else 0."""
    given, wanted = tokens(answer, language), tokens(gold, language)
    places = range(len(given) - len(wanted) + 1) if wanted else ()
    return float(any(given[at : at + len(wanted)] == wanted for at in places))


def rouge_l(answer: str, gold: str, language: str = "en") -> float:
    """ROUGE-L (Lin 2004), F-measure: the longest common subsequence of words against both lengths, without stemming.

    The same as the package rouge-score for ASCII text; letters beyond ASCII count here, which it drops.
    """
    find = _CHARACTERS if language == "zh" else _ROUGE_WORDS
    given, wanted = find.findall(answer.lower()), find.findall(gold.lower())
    if not given or not wanted:
        return 0.0
    return _harmonic(_common_subsequence(given, wanted), len(given), len(wanted))


def keyword_f1(answer: str, gold: str, keywords: Sequence[str], language: str = "en") -> float:
    """LV-Eval's score: token F1, but 0 for an answer that holds too few of the keywords (arXiv 2402.05136).

    Too few are under 20 % (in Chinese 40 %) of their words; words without meaning of their own do not count as held.
    """
    given, wanted = Counter(tokens(answer, language)), Counter(tokens(" ".join(keywords), language))
    if not wanted:
        return token_f1(answer, gold, language)
    common = given & wanted
    held = sum(count for word, count in common.items() if word not in _IDLE_WORDS)
    if held / sum(wanted.values()) < _MIN_KEYWORD_RECALL["zh" if language == "zh" else "en"]:
        return 0.0
    return token_f1(answer, gold, language)


def chosen_letters(answer: str, options: Mapping[str, str], language: str = "en") -> str:
    """The letters that an answer chooses, in alphabetical order; empty where it cannot be told.

    In this order: letters alone ("B", "A, C"), a stated choice ("the answer is (B)": the last), a letter that leads
    ("B. Costs"), the text of one option alone, one letter in brackets, and the only letter that stands by itself.
    """
    known = set(options)
    if _SMALL_ALONE.fullmatch(answer):
        answer = answer.upper()
    alone = _LETTERS_ALONE.fullmatch(answer)
    if alone:
        letters = [character for character in alone[1] if character in known]
        if len(letters) == sum(character.isupper() for character in alone[1]):
            return "".join(sorted(set(letters)))
    stated = [found[1] for found in _STATED.finditer(answer) if found[1] in known]
    if stated:
        return stated[-1]
    leading = _LEADING.match(answer)
    if leading and leading[1] in known:
        return leading[1]
    named = [letter for letter, text in options.items() if contains(answer, text, language)]
    equal = [letter for letter in named if exact_match(answer, options[letter], language)]
    guesses = (
        equal,
        named,
        [found for found in _BRACKETED.findall(answer) if found in known],
        [found for found in _ANY_LETTER.findall(answer) if found in known and found != "A"],
    )
    return next((guess[0] for guess in guesses if len(set(guess)) == 1), "")


def score_answer(case: Case, answer: str, answerable: bool, language: str = "en") -> dict[str, float]:
    """Every score that a case allows, by name, from 0 to 1; of several gold answers the best counts.

    ``answerable`` is always there: whether the reader rightly said that there is, or is not, an answer. A question that
    has none scores ``em`` and ``f1`` for saying so (as in SQuAD 2.0); one with options has ``choice``; all others have
    ``em``, ``f1``, ``contains``, ``rouge_l``, and ``keyword_f1`` where they have keywords.
    """
    scores = {"answerable": float(answerable == case.answerable)}
    given = answer if answerable else ""
    if not case.answerable:
        return scores | {"em": float(not answerable), "f1": float(not answerable)}
    if case.options:
        chosen = chosen_letters(given, case.options, language)
        return scores | {"choice": float(any(chosen == "".join(sorted(gold)) for gold in case.answers))}
    measures: dict[str, Callable[[str], float]] = {
        "em": lambda gold: exact_match(given, gold, language),
        "f1": lambda gold: token_f1(given, gold, language),
        "contains": lambda gold: contains(given, gold, language),
        "rouge_l": lambda gold: rouge_l(given, gold, language),
    }
    if case.keywords:
        measures["keyword_f1"] = lambda gold: keyword_f1(given, gold, case.keywords, language)
    return scores | {name: _best(measure, case.answers) for name, measure in measures.items()}


def _best(measure: Callable[[str], float], golds: Iterable[str]) -> float:
    return max((measure(gold) for gold in golds), default=0.0)


def _harmonic(common: int, given: int, wanted: int) -> float:
    return 2 * common / (given + wanted)


def _common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence, a row of the table at a time as bits (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for number, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << number
    everything = (1 << len(first)) - 1
    row = everything
    for word in second:
        matches = row & places.get(word, 0)
        row = (row + matches) | (row - matches)
        row &= everything
    return len(first) - row.bit_count()
