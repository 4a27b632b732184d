"""Facts and key elements without a model: each sentence a fact, its names, terms, dates and amounts by rules.

What is a name or a term shows only in the whole document (does a word occur in lower case, does a phrase recur), so a
``Vocabulary`` is made first, once for each document.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import add
from typing import Protocol

from graphreader.ingest.chunk import is_furniture, sentences_of
from graphreader.ingest.normalise import aliases_of, normalise
from graphreader.ingest.tables import Table, row_statement, tables_of
from graphreader.records import AtomicFact, Chunk, Document, FactOrigin, KeyElement
from graphreader.text.mentions import IDEOGRAPHS, amounts_in, dates_in, names_in, phrases_in, quoted_in, row_label
from graphreader.text.sentences import is_table_row
from graphreader.text.terms import STOP_WORDS

#: Bounds on what one fact and one document can bring into the graph.
_MAX_KEY_ELEMENTS = 24
_MAX_NAME_CHARACTERS = 100
_MAX_PHRASES = 20_000
_MAX_IDEOGRAPH_TERMS = 20_000
_MAX_SENTENCE_CHARACTERS = 4_000
_MAX_QUESTION_CHARACTERS = 4_000
_MAX_QUESTION_WORDS = 8
#: A run of ideographs is a term if it recurs this often and its halves meet this much more often than by chance, or
#: make up this part of all places of either.
_MIN_IDEOGRAPH_COUNT = 4
_MIN_COHESION = 30.0
_MIN_SHARE = 0.5
#: A shorter run is dropped where most of its occurrences lie within one longer term.
_ABSORBED = 0.8
# Function words and verbs of speech: no term of two to four ideographs begins or ends with one of them.
_IDEOGRAPH_EDGES = frozenset(
    "的了是在不有我他她它你们这那和与及或而也都就还又被把对为从到上下中里个之其曰道说云乃且则即若以于者所矣哉乎"
    "也焉吾汝尔此彼何谁皆已未无可能会要去来使令将欲请问见得着过吗呢吧啊很更最再只但却因故如非并自等每某各一二三"
)
#: Names, phrases or words of one document counted at once; what is rare goes first.
_MAX_COUNTED = 500_000
_WINDOW_CHARACTERS = 1_000_000
_SPACE = re.compile(r"\s")
_LOWER_WORD = re.compile(r"(?<![\w'’])[a-zà-ÿ][a-zà-ÿ'’]+")
_WORD = re.compile(r"\w[\w'’.&%-]*")
_NEIGHBOURS = re.compile(r"[$€£¥]?\w[\w'’.,&%/-]*")
_HAS_LETTER = re.compile(r"[^\W\d_]")


class KeyElementNamer(Protocol):
    """What turns spellings into nodes of the graph."""

    def key_elements(self, spellings: Iterable[str]) -> tuple[KeyElement, ...]:
        """The key elements of these spellings by their canonical names, none twice, empty ones left out."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What one document's words show as a whole. ``phrases`` and ``ideograph_terms`` are those that recur."""

    ordinary_words: frozenset[str] = frozenset()
    joined_names: frozenset[str] = frozenset()
    phrases: frozenset[str] = frozenset()
    ideograph_terms: frozenset[str] = frozenset()
    #: Normalised alias to normalised canonical name.
    aliases: Mapping[str, str] = field(default_factory=dict)
    #: What stands above each row of a table, by the row's start.
    rows: Mapping[int, Table] = field(default_factory=dict)
    #: Whether spellings are brought to a normal form; else only case and white space are folded.
    normalises: bool = True

    def key_elements(self, spellings: Iterable[str]) -> tuple[KeyElement, ...]:
        """The key elements of these spellings by their canonical names, none twice, empty ones left out."""
        found: dict[str, KeyElement] = {}
        for spelling in spellings:
            name = self._name_of(spelling) if len(spelling) <= _MAX_NAME_CHARACTERS else ""
            name = self.aliases.get(name, name)
            if name not in found and (len(name) > 1 or not name.isascii()) and name:
                found[name] = KeyElement(name, spelling)
        return tuple(found.values())

    def _name_of(self, spelling: str) -> str:
        return normalise(spelling) if self.normalises else " ".join(spelling.casefold().split())


