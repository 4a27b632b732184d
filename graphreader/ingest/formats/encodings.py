"""From bytes to text in any common encoding."""

from __future__ import annotations

import codecs
import re

import charset_normalizer

from graphreader.errors import UnsupportedSourceError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    # UTF-32's little-endian mark starts with UTF-16's: it has to be looked for first.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_MEND = "If it is text, save it as UTF-8; if not, it cannot be read."
_SAMPLE_BYTES = 65_536
_MAX_CONTROL_SHARE = 0.02
_SAMPLE_CHARACTERS = 2_000
_MIN_COMMON_SHARE = 0.8
# (encoding, its standard without extensions, lead bytes of punctuation and of common characters)
_EAST_ASIAN = (
    ("cp949", "euc_kr", ((0xA1, 0xA3), (0xB0, 0xC8))),
    ("euc_jp", "euc_jp", ((0xA1, 0xA8), (0xB0, 0xCF))),
    ("cp932", "shift_jis", ((0x81, 0x84), (0x88, 0x97))),
    ("gb18030", "gb2312", ((0xA1, 0xA3), (0xB0, 0xD7))),
    ("cp950", "big5", ((0xA1, 0xA3), (0xA4, 0xC6))),
)
_SINGLE_BYTE = ("cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256")


def decode(data: bytes, source: str, declared: str | None = None) -> str:
    """``data`` as text: by its byte order mark, as UTF-8, as ``declared``, else by the likeliest encoding.

    Raises ``UnsupportedSourceError`` for bytes that are no text.
    """
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return _checked(_strict(data[len(bom) :], encoding), source)
    wide = _wide_encoding(data)
    if wide is not None:
        return _checked(_strict(data, wide), source)
    text = _strict(data, "utf-8")
    if text is None and declared is not None:
        text = _strict(data, declared)
    return _checked(_likeliest(data) if text is None else text, source)


def _strict(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def _wide_encoding(data: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark, told by where the zero bytes of its ASCII characters stand."""
    sample = data[: _SAMPLE_BYTES // 4 * 4]
    if len(sample) < 4 or b"\x00" not in sample:
        return None
    zero_shares = [lane.count(0) / len(lane) for lane in (sample[i::4] for i in range(4))]
    for encoding, zero, text in (
        ("utf-32-le", (2, 3), (0,)),
        ("utf-32-be", (0, 1), (3,)),
        ("utf-16-le", (1, 3), (0, 2)),
        ("utf-16-be", (0, 2), (1, 3)),
    ):
        if min(zero_shares[i] for i in zero) > 0.2 and max(zero_shares[i] for i in text) < 0.02:
            return encoding
    return None


def _likeliest(data: bytes) -> str | None:
    """The text in a legacy encoding: judged on a sample, so that long files stay cheap, then decoded whole."""
    sample = data[:_SAMPLE_BYTES]
    # A sample must not end inside a character.
    end = max(sample.rfind(b"\n"), sample.rfind(b" "))
    if len(data) > len(sample) and end > 0:
        sample = sample[:end]
    for encoding in (_east_asian_encoding(sample), _single_byte_encoding(sample)):
        text = _strict(data, encoding) if encoding is not None else None
        if text is not None:
            return text
    return None


def _east_asian_encoding(sample: bytes) -> str | None:
    """The encoding in which nearly all characters are common ones.

    The national standards hold their common characters in one range of lead bytes; read in a wrong encoding, text
    scatters over the rare ones. Of equal shares the narrower range is the surer, hence the order of the table.
    """
    best, best_share = None, _MIN_COMMON_SHARE
    for encoding, standard, ranges in _EAST_ASIAN:
        text = _strict(sample, encoding)
        characters = [c for c in text if c > "\x7f"][:_SAMPLE_CHARACTERS] if text is not None else []
        if characters:
            share = round(sum(_is_common(c, standard, ranges) for c in characters) / len(characters), 2)
            if share > best_share:
                best, best_share = encoding, share
    return best


def _is_common(character: str, standard: str, ranges: tuple[tuple[int, int], ...]) -> bool:
    try:
        code = character.encode(standard)
    except UnicodeEncodeError:
        return False
    return len(code) == 2 and any(low <= code[0] <= high for low, high in ranges)


def _single_byte_encoding(sample: bytes) -> str | None:
    found = [match.encoding for match in charset_normalizer.from_bytes(sample, cp_isolation=list(_SINGLE_BYTE))]
    if not found:
        return None
    # These two agree on most letters; where both make sense, the western one is far more common.
    return "cp1252" if found[0] == "cp1250" and "cp1252" in found else found[0]


def _checked(text: str | None, source: str) -> str:
    if text is None:
        raise UnsupportedSourceError(source, "it is neither text in a known encoding nor a format we read", _MEND)
    if text and len(_CONTROLS.findall(text)) > _MAX_CONTROL_SHARE * len(text):
        raise UnsupportedSourceError(source, "it holds binary data, not text", _MEND)
    return text
