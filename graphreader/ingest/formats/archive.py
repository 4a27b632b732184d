"""Reading members of a zip file, and XML in them, without trusting either."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib

from lxml import etree

from graphreader.errors import DamagedSourceError, EncryptedSourceError

#: The XML of a document whose text is as long as ten thousand pages is smaller; a zip bomb is not.
MAX_MEMBER_BYTES = 250_000_000
#: XML packs to a tenth, tables of one value to a hundredth of its size; what packs better than this is a bomb.
_MAX_RATIO = 300
_HARMLESS_BYTES = 10_000_000

_ENCRYPTED_FLAG = 0x1
_MEND = "Get a fresh copy of the file, or save it again from the program that made it."


class Archive:
    """A zip file in memory whose members are read within bounds. Raises ``DamagedSourceError`` where it cannot be."""

    def __init__(self, data: bytes, source: str, max_total_bytes: int = MAX_MEMBER_BYTES) -> None:
        self.source = source
        self._bytes_left = max_total_bytes
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, UnicodeDecodeError) as error:
            raise DamagedSourceError(source, f"the zip container is truncated or malformed ({error})", _MEND) from error
        self.names = frozenset(self._zip.namelist())

    def read(self, name: str) -> bytes:
        """The bytes of a member. Raises ``DamagedSourceError`` (also for bombs) and ``EncryptedSourceError``."""
        try:
            info = self._zip.getinfo(name)
        except KeyError as error:
            raise DamagedSourceError(self.source, f"its part {name!r} is missing", _MEND) from error
        if info.flag_bits & _ENCRYPTED_FLAG:
            raise EncryptedSourceError(self.source, "it is encrypted", "Save a copy without a password.")
        is_bomb = info.file_size > max(_HARMLESS_BYTES, _MAX_RATIO * info.compress_size)
        if is_bomb or info.file_size > self._bytes_left:
            raise DamagedSourceError(
                self.source,
                f"its part {name!r} would expand from {info.compress_size:,} to {info.file_size:,} bytes, like a bomb",
                "Do not trust this file; if it is genuine, split it.",
            )
        # The declared size bounds what zipfile hands out, so counting it is enough.
        self._bytes_left -= info.file_size
        try:
            return self._zip.read(info)
        except (
            zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError, RuntimeError,
            ValueError,
        ) as error:  # fmt: skip
            raise DamagedSourceError(self.source, f"its part {name!r} cannot be unpacked ({error})", _MEND) from error

    def read_xml(self, name: str) -> etree._Element:
        """A member parsed as XML; entities are never resolved and nothing outside is fetched."""
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_pis=True)
        try:
            return etree.fromstring(self.read(name), parser)
        except (etree.XMLSyntaxError, ValueError) as error:
            raise DamagedSourceError(self.source, f"its part {name!r} is malformed XML ({error})", _MEND) from error
