"""What a sentence mentions, found by rules: names, dates, amounts, terms in quotes, phrases between stop words.

Works on one sentence with its whitespace collapsed. What recurs in a document must be counted by the caller: the rules
here know only the sentence. Phrases follow RAKE (Rose et al., 2010): runs of words between stop words and marks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from graphreader.text.terms import STOP_WORDS

_UPPER = "A-ZÀ-ÖØ-ÞĀĂĄĆČĎĐĒĖĘĚĞĢĪİĶŁĹĽĻŃŇŅŌŐŒŔŘŚŞŠŢŤŪŮŰŲŹŻŽΑ-ΩА-Я"
_CAPITALISED = rf"(?:[{_UPPER}]\.)+(?:[{_UPPER}](?![\w]))?|[{_UPPER}]\w*+(?:['’&-]\w++)*+"
_PARTICLE = r"(?:of|de|du|del|della|di|da|van|von|der|den|la|le|al|bin|ibn|el)(?: (?:the|la|der|den|le))?"
_NAME = re.compile(
    rf"(?<![\w'’-])(?:(?:Mr|Mrs|Ms|Dr|St|Prof|Capt|Rev|Sgt|Lt|Col|Gen)\. )?(?:{_CAPITALISED})"
    rf"(?: (?:(?:{_PARTICLE}|&|and) )?(?:{_CAPITALISED})| \d{{1,4}}[A-Z]?(?![\w,.]\d|[\w%]))*+"
)
_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_DATE = re.compile(
    rf"\b(?:{_MONTH} \d{{1,2}}(?:, \d{{4}})?|\d{{1,2}} {_MONTH}(?: \d{{4}})?|{_MONTH} \d{{4}})\b|\d{{4}}-\d\d-\d\d"
    r"|[一二三四五六七八九十元]{1,3}年|\d{4}年(?:\d{1,2}月(?:\d{1,2}日)?)?"
)
_YEAR = re.compile(r"(?<![\w.,$€£¥-])(?:1[0-9]|20)\d\d(?![\d%]|[.,]\d|\w)")
_SCALE = "(?:thousand|million|billion|trillion|crore|lakh)"
_UNIT = (
    "(?:%|percent|per cent|tonnes?|tons?|kg|kilograms?|grams?|km|kilomet(?:re|er)s?|met(?:re|er)s?|miles?|feet|foot|"
    "inch(?:es)?|litres?|liters?|barrels?|acres?|hectares?|hours?|minutes?|seconds?|days?|weeks?|months?|years?|people|"
    "employees|dollars?|euros?|pounds?|kronor|kroner|yuan|yen|MW|GW|kW|MWh|GWh|kWh|°C|degrees?|knots?|fathoms?|leagues?)"
)
_FIGURE = r"\d+(?:,\d{3})*+(?:\.\d+)?"
_AMOUNT = re.compile(
    rf"[$€£¥] ?{_FIGURE}(?: {_SCALE})?|(?<![\w.,]){_FIGURE}(?: {_SCALE}(?: {_UNIT})?| ?{_UNIT})(?!\w)"
    r"|(?<!\d)\d+(?:\.\d+)?[万亿]?(?:元|人|吨|公里|米|美元)"
)
_DIGIT = re.compile(r"\d")
_LATIN = re.compile("[A-Za-z]")
_QUOTED = re.compile(
    r"《([^《》\n]{1,40})》|「([^「」\n]{1,20})」|『([^『』\n]{1,20})』|“([^“”。！？，；\n]{2,40}?)[,.]?”|\"([^\"\n]{2,40}?)[,.]?\""
)
_WORD_OR_MARK = re.compile(r"[a-zà-ÿ][a-zà-ÿ'’]*(?:-[a-zà-ÿ]+)*|\d|[^\w\s]")
#: Words that are no part of a name at its edges, though they begin a sentence with a capital.
_EDGE_WORDS = STOP_WORDS | frozenset(
    "however moreover furthermore meanwhile yesterday today tomorrow finally first second third next last now yet "
    "still also although since unless whether perhaps indeed thus hence therefore according despite within without "
    "during among across along around near many much several another every either neither see may might must let "
    "two three four five six seven eight nine ten one please dear oh ah well come go look say said".split()
)
#: Words seldom part of a phrase that names something.
_VERBS = frozenset(
    "said says say went go goes come came see saw seen made make makes take took taken get got give gave given find "
    "found know knew known think thought use used using include includes including included based related become "
    "became began begin put let seem seemed like would could might must shall may also even still yet much many "
    "however though upon every another one two three us new old good great little long first last several certain "
    "various well away back never ever always now often soon already almost rather quite another either neither "
    "thou thee thy thine hast hath art shalt doth cried replied asked answered exclaimed thus "
    "per whose whether since within without among towards toward anything something nothing everything".split()
)
_CALENDAR = frozenset(
    "january february march april may june july august september october november december monday tuesday wednesday "
    "thursday friday saturday sunday i".split()
)
IDEOGRAPHS = re.compile("[\u4e00-\u9fff\u3400-\u4dbf]+")


def names_in(sentence: str, ordinary_words: frozenset[str] = frozenset()) -> list[str]:
    """Names in order: runs of capitalised words and numbers, joined by particles; ``A and B`` as a whole and in parts.

    A single capitalised word that ``ordinary_words`` holds in lower case is no name where the sentence begins with it.
    """
    if sentence.isupper():
        return []
    found: list[str] = []
    for match in _NAME.finditer(sentence):
        opens = not any(character.isalnum() for character in sentence[max(0, match.start() - 3) : match.start()]) and (
            match.start() < 3 or sentence[: match.start()].rstrip("\"'“‘([ ")[-1:] in ("", ".", "!", "?", ":", "—", "-")
        )
        whole = match.group()
        parts = whole.split(" and ")
        for part in [whole, *parts] if len(parts) == 2 else parts:
            name = _trimmed(part, opens and whole.startswith(part), ordinary_words)
            if name:
                found.append(name)
    return found


def _trimmed(run: str, opens: bool, ordinary_words: frozenset[str]) -> str:
    """A run of capitalised words without function words at its edges; empty where no name is left."""
    words = run.split(" ")
    while words and _is_edge_word(words[0]):
        words.pop(0)
        opens = False
    while words and (_is_edge_word(words[-1]) or words[-1] == "&"):
        words.pop()
    if not words or (len(words) == 1 and _is_no_name(words[0], opens, ordinary_words)):
        return ""
    name = " ".join(words)
    return "" if _DATE.fullmatch(name) else name.removesuffix("'s").removesuffix("’s").strip("'’-&")


def _is_edge_word(word: str) -> bool:
    folded = word.casefold().replace("’", "'")
    return folded.replace("'", "") in _EDGE_WORDS or folded.startswith("i'")


def _is_no_name(word: str, opens: bool, ordinary_words: frozenset[str]) -> bool:
    folded = word.casefold().removesuffix("'s").removesuffix("’s")
    if len(folded) < 2 or folded in _CALENDAR or word[0].isdigit():
        return True
    return opens and not word.isupper() and folded in ordinary_words


def dates_in(sentence: str) -> list[str]:
    """Dates, then years; also those of Chinese eras."""
    if "年" not in sentence and not _DIGIT.search(sentence):
        return []
    return [match.group() for pattern in (_DATE, _YEAR) for match in pattern.finditer(sentence)]


def amounts_in(sentence: str) -> list[str]:
    """Amounts with their currency or unit; bare numbers are left out."""
    return [match.group() for match in _AMOUNT.finditer(sentence)] if _DIGIT.search(sentence) else []


def quoted_in(sentence: str) -> list[str]:
    """Terms in quotes and titles of works: short, at most four words of a script that has spaces."""
    groups = (next(filter(None, match.groups()), "") for match in _QUOTED.finditer(sentence))
    return [term.strip() for term in groups if term.strip() and term.count(" ") < 4]


def phrases_in(sentence: str) -> Iterator[str]:
    """Lower-cased pairs and triples of neighbouring words without a stop word or a mark between, as RAKE has them."""
    before: list[str] = []
    if not _LATIN.search(sentence):
        return
    for token in _WORD_OR_MARK.findall(sentence.lower()):
        if token in STOP_WORDS or token in _VERBS or len(token) < 3 or token.endswith("ly"):
            before.clear()
            continue
        if before and not token.endswith("ed"):
            yield f"{before[-1]} {token}"
            if len(before) > 1:
                yield f"{before[-2]} {before[-1]} {token}"
        before.append(token)


def row_label(row: str) -> str:
    """The words with which a table row begins, before its first cell; empty where there are none or more than ten."""
    words: list[str] = []
    for word in row.strip("| ").split():
        if word[0] in "$€£¥|" or any(character.isdigit() for character in word) or not any(map(str.isalpha, word)):
            break
        words.append(word)
    return " ".join(words).strip(" :,;") if 0 < len(words) <= 10 else ""
