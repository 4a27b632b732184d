"""Hostile sources, made with a seed: too long, too many, too deep, lying, broken or bombs.

Each maker writes into an empty folder and returns the arguments for ``graphreader index``. ``scale`` 1.0 gives the full
sizes (a text of 100 MB), smaller ones the same shapes for quick tests.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import socket
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

Maker = Callable[[Path, random.Random, float], list[str]]

_MB = 1_000_000
_IDEOGRAPHS = [chr(code) for code in range(0x4E00, 0x4E00 + 3000)]


def _vocabulary(rng: random.Random, count: int = 20_000) -> list[str]:
    syllables = [consonant + vowel for consonant in "bcdfghjklmnprstvw" for vowel in "aeiou"]
    return ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(count)]


def sentences(rng: random.Random) -> Iterator[str]:
    """Endless sentences of made-up words with frequencies as in a language, and names and years among them."""
    words = _vocabulary(rng)
    weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(words))))
    while True:
        chosen = rng.choices(words, cum_weights=weights, k=rng.randint(6, 22))
        chosen[0] = chosen[0].capitalize()
        if rng.random() < 0.4:
            chosen[2:4] = [chosen[2].capitalize(), rng.choice(words).capitalize()]
        if rng.random() < 0.2:
            chosen.append(f"in {rng.randint(1900, 2020)}")
        yield " ".join(chosen) + "."


def prose(rng: random.Random, byte_count: float, joint: str = " ", per_paragraph: int = 5) -> Iterator[str]:
    """Paragraphs of about ``byte_count`` bytes together."""
    source = sentences(rng)
    left = byte_count
    while left > 0:
        paragraph = joint.join(itertools.islice(source, per_paragraph))
        left -= len(paragraph)
        yield paragraph


def _write(path: Path, pieces: Iterator[str], between: str = "\n\n", encoding: str = "utf-8") -> list[str]:
    with path.open("w", encoding=encoding, errors="surrogatepass", newline="") as file:
        for piece in pieces:
            file.write(piece)
            file.write(between)
    return [str(path)]


def text_100_mb(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """Paragraphs of sentences."""
    return _write(folder / "long.txt", prose(rng, 100 * _MB * scale))


def text_without_newline(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """Sentences, all on one line."""
    return _write(folder / "line.txt", prose(rng, 100 * _MB * scale), between=" ")


def text_without_full_stop(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """Words on one line, without a single sentence end: one sentence of 50 MB."""
    return _write(folder / "words.txt", (p.replace(".", "") for p in prose(rng, 50 * _MB * scale)), between=" ")


def line_without_space(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """Letters and digits on one line, without any space."""
    return _write(folder / "letters.txt", (f"{rng.getrandbits(4000):x}" for _ in range(int(50_000 * scale))), "")


def same_letter(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """One letter, again and again."""
    return _write(folder / "a.txt", ("a" * 1000 for _ in range(int(50_000 * scale))), "")


def full_stops(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """Nothing but marks and spaces, which could all end sentences."""
    marks = (". .\t!?", "((((", "||||", "A. B. ", "----", "\"\" ''", "1) ")
    return _write(folder / "marks.txt", ("".join(rng.choices(marks, k=200)) for _ in range(int(10_000 * scale))), "")


def blank_lines(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """Spaces, tabs and newlines around a few words."""
    return _write(folder / "blank.txt", (" \t\n" * 1000 + "word" for _ in range(int(10_000 * scale))), "")


def chinese(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """Chinese sentences; and as many bytes again without any mark."""

    def pieces(mark: str) -> Iterator[str]:
        words = ["".join(rng.choices(_IDEOGRAPHS, k=rng.randint(1, 3))) for _ in range(20_000)]
        for _ in range(int(50 * _MB * scale / 3 / 600)):
            yield "".join(word + (mark if n % 9 == 8 else "") for n, word in enumerate(rng.choices(words, k=300)))

    return _write(folder / "zh.txt", pieces("。"), "\n") + _write(folder / "zh-line.txt", pieces(""), "")


def tiny_files(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """Ten thousand files of a few sentences, a hundred of them broken."""
    source = sentences(rng)
    for number in range(int(10_000 * scale)):
        path = folder / f"{number % 100:02}" / f"note {number}.md"
        path.parent.mkdir(exist_ok=True)
        text = " ".join(itertools.islice(source, rng.randint(1, 6)))
        path.write_bytes(b"" if number % 100 == 50 else f"# Note {number}\n\n{text}\n".encode())
    return [str(folder)]


def jsonl_lines(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """A hundred thousand lines; one in the middle is cut off, one is no UTF-8, one repeats an id."""
    source = sentences(rng)
    count = int(100_000 * scale)
    with (folder / "corpus.jsonl").open("wb") as file:
        for number in range(count):
            row = {"id": str(number), "title": next(source)[:30], "text": " ".join(itertools.islice(source, 4))}
            line = json.dumps(row).encode()
            if number == count // 2:
                line = line[:-5]
            elif number == count // 3:
                line = line.replace(b'"text": "', b'"text": "\xff')
            elif number == count // 4:
                line = json.dumps(row | {"id": "0"}).encode()
            file.write(line + b"\n")
    return [str(folder / "corpus.jsonl")]


def jsonl_long_lines(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """Lines of 20 MB, lone surrogates in escapes, deep nesting, a number of a million digits."""
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as file:
        for number in range(3):
            text = "\n\n".join(prose(rng, 20 * _MB * scale))
            file.write(json.dumps({"id": f"long {number}", "text": text}) + "\n")
        file.write('{"id": "\\ud800 lone", "title": "\\udc00", "text": "A lone \\ud83d surrogate in a sentence."}\n')
        file.write('{"id": "meta", "text": "Words and more.", "metadata": {"key \\udfff": "\\ud800"}}\n')
        file.write('{"id": "deep", "text": ' + "[" * int(_MB * scale + 2000) + "\n")
        file.write('{"id": "deep metadata", "text": "Words.", "metadata": {"a": ' + "[" * 900 + "]" * 900 + "}}\n")
        file.write('{"id": ' + "9" * int(_MB * scale + 5000) + ', "text": "Words."}\n')
        file.write('{"id": NaN, "text": "Words."}\n{"id": 5e400, "text": "Words."}\n')
    return [str(folder / "corpus.jsonl")]


def noise(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """Random bytes under every name, alone and behind the first bytes of what the name says."""
    magic = {".pdf": b"%PDF-1.7\n", ".docx": b"PK\x03\x04", ".epub": b"PK\x03\x04", ".html": b"<!doctype html><html>"}
    for suffix in (".txt", ".md", ".html", ".pdf", ".docx", ".epub", ".jsonl", ""):
        (folder / f"noise{suffix}").write_bytes(rng.randbytes(int(5 * _MB * scale) + 100))
        (folder / f"begun{suffix}").write_bytes(magic.get(suffix, b"Some words ") + rng.randbytes(int(5 * _MB * scale)))
    (folder / "zeros.txt").write_bytes(bytes(int(5 * _MB * scale)))
    (folder / "empty.txt").write_bytes(b"")
    (folder / "good.txt").write_text("The mill was built by Ada Brandt in 1802.", encoding="utf-8")
    return [str(folder)]


def encodings(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """UTF-16 and UTF-32 with and without their mark, odd ends, NUL bytes in text, lone surrogates, mixed encodings."""
    text = "\n\n".join(prose(rng, 2 * _MB * scale))
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-8-sig", "cp037"):
        (folder / f"{encoding}.txt").write_bytes(text.encode(encoding))
    (folder / "odd.txt").write_bytes(text.encode("utf-16")[:-1])
    (folder / "nul.txt").write_bytes(text.replace("a", "\0").encode())
    (folder / "few-nul.txt").write_bytes(text.replace("\n\n", "\0\n", 3).encode())
    (folder / "lone.txt").write_bytes(text.encode() + "\ud800 end.".encode("utf-8", "surrogatepass"))
    (folder / "mixed.txt").write_bytes(text.encode() + "Größe über".encode("latin-1") + "鲸".encode())
    return [str(folder)]


def nested_html(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """Ten thousand nested tables, divs, lists and inline tags; a hundred thousand unclosed ones."""
    depth = int(10_000 * scale) + 300
    cell = "".join(f"<table><tr><td>Level {level}." for level in range(depth))
    (folder / "tables.html").write_text(f"<!doctype html><html>{cell}", encoding="utf-8")
    (folder / "closed.html").write_text(
        f"<!doctype html><html>{cell}{'</td></tr></table>' * depth} The end of it.", encoding="utf-8"
    )
    for tag in ("div", "ul><li", "b", "span", "font color=red", "blockquote", "h1", "a href=x", "q"):
        name, end = tag.replace(">", "").replace("<", "").split(" ")[0], "".join(f"</{t}>" for t in tag.split("><"))
        body = f"<{tag}>Some words " * depth + end.split(" ")[0] * depth
        (folder / f"{name}.html").write_text(f"<html><body>{body}</body></html>", encoding="utf-8")
    (folder / "unclosed.html").write_text("<html><body>" + "<p><i>Words <b>more" * depth * 10, encoding="utf-8")
    (folder / "tables in tables.html").write_text(
        "<html>" + "<table><tr><td>" * 200 + "<table><tr><td>Cell.</table>" * depth, encoding="utf-8"
    )
    return [str(folder)]


def html_50_mb(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """A page of paragraphs and data tables of 50 MB, a single text node of 20 MB, an attribute of 20 MB."""

    def pieces() -> Iterator[str]:
        yield "<!doctype html><html><body><table>"
        for paragraph in prose(rng, 25 * _MB * scale):
            yield f"<tr><td>{paragraph[:40]}<td>{rng.randint(0, 9999)}<td>$<td>{rng.randint(0, 9999)}"
            yield f"<tr><td>{paragraph[40:80]}<td>{rng.randint(0, 9999)}<td>$<td>{rng.randint(0, 9999)}"
        yield "</table>"
        for paragraph in prose(rng, 25 * _MB * scale):
            yield f"<p>{paragraph}<!-- {paragraph[:50]} --></p>"

    _write(folder / "page.html", pieces(), "\n")
    words = (p.replace(".", "") for p in prose(rng, 20 * _MB * scale))
    _write(folder / "node.html", itertools.chain(["<html><p>"], words), " ")
    _write(folder / "attribute.html", itertools.chain(['<html><p title="'], ["x" * int(20 * _MB * scale), '">Words.']))
    return [str(folder)]


def _zip(path: Path, members: dict[str, bytes | int]) -> None:
    """A zip file; for a number so many bytes of spaces are packed."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            with archive.open(name, "w", force_zip64=True) as member:
                if isinstance(content, bytes):
                    member.write(content)
                else:
                    for _ in range(content // _MB):
                        member.write(b" " * _MB)


_CONTAINER = (
    b'<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    b'<rootfile full-path="o.opf"/></rootfiles></container>'
)
_TYPES = b"<Types/>"


def _epub(hrefs: list[str], **members: bytes | int) -> dict[str, bytes | int]:
    items = "".join(
        f'<item id="i{n}" href="{href}" media-type="application/xhtml+xml"/>' for n, href in enumerate(hrefs)
    )
    spine = "".join(f'<itemref idref="i{n}"/>' for n in range(len(hrefs)))
    package = f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest><spine>{spine}</spine>'
    return {"META-INF/container.xml": _CONTAINER, "o.opf": f"{package}</package>".encode(), **members}


def zip_bombs(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """A few MB that unpack to gigabytes, members that lie about their size, names outside the archive, entities."""
    huge = int(2_000 * _MB * scale) + 2 * _MB
    _zip(folder / "bomb.docx", {"[Content_Types].xml": _TYPES, "word/document.xml": huge})
    _zip(folder / "bomb.epub", _epub(["a.xhtml"], **{"a.xhtml": huge}))
    many = [f"{n}.xhtml" for n in range(40)]
    _zip(folder / "many.epub", _epub(many, **{name: int(100 * _MB * scale) for name in many}))
    _zip(
        folder / "paths.epub",
        _epub(
            ["../../../etc/passwd", "/etc/passwd", "a.xhtml"], **{"a.xhtml": b"<p>W", "../../../etc/passwd": b"<p>P"}
        ),
    )
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    document = f'<!DOCTYPE d [<!ENTITY l0 "ha">{laughs}]><d>&l9;</d>'.encode()
    _zip(folder / "laughs.docx", {"[Content_Types].xml": _TYPES, "word/document.xml": document})
    deep = b"<w:sdt xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'>"
    depth = int(100_000 * scale) + 300
    _zip(folder / "deep.docx", {"[Content_Types].xml": _TYPES, "word/document.xml": deep * depth + b"</w:sdt>" * depth})
    lying = io.BytesIO()
    with zipfile.ZipFile(lying, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", b" " * int(50 * _MB * scale))
    data = lying.getvalue().replace(int(50 * _MB * scale).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    (folder / "lying.docx").write_bytes(data)
    return [str(folder)]


def odd_folder(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """Loops of links, dead links, FIFOs, sockets, unreadable files, odd and very long names, deep folders."""
    words = "The mill at Orrin was built by Ada Brandt in 18"
    names = (
        "new\nline.txt", 'quo"te\'s.txt', "emoji 🐋.txt", "rtl \u202egnp.txt", "bell\a\x1b[31m.txt", "#hash#1.txt",
        "-l.txt", "[brackets].txt", "percent %s {x}.txt", " space .txt", "n" * 250 + ".txt", "鲸" * 80 + ".txt",
    )  # fmt: skip
    for number, name in enumerate(names):
        (folder / name).write_text(f"{words}{number:02}.", encoding="utf-8")
    Path(os.fsdecode(os.fsencode(folder) + b"/bad \xff utf-8.txt")).write_text(f"{words}98.", encoding="utf-8")
    deep = folder
    for _ in range(12):
        deep = deep / ("d" * 200)
    deep.mkdir(parents=True)
    (deep / "deep.txt").write_text(f"{words}99.", encoding="utf-8")
    (folder / "loop").symlink_to(folder)
    (folder / "self.txt").symlink_to(folder / "self.txt")
    (folder / "dead.txt").symlink_to(folder / "nothing.txt")
    os.mkfifo(folder / "fifo.txt")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "socket.txt"))
    (folder / "secret.txt").write_text("Nobody may read this.", encoding="utf-8")
    (folder / "secret.txt").chmod(0)
    return [str(folder)]


def _pdf(path: Path, pages: int, draw: Callable[[Canvas, int], None], **options: object) -> None:
    canvas = Canvas(str(path), pagesize=A4, pageCompression=1, invariant=1, **options)
    for number in range(pages):
        draw(canvas, number)
        canvas.showPage()
    canvas.save()


def pdf_5000_pages(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """A PDF of 5,000 pages with a running header and footer."""
    source = sentences(rng)

    def draw(canvas: Canvas, number: int) -> None:
        canvas.drawString(72, 800, "Annual Register of the Harbour Light Company")
        canvas.drawString(72, 30, f"Confidential draft of Orrin Marsh - page {number + 1}")
        for row in range(20):
            canvas.drawString(72, 740 - 28 * row, next(source)[:90])

    _pdf(folder / "long.pdf", int(5000 * scale) + 10, draw)
    return [str(folder / "long.pdf")]


def pdf_same_pages(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """A PDF with the very same text on each of its thousand pages."""
    rows = list(itertools.islice(sentences(rng), 20))

    def draw(canvas: Canvas, number: int) -> None:
        for row, sentence in enumerate(rows):
            canvas.drawString(72, 760 - 28 * row, sentence[:90])

    _pdf(folder / "same.pdf", int(1000 * scale) + 10, draw)
    return [str(folder / "same.pdf")]


def pdf_odd(folder: Path, rng: random.Random, scale: float) -> list[str]:
    """Rotated pages, 200,000 characters on one, no text layer, a password, a cut-off file, junk in front."""
    source = sentences(rng)

    def rotated(canvas: Canvas, number: int) -> None:
        canvas.setPageRotation(90 * (number % 4))
        canvas.drawString(72, 700, next(source)[:90])

    def full(canvas: Canvas, number: int) -> None:
        canvas.setFont("Helvetica", 1)
        for row in range(int(2000 * scale) + 10):
            canvas.drawString(10, 830 - 0.4 * row, " ".join(itertools.islice(source, 2))[:100])

    _pdf(folder / "rotated.pdf", 8, rotated)
    _pdf(folder / "full.pdf", 1, full)
    _pdf(folder / "pictures.pdf", 5, lambda canvas, number: canvas.rect(100, 100, 200, 200, fill=1))
    _pdf(folder / "password.pdf", 2, rotated, encrypt="secret")
    whole = (folder / "full.pdf").read_bytes()
    (folder / "cut.pdf").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "junk.pdf").write_bytes(b"\x00junk\n" * 20 + (folder / "rotated.pdf").read_bytes())
    (folder / "page.pdf").write_text("<!doctype html><html><p>Not found.</html>", encoding="utf-8")
    return [str(folder)]


INPUTS: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (
        text_100_mb, text_without_newline, text_without_full_stop, line_without_space, same_letter, full_stops,
        blank_lines, chinese, tiny_files, jsonl_lines, jsonl_long_lines, noise, encodings, nested_html, html_50_mb,
        zip_bombs, odd_folder, pdf_5000_pages, pdf_same_pages, pdf_odd,
    )
}  # fmt: skip