def vocabulary_of(document: Document, *, normalises: bool = True) -> Vocabulary:
    """What the document's words show as a whole; a pass over its sentences, linear in its text.

    Without ``normalises`` nothing is known by another name: neither other spellings nor aliases that the text gives.
    """
    text = document.text
    ordinary_words = _ordinary_words(text)
    names: Counter[str] = Counter()
    phrases: Counter[str] = Counter()
    for start, end in sentences_of(document):
        sentence = " ".join(text[start : min(end, start + _MAX_SENTENCE_CHARACTERS)].split())
        names.update(names_in(sentence, ordinary_words))
        phrases.update(phrases_in(sentence))
        if len(names) > _MAX_COUNTED:
            names = _frequent(names)
        if len(phrases) > _MAX_COUNTED:
            phrases = _frequent(phrases)
    return Vocabulary(
        ordinary_words=ordinary_words,
        joined_names=frozenset(name for name, count in names.items() if count > 1 and " and " in name),
        phrases=_recurring_phrases(phrases),
        ideograph_terms=_ideograph_terms(text),
        aliases=aliases_of(text, names, ordinary_words) if normalises else {},
        rows=tables_of(document).rows,
        normalises=normalises,
    )


def _ordinary_words(text: str) -> frozenset[str]:
    """The words that ``text`` writes in lower case, at most so many: noise has as many words as it is long."""
    words: set[str] = set()
    start = 0
    while start < len(text) and len(words) < _MAX_COUNTED:
        space = _SPACE.search(text, start + _WINDOW_CHARACTERS)
        end = space.start() if space else len(text)
        words.update(_LOWER_WORD.findall(text, start, end))
        start = end
    return frozenset(words)


def _frequent(counts: Counter[str]) -> Counter[str]:
    """The counts in order without the rarest: what remains is half of what may be counted at once, or less.

    Lossy counting (Manku and Motwani, VLDB 2002) bounds the memory: what recurs often enough is kept in any case.
    """
    floor = 1
    while len(counts) > _MAX_COUNTED // 2:
        counts = Counter({key: count for key, count in counts.items() if count > floor})
        floor *= 2
    return counts


def phrase_facts(document: Document, chunk: Chunk, vocabulary: Vocabulary) -> list[AtomicFact]:
    """Each sentence of a chunk as a fact, its whitespace collapsed, with its key elements.

    A row of a table states its columns' dates and its unit: "Net sales, 2023: $ 14,694; 2022: $ 14,544 (in millions)".
    Furniture is left out, and so is what says nothing: fewer than two words, no key element and no table row.
    """
    facts: list[AtomicFact] = []
    for number, (start, end) in enumerate(sentences_of(document, chunk.start, chunk.end)):
        if is_furniture(document, start, end):
            continue
        text = " ".join(document.text[start:end].split())
        is_row = is_table_row(text)
        elements = vocabulary.key_elements(_mentions(text, is_row, vocabulary))[:_MAX_KEY_ELEMENTS]
        if elements or (_HAS_LETTER.search(text) and (is_row or _has_two_words(text))):
            fact_id = f"{chunk.id}-s{number}"
            if start in vocabulary.rows:
                text = row_statement(text, vocabulary.rows[start]) or text
            facts.append(AtomicFact(fact_id, document.id, chunk.id, start, end, text, elements, FactOrigin.PHRASES))
    return facts


def key_elements_of_question(question: str) -> list[str]:
    """Normalised names that a question may mention, for look-up, the likeliest first.

    What rules find, then all runs of up to eight words (longest first) and of two to six ideographs that do not begin
    or end with a function word.
    """
    question = " ".join(question[:_MAX_QUESTION_CHARACTERS].split())
    found = [
        normalise(spelling)
        for spelling in [*names_in(question), *quoted_in(question), *dates_in(question), *amounts_in(question)]
    ]
    words = _NEIGHBOURS.findall(question)
    for size in range(min(_MAX_QUESTION_WORDS, len(words)), 0, -1):
        for first in range(len(words) - size + 1):
            run = words[first : first + size]
            if run[0].casefold() not in STOP_WORDS and run[-1].casefold().strip(".,?") not in STOP_WORDS:
                found.append(normalise(" ".join(run)))
    for run_of_ideographs in IDEOGRAPHS.findall(question):
        for size in range(6, 1, -1):
            grams = (run_of_ideographs[at : at + size] for at in range(len(run_of_ideographs) - size + 1))
            found.extend(gram for gram in grams if not _has_function_edge(gram))
    return [name for name in dict.fromkeys(found) if name]


