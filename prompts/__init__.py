"""The prompts: one Jinja file for one model call, reviewed like code.

A file has two parts divided by a line of ``=====``: the system message (rules that never change, so that every call
shares their cached prefix) and the user message. Documents come before the question, for the same reason. Undefined
variables are errors. Text from documents is only ever placed between markers, as data. A third part between the two
holds examples, each a message and, on its last line, the reply: a small model learns more from a conversation than from
a list.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template

__all__ = ["Prompt", "names", "prompt_hash", "render"]

_DIVIDER = "\n=====\n"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt: the messages of one call. ``examples`` are earlier messages of the user with their replies."""

    system: str
    user: str
    examples: tuple[tuple[str, str], ...] = ()


def names() -> list[str]:
    """The names of all prompts."""
    return sorted(entry.name.removesuffix(".md") for entry in files(__name__).iterdir() if entry.name.endswith(".md"))


def prompt_hash(name: str) -> str:
    """A short hash of a prompt's source: results made with another wording are not the same results."""
    return hashlib.sha256(_source(name).encode()).hexdigest()[:12]


def render(name: str, **variables: object) -> Prompt:
    """Fill in a prompt. Raises ``FileNotFoundError`` for an unknown name, ``jinja2.UndefinedError`` for a variable
    that the prompt uses and the caller forgot.
    """
    system, user = _templates(name)
    return Prompt(system.render(**variables).strip(), user.render(**variables).strip(), _examples(name))


@lru_cache(maxsize=64)
def _source(name: str) -> str:
    return files(__name__).joinpath(f"{name}.md").read_text(encoding="utf-8")


@lru_cache(maxsize=64)
def _templates(name: str) -> tuple[Template, Template]:
    environment = Environment(
        undefined=StrictUndefined,
        # Prompts are text, not HTML: a model should see a quotation mark as it stands in the source.
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    parts = _source(name).split(_DIVIDER)
    if len(parts) not in (2, 3):
        raise ValueError(f"The prompt {name!r} must have two or three parts divided by lines of '====='.")
    return environment.from_string(parts[0]), environment.from_string(parts[-1])


@lru_cache(maxsize=64)
def _examples(name: str) -> tuple[tuple[str, str], ...]:
    """Nothing is filled in there, so that they are the same for every call."""
    _, *middle, _ = _source(name).split(_DIVIDER)
    blocks = (block.rpartition("\n") for part in middle for block in part.strip().split("\n\n"))
    return tuple((message, reply) for message, _, reply in blocks)
