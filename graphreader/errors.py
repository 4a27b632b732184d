"""Every error a caller may want to tell apart. Each message names the thing that failed and what mends it.

GraphReaderError
├── SourceError             a source cannot be read
│   ├── SourceNotFoundError     no such file, or a pattern that matches nothing
│   ├── UnsupportedSourceError  not a format we read, or not what its name says
│   ├── EmptySourceError        no text: an empty file, or a PDF of pictures
│   ├── EncryptedSourceError    needs a password
│   └── DamagedSourceError      truncated or malformed
├── LibraryError            the library file cannot be used
│   ├── LibraryVersionError     written by a newer version
│   └── DocumentNotFoundError   no document of that name or id
├── ModelError              a model call failed
│   ├── ModelUnreachableError   nobody answers at the endpoint, or it timed out
│   ├── ModelRefusedError       the endpoint answered with a refusal (key, unknown model, rate limit, ...)
│   ├── ContextTooLongError     the prompt does not fit the model's window
│   ├── DocumentsTooLongError   nor do the documents as a whole
│   └── BadModelOutputError     the reply is not what the schema asks for
├── ServeError              the local model server cannot be run
│   └── WeightsError            weights cannot be found, checked or converted
├── PlanError               a wished context, memory or split is impossible for this model
├── DatasetError            a dataset of an evaluation cannot be read
├── MissingDependencyError  an optional package is absent
└── SettingsError           a setting has no meaning
"""

from __future__ import annotations

#: Format characters that names may well hold: joiners of emoji and of scripts that need them.
_JOINERS = frozenset("\u200c\u200d")


def printable(name: str) -> str:
    """A name on one line, its controls and marks of direction written as escapes: it cannot play with a terminal."""
    if name.isprintable():
        return name
    return "".join(
        c if c.isprintable() or c in _JOINERS or c == "\u3000" else c.encode("unicode_escape").decode("ascii")
        for c in name
    )


class GraphReaderError(Exception):
    """Root of all errors raised on purpose."""


class SourceError(GraphReaderError):
    """A source cannot be read. ``source`` names it; ``page`` is set where one page is to blame."""

    def __init__(self, source: str, problem: str, mend: str, page: int | None = None) -> None:
        self.source = source
        self.problem = problem
        self.mend = mend
        self.page = page
        where = printable(source) if page is None else f"{printable(source)}, page {page}"
        super().__init__(f"{where}: {problem}. {mend}")


class SourceNotFoundError(SourceError):
    """No such file, or a pattern that matches nothing."""


class UnsupportedSourceError(SourceError):
    """Not a format we read, or not what its name says."""


class EmptySourceError(SourceError):
    """There is no text in it."""


class EncryptedSourceError(SourceError):
    """A password is needed."""


class DamagedSourceError(SourceError):
    """Truncated or malformed."""


class LibraryError(GraphReaderError):
    """The library file cannot be used."""


class LibraryVersionError(LibraryError):
    """The library was written by a newer version."""


class DocumentNotFoundError(LibraryError):
    """No document of that name or id."""


class ModelError(GraphReaderError):
    """A model call failed."""


class ModelUnreachableError(ModelError):
    """Nobody answers at the endpoint."""


class ModelTimeoutError(ModelUnreachableError):
    """A reply took longer than the timeout, which says more of the prompt than of the endpoint."""


class ModelRefusedError(ModelError):
    """The endpoint answered with a refusal."""


class ContextTooLongError(ModelError):
    """The prompt and the reply's reserve do not fit the model's window."""

    def __init__(self, prompt_tokens: int, reply_tokens: int, window_tokens: int) -> None:
        self.prompt_tokens = prompt_tokens
        self.reply_tokens = reply_tokens
        self.window_tokens = window_tokens
        super().__init__(
            f"The prompt has {prompt_tokens} tokens and {reply_tokens} are reserved for the reply, but the window is "
            f"{window_tokens}. Set a smaller chunk size, or use a model with a longer context."
        )


class DocumentsTooLongError(ModelError):
    """The documents do not fit the model's window as a whole.

    ``room_tokens``: how many of theirs would. Not ``is_counted``: there are more of them than was worth counting.
    """

    def __init__(
        self, document_tokens: int, prompt_tokens: int, window_tokens: int, room_tokens: int, *, is_counted: bool = True
    ) -> None:
        self.document_tokens = document_tokens
        self.prompt_tokens = prompt_tokens
        self.window_tokens = window_tokens
        self.room_tokens = room_tokens
        longer = f"serve the model with a longer window (`graphreader serve --context {prompt_tokens}`), "
        super().__init__(
            f"The documents have {'' if is_counted else 'more than '}{document_tokens:,} tokens, with instructions, "
            f"question and reply {prompt_tokens:,}; the window is {window_tokens:,}, which leaves {room_tokens:,} for "
            f"documents. Use mode 'graph', 'search' or 'auto', name fewer documents, {longer if is_counted else ''}or "
            "allow a part (--allow-part, setting full.allow_part)."
        )


class BadModelOutputError(ModelError):
    """The reply is not what the schema asks for."""


class ServeError(GraphReaderError):
    """The local model server cannot be run."""


class WeightsError(ServeError):
    """Weights cannot be found, checked or converted."""


class PlanError(GraphReaderError):
    """What is wished is impossible for this model; the message names the nearest setting that works."""


class DatasetError(GraphReaderError):
    """A dataset cannot be read. ``line`` (from 1) and ``field`` say where, as far as one place is to blame."""

    def __init__(
        self, source: str, problem: str, mend: str, *, line: int | None = None, field: str | None = None
    ) -> None:
        self.source = source
        self.problem = problem
        self.line = line
        self.field = field
        where = [printable(source)]
        where += [] if line is None else [f"line {line}"]
        where += [] if field is None else [f"field {printable(field)}"]
        super().__init__(f"{', '.join(where)}: {problem}. {mend}")


class MissingDependencyError(GraphReaderError):
    """An optional package is absent; the message ends with the command that installs it."""

    def __init__(self, package: str, purpose: str, command: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}, which is not installed: run `{command}`.")


class SettingsError(GraphReaderError):
    """A setting has no meaning."""
