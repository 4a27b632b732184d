"""What a chat model is to the rest of the program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

JsonSchema = Mapping[str, Any]
#: Told of a reply's text piece by piece, as it is generated.
OnText: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered. ``truncated``: the reply's token limit was reached before it had finished.

    ``weights``: the probability of each value of the field that was to be weighed; empty where the endpoint does not
    say.
    """

    text: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    truncated: bool = False
    weights: Mapping[str, float] = field(default_factory=dict)


class ChatModel(Protocol):
    """A chat model. ``context_tokens`` is its window: prompt and reply together."""

    @property
    def name(self) -> str:
        """The name under which it is served."""

    @property
    def context_tokens(self) -> int:
        """The window."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without any template around it."""

    def count_prompt_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of a whole prompt as the server will see it, chat template included."""

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: JsonSchema,
        max_tokens: int,
        temperature: float | None = None,
        weigh: str | None = None,
    ) -> Reply:
        """One call, the reply constrained to ``schema``. ``weigh`` names an enumerated string field of the schema whose
        values' probabilities are wanted, in ``Reply.weights``.

        Raises ``ModelUnreachableError``, ``ModelRefusedError`` or ``ContextTooLongError``.
        """


@runtime_checkable
class StreamingChatModel(Protocol):
    """What a ``ChatModel`` may do besides: tell of a reply while it is generated."""

    async def stream(
        self, messages: Sequence[Message], *, schema: JsonSchema, max_tokens: int, on_text: OnText
    ) -> Reply:
        """As ``ChatModel.complete``, with ``on_text`` told of each piece of the reply. Raises alike."""
