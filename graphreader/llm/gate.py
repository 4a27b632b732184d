"""The one gate that every model call passes: it counts before sending, constrains, validates and records the cost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from graphreader.errors import BadModelOutputError, ContextTooLongError
from graphreader.llm.measured import measured_of
from graphreader.llm.protocol import ChatModel, JsonSchema, Message
from graphreader.records import StoppedBy, Usage
from graphreader.settings import Settings
from prompts import Prompt

ReplyT = TypeVar("ReplyT", bound=BaseModel)

#: Temperature of the second try after a reply that did not parse: at zero it would come out the same again.
_RETRY_TEMPERATURE = 0.4


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may cost; None is no limit."""

    max_total_tokens: int | None = None
    max_seconds: float | None = None


class Gate:
    """Model access for one run (one question, or one indexing): holds the run's limits and adds up its usage.

    ``least_probable`` is how sure the model must be of what it says that the documents state; see ``Measured``.
    """

    def __init__(self, model: ChatModel, limits: Limits | None = None, least_probable: float | None = None) -> None:
        self.model = model
        self.least_probable = measured_of(model.name).least_probable if least_probable is None else least_probable
        self._limits = limits or Limits()
        self._started = time.monotonic()
        self._usage = Usage()
        #: Prompt and reply of a call together: the model's window, or what was set with ``narrow``.
        self.window_tokens = model.context_tokens

    def narrow(self, window_tokens: int) -> None:
        """From now on no call may take more than this, whatever the model could."""
        self.window_tokens = min(self.model.context_tokens, window_tokens)

    def count(self, prompt: Prompt) -> int:
        """Tokens of a prompt as the server will see it."""
        return self.model.count_prompt_tokens(_messages(prompt))

    @property
    def usage(self) -> Usage:
        """What the run has cost so far; seconds are wall time, an earlier part of a resumed run included."""
        return self._usage + Usage(seconds=time.monotonic() - self._started)

    def resume(self, spent: Usage) -> None:
        """Count what an earlier process spent on the same run, towards its limits too."""
        self._usage += spent

    def exhausted(self) -> StoppedBy | None:
        """Which limit has been reached, if any. Asked between steps; a call under way is never cut."""
        usage = self.usage
        tokens = usage.prompt_tokens + usage.completion_tokens
        if self._limits.max_total_tokens is not None and tokens >= self._limits.max_total_tokens:
            return StoppedBy.TOKEN_LIMIT
        if self._limits.max_seconds is not None and usage.seconds >= self._limits.max_seconds:
            return StoppedBy.TIME_LIMIT
        return None

    async def ask(
        self,
        prompt: Prompt,
        reply_type: type[ReplyT],
        schema: JsonSchema,
        max_tokens: int,
        salvage: Callable[[str], ReplyT | None] | None = None,
    ) -> ReplyT:
        """One constrained call, tried a second time if the reply does not parse.

        ``salvage`` may rescue what is whole in a reply that ran into ``max_tokens``. Raises ``ContextTooLongError``
        before anything is sent, ``BadModelOutputError`` after the second try, and what ``ChatModel.complete`` raises.
        """
        reply, _ = await self.ask_weighed(prompt, reply_type, schema, max_tokens, weigh=None, salvage=salvage)
        return reply

    async def ask_weighed(
        self,
        prompt: Prompt,
        reply_type: type[ReplyT],
        schema: JsonSchema,
        max_tokens: int,
        *,
        weigh: str | None,
        salvage: Callable[[str], ReplyT | None] | None = None,
    ) -> tuple[ReplyT, Mapping[str, float]]:
        """As ``ask``, with how probable each value of the field ``weigh`` was (see ``ChatModel.complete``)."""
        messages = _messages(prompt)
        prompt_tokens = self.model.count_prompt_tokens(messages)
        if prompt_tokens + max_tokens > self.window_tokens:
            raise ContextTooLongError(prompt_tokens, max_tokens, self.window_tokens)
        problem = ""
        for temperature in (None, _RETRY_TEMPERATURE):
            reply = await self.model.complete(
                messages, schema=schema, max_tokens=max_tokens, temperature=temperature, weigh=weigh
            )
            self._usage += Usage(1, reply.prompt_tokens, reply.cached_tokens, reply.completion_tokens)
            rescued = salvage(reply.text) if salvage is not None and reply.truncated else None
            if rescued is not None:
                return rescued, reply.weights
            try:
                return reply_type.model_validate(json.loads(reply.text)), reply.weights
            except (json.JSONDecodeError, ValidationError) as error:
                problem = f"{type(error).__name__}{', cut at its token limit' if reply.truncated else ''}"
        raise BadModelOutputError(
            f"The model {self.model.name!r} answered twice with something that does not fit the schema ({problem}). "
            "Does the endpoint support response_format json_schema? If it does, use a larger model."
        )


def question_gate(model: ChatModel, settings: Settings) -> Gate:
    """Access for one question, within what the settings allow it."""
    explore = settings.explore
    return Gate(model, Limits(explore.max_total_tokens, explore.max_seconds), settings.model.least_probable)


def _messages(prompt: Prompt) -> list[Message]:
    messages = [Message("system", prompt.system)]
    for asked, replied in prompt.examples:
        messages += [Message("user", asked), Message("assistant", replied)]
    return [*messages, Message("user", prompt.user)]
