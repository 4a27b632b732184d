"""Token counts from the serving model's own tokenizer.

Characters divided by four under-count tables, UUIDs and Chinese by 2 to 8 times, so they are not used anywhere. Where
no tokenizer can be found the count is the UTF-8 bytes divided by two: an over-estimate for every tokenizer we know.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from graphreader.llm.protocol import Message

if TYPE_CHECKING:
    from jinja2 import Template
    from tokenizers import Tokenizer

#: What templates add around one message, at most, where the template itself is not known.
_TEMPLATE_TOKENS_PER_MESSAGE = 12


class TokenCounter(Protocol):
    """Counts tokens of texts and of whole prompts."""

    @property
    def exact(self) -> bool:
        """Whether the counts are the serving model's own."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""

    def count_prompt(self, messages: Sequence[Message]) -> int:
        """Tokens of a whole prompt, chat template included."""


class ModelTokenCounter:
    """Counts with a ``tokenizer.json``, and with the chat template that lies beside it."""

    exact = True

    def __init__(self, tokenizer_file: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._template = _chat_template(tokenizer_file.parent)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without special tokens."""
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]

    def count_prompt(self, messages: Sequence[Message]) -> int:
        """Tokens of the rendered chat template; an upper bound where there is none."""
        if self._template is None:
            return sum(self.count([message.content for message in messages])) + _template_bound(messages)
        turns = [{"role": message.role, "content": message.content} for message in messages]
        return self.count([self._template.render(messages=turns, add_generation_prompt=True)])[0]


class ByteTokenCounter:
    """An upper estimate for endpoints whose tokenizer cannot be had: UTF-8 bytes divided by two."""

    exact = False

    def count(self, texts: Sequence[str]) -> list[int]:
        """Half of the UTF-8 bytes of each text, rounded up."""
        return [(len(text.encode("utf-8", "surrogatepass")) + 1) // 2 for text in texts]

    def count_prompt(self, messages: Sequence[Message]) -> int:
        """The same for a prompt, with a bound for its template."""
        return sum(self.count([message.content for message in messages])) + _template_bound(messages)


def _template_bound(messages: Sequence[Message]) -> int:
    return _TEMPLATE_TOKENS_PER_MESSAGE * (len(messages) + 1)


def _chat_template(folder: Path) -> Template | None:
    source = _template_source(folder)
    if source is None:
        return None
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(bos_token="", eos_token="", raise_exception=_refuse)
    return environment.from_string(source)


def _template_source(folder: Path) -> str | None:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    config = folder / "tokenizer_config.json"
    if not config.is_file():
        return None
    template = json.loads(config.read_text(encoding="utf-8")).get("chat_template")
    return template if isinstance(template, str) else None


def _refuse(message: str) -> None:
    raise ValueError(f"The chat template refuses these messages: {message}")
