"""A chat model as tiered memory wants it: texts in and out, a window that may be set smaller, and what it has cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, cast

from graphreader.llm.protocol import ChatModel, Message, OnText, StreamingChatModel
from graphreader.records import Usage
from memory.records import PromptMessage, Schema

_Role = Literal["system", "user", "assistant"]


class MemoryModel:
    """A ``memory.protocols.Model`` over a ``ChatModel``.

    ``window_tokens`` may set a window smaller than the model's, never a larger one. ``on_reply`` is called as each
    reply begins, and gives what is told of its text while it is generated, where the model can tell.
    """

    def __init__(
        self, model: ChatModel, window_tokens: int | None = None, on_reply: Callable[[], OnText] | None = None
    ) -> None:
        self._model = model
        self._window_tokens = min(model.context_tokens, window_tokens or model.context_tokens)
        self._on_reply = on_reply
        self.usage = Usage()

    @property
    def window_tokens(self) -> int:
        """The window: request and reply together."""
        return self._window_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without any template around it."""
        return self._model.count_tokens(texts)

    def count_prompt_tokens(self, messages: Sequence[PromptMessage]) -> int:
        """Tokens of a whole request, chat template included."""
        return self._model.count_prompt_tokens(_as_messages(messages))

    async def complete(self, messages: Sequence[PromptMessage], *, schema: Schema, max_tokens: int) -> str:
        """One reply. Raises what ``ChatModel.complete`` raises."""
        asked, model = _as_messages(messages), self._model
        if self._on_reply is not None and isinstance(model, StreamingChatModel):
            reply = await model.stream(asked, schema=schema, max_tokens=max_tokens, on_text=self._on_reply())
        else:
            reply = await model.complete(asked, schema=schema, max_tokens=max_tokens)
        self.usage += Usage(1, reply.prompt_tokens, reply.cached_tokens, reply.completion_tokens)
        return reply.text


def _as_messages(messages: Sequence[PromptMessage]) -> list[Message]:
    return [Message(cast(_Role, one.role), one.content) for one in messages]