def _mentions(sentence: str, is_row: bool, vocabulary: Vocabulary) -> Iterable[str]:
    """Spellings of a sentence's key elements, most telling first."""
    text = sentence[:_MAX_SENTENCE_CHARACTERS]
    if is_row:
        # Cells are bare numbers in any order: only what names the row, and its years, is worth a node.
        label = row_label(text)
        return [*([label] if label else names_in(text, vocabulary.ordinary_words)), *dates_in(text)[:6]]
    found = [
        name
        for name in names_in(text, vocabulary.ordinary_words)
        if " and " not in name or name in vocabulary.joined_names
    ]
    if text.isupper() and len(text) <= _MAX_NAME_CHARACTERS:
        found.append(text)
    found += quoted_in(text)
    found += dates_in(text)
    found += amounts_in(text)
    if vocabulary.phrases:
        found += _longest(phrase for phrase in phrases_in(text) if phrase in vocabulary.phrases)
    if vocabulary.ideograph_terms:
        found += _ideograph_mentions(text, vocabulary.ideograph_terms)
    return found


def _has_two_words(text: str) -> bool:
    ideographs = IDEOGRAPHS.search(text)
    return len(_WORD.findall(text, 0, 200)) > 1 or (ideographs is not None and len(ideographs.group()) > 1)


def _longest(phrases: Iterable[str]) -> list[str]:
    """``phrases`` without those that lie within another of them."""
    unique = list(dict.fromkeys(phrases))
    triples = [f" {phrase} " for phrase in unique if phrase.count(" ") > 1]
    return [phrase for phrase in unique if phrase.count(" ") > 1 or not any(f" {phrase} " in t for t in triples)]


def _recurring_phrases(phrases: Counter[str]) -> frozenset[str]:
    """The most frequent phrases that occur twice or more, without those that occur only within a longer one."""
    recurring = {phrase: count for phrase, count in phrases.most_common(_MAX_PHRASES) if count > 1}
    for phrase in [phrase for phrase in recurring if phrase.count(" ") == 2]:
        count = recurring[phrase]
        for part in (phrase[: phrase.rindex(" ")], phrase[phrase.index(" ") + 1 :]):
            if recurring.get(part) == count:
                del recurring[part]
    return frozenset(recurring)


def _ideograph_terms(text: str) -> frozenset[str]:
    """Runs of two to four ideographs that recur and hold together, by their counts alone (no dictionary)."""
    if IDEOGRAPHS.search(text) is None:
        return frozenset()
    counts: dict[int, Counter[str]] = {size: Counter() for size in (1, 2, 3, 4)}
    for start in range(0, len(text), _WINDOW_CHARACTERS):
        runs = "\n".join(IDEOGRAPHS.findall(text, start, start + _WINDOW_CHARACTERS))
        joined = list(runs)
        counts[1].update(joined)
        for size in (2, 3, 4):
            joined = list(map(add, joined, runs[size - 1 :]))
            counts[size].update(joined)
            if len(counts[size]) > _MAX_COUNTED:
                counts[size] = _frequent(counts[size])
    total = counts[1].total() - counts[1]["\n"]
    grams = {
        size: {
            gram: count
            for gram, count in counted.items()
            if "\n" not in gram and (size == 1 or count >= _MIN_IDEOGRAPH_COUNT)
        }
        for size, counted in counts.items()
    }
    terms: dict[str, int] = {}
    for size in (4, 3, 2):
        for gram, count in grams[size].items():
            if not _has_function_edge(gram) and _holds_together(gram, count, grams, total):
                terms[gram] = count
    for term, count in [(term, count) for term, count in terms.items() if len(term) > 2]:
        for part in (term[:-1], term[1:]):
            if part in terms and count >= _ABSORBED * terms[part]:
                del terms[part]
    return frozenset(term for term, _ in Counter(terms).most_common(_MAX_IDEOGRAPH_TERMS))


def _has_function_edge(gram: str) -> bool:
    return gram[0] in _IDEOGRAPH_EDGES or gram[-1] in _IDEOGRAPH_EDGES


def _holds_together(gram: str, count: int, grams: Mapping[int, Mapping[str, int]], total: int) -> bool:
    """Whether the two sides of ``gram`` belong to each other at every joint.

    Either they meet far more often than by chance (mutual information), or each seldom occurs without the other: in a
    short text chance alone cannot tell.
    """
    for cut in range(1, len(gram)):
        left, right = grams[cut].get(gram[:cut], count), grams[len(gram) - cut].get(gram[cut:], count)
        if count * total < _MIN_COHESION * left * right and count < _MIN_SHARE * max(left, right):
            return False
    return True


def _ideograph_mentions(text: str, terms: frozenset[str]) -> list[str]:
    """Known terms in the runs of ideographs, the longest at each place, without overlap."""
    found = []
    for run in IDEOGRAPHS.findall(text):
        at = 0
        while at < len(run) - 1:
            for size in (4, 3, 2):
                gram = run[at : at + size]
                if gram in terms:
                    found.append(gram)
                    at += len(gram)
                    break
            else:
                at += 1
    return found
