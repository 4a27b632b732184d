"""The judge of a run: the model that it is, and how often it accepts what is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from graphreader.errors import ModelError
from graphreader.evaluate.cases import Dataset
from graphreader.evaluate.judge import false_accept_rate, wrong_answers
from graphreader.evaluate.replies import CachedModel, ReplyCache
from graphreader.llm.gate import Gate
from graphreader.llm.protocol import ChatModel
from graphreader.settings import ModelSettings, Settings

#: Deliberately wrong answers that a judge is shown.
_WRONG_ANSWERS = 100


@asynccontextmanager
async def judge_model(judge: ModelSettings | ChatModel | None, settings: Settings) -> AsyncIterator[ChatModel | None]:
    """The judge, connected; None without one. Raises ``ModelError`` where it is out of reach."""
    if not isinstance(judge, ModelSettings):
        yield judge
        return
    from graphreader.connect import Connection

    connection = Connection(settings.model_copy(update={"model": judge}), None, None, lambda *_: None)
    try:
        yield await connection.model()
    finally:
        await connection.close()


async def judge_summary(
    judge: ChatModel | None, cache: ReplyCache | None, dataset: Dataset, concurrency: int
) -> dict[str, Any] | None:
    """The judge's name and its rate of false accepts; without one, or without answers to make wrong ones of, None."""
    if judge is None:
        return None
    wrong = wrong_answers(dataset.cases, language=dataset.language, limit=_WRONG_ANSWERS)
    if not wrong:
        return {"name": judge.name, "false_accepts": None}
    gate = Gate(CachedModel(judge, cache))
    try:
        accepts = await false_accept_rate(gate, wrong, concurrency=concurrency)
    except ModelError as error:
        return {"name": judge.name, "false_accepts": None, "problem": str(error)}
    return {"name": judge.name, "false_accepts": asdict(accepts)}
