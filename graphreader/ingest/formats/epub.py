"""EPUB: the items of the spine in order, one page each."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

from lxml import etree

from graphreader.errors import DamagedSourceError, EncryptedSourceError
from graphreader.ingest.formats import html
from graphreader.ingest.formats.archive import Archive
from graphreader.ingest.formats.content import Block, Extracted, assemble, collapse

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_READABLE = frozenset({"application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document"})
_MEND = "Get a fresh copy of the book."


def extract(data: bytes, source: str) -> Extracted:
    """The text of an EPUB. Raises ``DamagedSourceError``, and ``EncryptedSourceError`` for copy-protected books."""
    archive = Archive(data, source)
    package_name = _package_name(archive)
    package = archive.read_xml(package_name)
    encrypted = _encrypted_names(archive)
    pages: list[list[Block]] = []
    for name in _spine(package, posixpath.dirname(package_name), source):
        if name in encrypted:
            raise EncryptedSourceError(source, "the book is copy-protected", "Get a copy without protection.")
        root = html.parse(archive.read(name), f"{source} ({name})")
        pages.append([] if root is None else html.blocks(root))
    return assemble(pages or [[]], _title(package))


def _package_name(archive: Archive) -> str:
    for rootfile in archive.read_xml(_CONTAINER).iter("{*}rootfile"):
        name = rootfile.get("full-path", "")
        if name in archive.names:
            return name
    raise DamagedSourceError(archive.source, "the book's package file is missing", _MEND)


def _spine(package: etree._Element, folder: str, source: str) -> list[str]:
    """The members that hold text, in reading order, each once; the navigation document is a list of links, no text."""
    items = {item.get("id", ""): item for item in package.iter("{*}item")}
    names: dict[str, None] = {}
    for reference in package.iter("{*}itemref"):
        item = items.get(reference.get("idref", ""))
        if item is None:
            raise DamagedSourceError(
                source, f"the book lists a part {reference.get('idref')!r} it does not have", _MEND
            )
        if item.get("media-type") in _READABLE and "nav" not in item.get("properties", "").split():
            path = unquote(item.get("href", "").partition("#")[0])
            names[posixpath.normpath(posixpath.join(folder, path)).lstrip("/")] = None
    return list(names)


def _title(package: etree._Element) -> str:
    for title in package.iter("{http://purl.org/dc/elements/1.1/}title"):
        return collapse("".join(str(text) for text in title.itertext()))
    return ""


def _encrypted_names(archive: Archive) -> frozenset[str]:
    """Members that encryption.xml names; obfuscated fonts are among them and do no harm."""
    if _ENCRYPTION not in archive.names:
        return frozenset()
    references = archive.read_xml(_ENCRYPTION).iter("{*}CipherReference")
    return frozenset(unquote(reference.get("URI", "")) for reference in references)
