"""From what a user names (files, folders, patterns, ``-``) to the files to load."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphreader.errors import SourceError, SourceNotFoundError, UnsupportedSourceError

#: Names standard input on the command line.
STDIN = "-"

# In a folder these are left out without a word: nobody means them as documents.
_NO_DOCUMENTS = frozenset(
    ".png .jpg .jpeg .gif .bmp .tif .tiff .webp .svg .ico .heic .avif .psd .ai .eps "
    ".mp3 .wav .flac .ogg .m4a .mp4 .mkv .avi .mov .webm .wmv "
    ".zip .gz .bz2 .xz .zst .7z .rar .tar .tgz .jar .whl .iso .dmg "
    ".exe .dll .so .dylib .a .o .obj .lib .class .pyc .pyo .bin .dat .msi .deb .rpm .apk .wasm "
    ".ttf .otf .woff .woff2 .eot "
    ".db .sqlite .sqlite3 .graphreader .npy .npz .pkl .pt .pth .safetensors .gguf .onnx .parquet .h5 "
    ".css .js .map .lock .log .tmp .bak .swp".split()
)
_PATTERN_CHARACTERS = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One thing to load. ``path`` is None for standard input, whose ``source`` is ``-``."""

    source: str
    path: Path | None


def name_of(path: Path) -> str:
    """What the file at ``path`` is called: its path, with escapes for bytes that are no UTF-8, which nothing can store.

    The system hands out such bytes as lone surrogates.
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def expand(sources: Sequence[str]) -> tuple[list[SourceFile], list[SourceError]]:
    """The files that ``sources`` name, in the order given and sorted within folders, each once; and what failed.

    A folder gives every file under it but hidden ones and those that are plainly no documents (pictures, programs); a
    file that is named is kept whatever it is. Nothing is opened here.
    """
    files: dict[object, SourceFile] = {}
    errors: list[SourceError] = []
    for source in sources:
        try:
            for file in _files_of(source, errors):
                files.setdefault(file.path.resolve() if file.path is not None else STDIN, file)
        except SourceError as error:
            errors.append(error)
        except (OSError, ValueError, RuntimeError) as error:
            # A NUL in the name, a name longer than the system allows, a loop of links, no home folder for "~".
            errors.append(_unreadable(source, error))
    return list(files.values()), errors


def _files_of(source: str, errors: list[SourceError]) -> Iterator[SourceFile]:
    if source == STDIN:
        yield SourceFile(STDIN, None)
        return
    path = Path(source).expanduser()
    if path.is_dir():
        yield from _files_in_folder(path, source, errors)
    elif path.is_file() or path.is_fifo():
        yield SourceFile(name_of(path), path)
    elif path.exists():
        raise UnsupportedSourceError(source, "it is neither a file nor a folder", "Name a file or a folder.")
    elif _PATTERN_CHARACTERS & set(source):
        yield from _files_of_pattern(path, source, errors)
    else:
        mend = "Check the path (relative ones start at the current folder)."
        if "://" in source:
            mend = "Addresses are not fetched: download it and name the file."
        raise SourceNotFoundError(source, "no such file or folder", mend)


def _files_in_folder(folder: Path, source: str, errors: list[SourceError]) -> Iterator[SourceFile]:
    is_empty = True
    # os.walk names each folder that it cannot list, and follows no links to folders, which may form loops.
    for root, folders, names in os.walk(folder, onerror=lambda e: errors.append(_unreadable(str(e.filename), e))):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if not name.startswith(".") and path.suffix.lower() not in _NO_DOCUMENTS and path.is_file():
                is_empty = False
                yield SourceFile(name_of(path), path)
    if is_empty:
        raise SourceNotFoundError(source, "the folder holds no documents", "Name a folder with documents in it.")


def _files_of_pattern(pattern: Path, source: str, errors: list[SourceError]) -> Iterator[SourceFile]:
    parts = pattern.parts
    first = next((i for i, part in enumerate(parts) if _PATTERN_CHARACTERS & set(part)), len(parts))
    base, rest = Path(*parts[:first]), Path(*parts[first:])
    matches = sorted(base.glob(str(rest))) if parts[first:] else []
    asks_for_hidden = any(part.startswith(".") for part in rest.parts)
    found = False
    for match in matches:
        if not asks_for_hidden and any(part.startswith(".") for part in match.relative_to(base).parts):
            continue
        if match.is_file():
            found = True
            if "**" not in rest.parts or match.suffix.lower() not in _NO_DOCUMENTS:
                yield SourceFile(name_of(match), match)
        elif match.is_dir() and "**" not in rest.parts:
            found = True
            yield from _files_in_folder(match, name_of(match), errors)
    if not found:
        raise SourceNotFoundError(source, "no file matches this pattern", "Check the pattern; quote it in a shell.")


def _unreadable(source: str, error: Exception) -> SourceError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return SourceError(source, f"it cannot be read ({reason})", "Check its name and its permissions.")
