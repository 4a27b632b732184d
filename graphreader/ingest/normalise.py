"""One name for each thing: spellings folded to a readable normal form, and the aliases that a document itself gives."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache

_DASHES = re.compile("[\u2010-\u2015\u2212\ufe58\uff0d]")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff\ufffe]")
_EDGE = re.compile(r"^[^\w$€£¥%#+]+|[^\w%+#]+$")
_ARTICLES = re.compile(r"^(?:(?:the|an?)\s+)+(?=\S)")
_POSSESSIVE = re.compile(r"(?:'s?)+(?=\s|$)")
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_DOTTED = re.compile(r"\b(?:[^\W\d_]\.){2,}|\b(?:[^\W\d_]\.)+[^\W\d_]\b")
_QUOTES = re.compile('["“”„«»「」『』《》]')
_LEGAL_FORM = re.compile(r"(?<=\w),? (?:inc|ltd|llc|plc|corp|gmbh)$")
_LAST_WORD = re.compile(r"[a-z]{4,40}$")
_NOT_PLURAL = re.compile(r"(?:ss|us|is|as|os|ous|ics)$")
#: Words that end like a plural and are none, or whose singular would name another thing.
_KEPT = frozenset(
    "series species news means james charles thames wales united states texas netherlands philippines hughes williams "
    "jones davies adams rogers brussels mercedes sales earnings goods headquarters always perhaps operations".split()
)
_HONORIFICS = frozenset(
    "mr mrs ms miss dr prof professor sir lady lord captain capt king queen prince princess president chancellor "
    "minister judge justice gen colonel col major lieutenant lt sergeant inspector senator governor "
    "mayor father brother sister reverend rev aunt uncle madame monsieur commander admiral doctor".split()
)
#: Those that only a person has, so that an ordinary word may follow ("Mr. Flask").
_FORMS = frozenset("mr mrs ms miss dr prof sir captain capt".split())
_NOT_PERSONS = frozenset(
    "inc ltd llc plc co corp corporation company group university college school institute museum river lake sea ocean "
    "street road avenue square county city island islands bay harbour harbor port mountain bridge trust foundation "
    "association society committee council board ministry department agency bank fund act program programme project "
    "report note item table section part chapter january february march april may june july august september october "
    "november december monday tuesday wednesday thursday friday saturday sunday".split()
)
_PARTICLES = frozenset("of and the for in on to a an de la du von van der & at by".split())
_ACRONYM = re.compile(r"\(\s*(?:the\s+)?[\"“']?([A-Z][A-Za-z.&-]{1,9})[\"”']?\s*\)")
_DEFINED = re.compile(r"\((?:[^()]{0,60}?\s)?(?:the\s+)?[\"“]([A-Z][\w &.'’-]{1,40}?)[,.]?[\"”][^()]{0,60}\)")
_NAME_BEFORE = re.compile(r"(?:[A-Z][\w'’&-]*[.,]?\s+(?:(?:of|and|for|de)\s+(?:the\s+)?)?){0,6}[A-Z][\w'’&-]*[.,]?\s*$")
_DEFINITION_REACH = 160


@lru_cache(maxsize=1 << 17)
def normalise(spelling: str) -> str:
    """The name of the graph's node for a spelling: readable, and the same when applied again.

    Case, width, quotes, leading articles, possessives, legal forms and the plural of the last word are folded. Empty
    where nothing but marks is given.
    """
    name = spelling
    # Each pass may uncover the next thing to fold; every pass after the first only takes characters away.
    while (folded := _fold(name)) != name:
        name = folded
    return name


def _fold(name: str) -> str:
    name = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    name = _INVISIBLE.sub("", _DASHES.sub("-", name)).replace("’", "'").replace("‘", "'").replace("&", " and ")
    name = " ".join(_QUOTES.sub(" ", name).split())
    name = _GROUPED.sub("", _POSSESSIVE.sub("", name)).replace(" %", "%")
    name = _DOTTED.sub(lambda match: match.group().replace(".", ""), name)
    return _singular(_LEGAL_FORM.sub("", _EDGE.sub("", _ARTICLES.sub("", name))))


def _singular(name: str) -> str:
    """``name`` with a plural at its end made singular."""
    found = _LAST_WORD.search(name)
    if not found or not name.endswith("s"):
        return name
    word = found.group()
    if word in _KEPT or _NOT_PLURAL.search(word):
        return name
    if word.endswith("ies"):
        return name[:-3] + "y" if len(word) > 4 else name[:-1]
    if word.endswith(("sses", "xes", "zes", "ches", "shes")):
        return name[:-2]
    return name[:-1]


def aliases_of(text: str, names: Mapping[str, int], ordinary_words: frozenset[str]) -> dict[str, str]:
    """Other names that ``text`` gives to what it names: normalised alias to normalised canonical name.

    Acronyms and terms defined in brackets, surnames that belong to one full name only, honorifics. ``names`` are the
    spellings of the names in the text with their counts, ``ordinary_words`` the words it writes in lower case. What
    could mean two things is left alone. No canonical name is itself an alias.
    """
    candidates: dict[str, set[str]] = defaultdict(set)
    for alias, canonical in [*_acronyms(text), *_defined_terms(text)]:
        candidates[normalise(alias)].add(normalise(canonical))
    for alias, canonical in _persons(names, ordinary_words):
        candidates[alias].add(canonical)
    direct = {
        alias: canonicals.pop()
        for alias, canonicals in candidates.items()
        if alias and len(canonicals) == 1 and alias not in canonicals
    }
    return {alias: end for alias, first in direct.items() if (end := _followed(direct, first)) and end != alias}


def _followed(direct: Mapping[str, str], name: str) -> str:
    """The end of a chain of aliases, empty where it runs in a circle."""
    seen = set()
    while name in direct:
        if name in seen:
            return ""
        seen.add(name)
        name = direct[name]
    return name


def _acronyms(text: str) -> Iterable[tuple[str, str]]:
    """Acronyms in brackets after the words whose initials they are (after Schwartz and Hearst, PSB 2003)."""
    for match in _ACRONYM.finditer(text):
        letters = [letter.casefold() for letter in match[1].rstrip("s") if letter.isalpha()]
        if sum(letter.isupper() for letter in match[1]) < 2:
            continue
        before = text[max(0, match.start() - _DEFINITION_REACH) : match.start()].split()
        if phrase := _spelt_out(letters, before[-2 * len(letters) - 2 :]):
            yield match[1], phrase
            yield match[1].rstrip("s"), phrase


def _spelt_out(letters: list[str], words: list[str]) -> str:
    """The shortest run of last words whose initials are ``letters``; particles may be skipped."""
    left = len(letters)
    for index in range(len(words) - 1, -1, -1):
        initials = [part[0].casefold() for part in re.split(r"[-/]", words[index].strip("\"'“”‘’(,")) if part]
        count = len(initials)
        if count and letters[max(0, left - count) : left] == initials:
            left -= count
        elif initials[:1] and left and letters[left - 1] == initials[0]:
            left -= 1
        elif words[index].casefold() not in _PARTICLES:
            return ""
        if left <= 0:
            return " ".join(words[index:])
    return ""


def _defined_terms(text: str) -> Iterable[tuple[str, str]]:
    """Terms in quotes within brackets after the name they stand for: Harbour Light Company (the "Company")."""
    for match in _DEFINED.finditer(text):
        if match[1].isupper() and len(match[1]) <= 6 and _ACRONYM.match(match.group()):
            continue  # told by its letters
        before = _NAME_BEFORE.search(text[max(0, match.start() - _DEFINITION_REACH) : match.start()])
        name = " ".join(before.group().split()).strip(" ,") if before else ""
        if len(name) > len(match[1]) and name.count(" ") < 6:
            yield match[1], _defined_part(name, match[1])


def _defined_part(name: str, term: str) -> str:
    """The last part of "Annual Report of The Boeing Company" that still has the word "Company", or all of it."""
    parts = re.split(r" (?:of|for) ", name)
    return next((part for part in reversed(parts) if term.rsplit(" ", 1)[-1] in part.split()), name)


def _persons(names: Mapping[str, int], ordinary_words: frozenset[str]) -> Iterable[tuple[str, str]]:
    """Honorifics and surnames: "captain ilse marrow" and "marrow" to "ilse marrow".

    A surname stands for a full name only if its first place in the text has the full name: what is called by its
    surname first ("Ahab") is not explained by a chance neighbour later ("Parsee Ahab").
    """
    bare_names: dict[str, str] = {}
    introduced: dict[str, str] = {}
    owners: dict[str, set[str]] = defaultdict(set)
    titled: set[str] = set()
    for spelling, count in names.items():
        words = spelling.replace(".", "").split()
        if " and " in spelling or len(words) > 5:
            continue
        bare = _without_honorifics(words, ordinary_words)
        surname, full = normalise(bare[-1]), normalise(" ".join(bare))
        introduced.setdefault(surname, full)
        is_titled = len(bare) < len(words)
        if is_titled:
            titled.add(surname)
            bare_names[normalise(spelling)] = full
        if len(bare) > 1 and (is_titled or (count > 1 and _looks_like_person(bare, ordinary_words))):
            owners[surname].add(full)
    for alias, full in bare_names.items():
        # "Captain Marrow" is nobody in particular where two are called Marrow.
        if " " in full or len(owners[full]) <= 1:
            yield alias, full
    for surname, fulls in owners.items():
        if len(fulls) == 1 and introduced[surname] in fulls and (surname in titled or surname not in ordinary_words):
            yield surname, introduced[surname]


def _without_honorifics(words: list[str], ordinary_words: frozenset[str]) -> list[str]:
    """The words of a name after its honorifics; all of them where the rest is no person ("Chief Financial Officer")."""
    first = 0
    while first + 1 < len(words) and words[first].casefold() in _HONORIFICS:
        first += 1
    bare = words[first:]
    if first and not _looks_like_person(bare, frozenset() if words[0].casefold() in _FORMS else ordinary_words):
        return words
    return bare


def _looks_like_person(words: list[str], ordinary_words: frozenset[str]) -> bool:
    return any(len(word) > 1 for word in words[:-1] or words) and all(
        word.replace("-", "").replace("'", "").replace("’", "").isalpha()
        and word[0].isupper()
        and not (word.isupper() and len(word) > 1)
        and word.casefold() not in _NOT_PERSONS
        and word.casefold() not in ordinary_words
        for word in words
    )
