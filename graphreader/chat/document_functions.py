"""The functions by which the model of a conversation comes to what documents say. They only read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from graphreader.agent.answer import NOT_SAID
from graphreader.agent.evidence import Excerpt
from graphreader.chat.turn_log import TurnLog
from graphreader.ingest.normalise import normalise
from graphreader.library.protocol import Library
from graphreader.records import Answer, AtomicFact
from memory import fit
from memory.errors import FunctionError
from memory.functions import Arguments, Function, Parameter, Result
from memory.main_context import several_sources
from memory.paging import longest
from memory.session import Session

ANSWER_FROM_DOCUMENTS = "answer_from_documents"
_MAX_FACTS, _MAX_NEIGHBOURS = 200, 40
#: What a fact costs beside its text: page and chunk.
_FACT_OVERHEAD_TOKENS = 40

#: The product's own answering over the documents of the conversation.
AnswerQuestion = Callable[[str], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the functions of one turn work with."""

    session: Session
    library: Library
    document_ids: Sequence[str]
    log: TurnLog

    def titles(self, document_ids: Sequence[str]) -> str | None:
        """The documents' titles, as the source of what is shown of them."""
        return several_sources([self.library.layout(one).title for one in dict.fromkeys(document_ids)]) or None


def answer_function(reading: Reading, ask: AnswerQuestion) -> Function:
    """A question to the documents, whose verified answer goes to the user as it stands."""

    async def run(arguments: Arguments) -> Result:
        question = " ".join(str(arguments["question"]).split())
        if not question:
            raise FunctionError("The question is empty.")
        answer = await ask(question)
        reading.log.spend(answer.usage)
        if answer.answerable:
            reading.log.answer = answer
            return Result("sent", reading.titles([one.document_id for one in answer.citations]), says=spoken(answer))
        reading.log.unanswered.append(question)
        if len(reading.log.unanswered) > 1:
            reading.log.answer = answer
            return Result("sent", says=NOT_SAID)
        return Result({"answer": NOT_SAID, "next": _AFTER_NOTHING}, shown_again=True)

    return Function(
        ANSWER_FROM_DOCUMENTS,
        "Look up what the documents say. The answer goes to the user with its citations.",
        (Parameter("question", "one that can be understood alone"),),
        run,
    )


_AFTER_NOTHING = (
    "If the conversation or the working context tells it, send_message. Else ask in other words, or tell the user that "
    "the documents do not say."
)


def spoken(answer: Answer) -> str:
    """An answer with its citations, as the conversation remembers it."""
    quotes = [
        f"[{number}] {one.document}, page {one.page}: “{' '.join(one.quote.split())}”"
        for number, one in enumerate(answer.citations, start=1)
    ]
    return "\n".join([answer.answer, *quotes])


def reading_functions(reading: Reading) -> tuple[Function, ...]:
    """The steps of the explorers, for models that want to walk the graph themselves."""
    element = Parameter("key_element", "a name, term, place or date that documents mention")

    async def facts(arguments: Arguments) -> Result:
        return await asyncio.to_thread(_facts, reading, str(arguments["key_element"]))

    async def neighbours(arguments: Arguments) -> Result:
        return await asyncio.to_thread(_neighbours, reading, str(arguments["key_element"]))

    async def chunk(arguments: Arguments) -> Result:
        return await asyncio.to_thread(_chunk, reading, str(arguments["chunk"]), int(arguments["from_character"]))

    return (
        Function("read_facts", "Facts of the documents about a key element.", (element,), facts),
        Function("read_neighbours", "Key elements that share a fact with one.", (element,), neighbours),
        Function(
            "read_chunk",
            "The text of a chunk of a document, as named by facts and searches.",
            (Parameter("chunk", "its id"), Parameter("from_character", "0 for its beginning", "integer")),
            chunk,
        ),
    )


def _known(reading: Reading, spelling: str) -> list[AtomicFact]:
    facts = reading.library.facts_of_key_element(normalise(spelling), reading.document_ids, _MAX_FACTS)
    if not facts:
        raise FunctionError(f"The documents have no key element {spelling!r:.80}. Use archival_search.")
    return facts


def _facts(reading: Reading, spelling: str) -> Result:
    facts = _known(reading, spelling)
    count, most = reading.session.agent.model.count_tokens, reading.session.page_tokens()
    shown = facts[: fit([fact.text for fact in facts], count, most, _FACT_OVERHEAD_TOKENS)]
    reading.log.read += [Excerpt(one.document_id, one.chunk_id, one.start, one.end, 0, 0.0) for one in shown]
    return Result(
        {
            "facts": len(facts),
            "shown": [{"chunk": fact.chunk_id, "fact": fact.text} for fact in shown],
        },
        reading.titles([fact.document_id for fact in shown]),
    )


def _neighbours(reading: Reading, spelling: str) -> Result:
    _known(reading, spelling)
    found = reading.library.neighbours(normalise(spelling), reading.document_ids, _MAX_NEIGHBOURS)
    names = reading.library.key_elements([name for name, _ in found], reading.document_ids)
    spellings = [names[name].spellings[0] if name in names else name for name, _ in found]
    kept = spellings[: fit(spellings, reading.session.agent.model.count_tokens, reading.session.page_tokens())]
    return Result({"neighbours": list(kept)}, reading.titles(reading.document_ids))


def _chunk(reading: Reading, chunk_id: str, start: int) -> Result:
    chunks = reading.library.chunks_by_id([chunk_id])
    if not chunks or chunks[0].document_id not in reading.document_ids:
        raise FunctionError(f"There is no chunk {chunk_id!r:.60} here. Facts and searches name chunks.")
    (chunk,) = chunks
    length = chunk.end - chunk.start
    if not 0 <= start < length:
        raise FunctionError(f"The chunk has {length} characters; {start} is not within.")
    (text,) = reading.library.texts(chunk.document_id, [(chunk.start + start, chunk.end)])
    count, most = reading.session.agent.model.count_tokens, reading.session.page_tokens()
    shown = max(1, longest(len(text), lambda end: count([text[:end]])[0] <= most))
    first = chunk.start + start
    reading.log.read.append(Excerpt(chunk.document_id, chunk.id, first, first + shown, 0, 0.0))
    around = [f"{chunk.document_id}-{chunk.index + step}" for step in (-1, 1)]
    known = {one.id for one in reading.library.chunks_by_id(around)}
    before, after = (one if one in known else "" for one in around)
    end = start + shown
    return Result(
        {
            "page": reading.library.layout(chunk.document_id).page_at(first),
            "quotation": text[:shown],
            "next_from_character": end if end < length else -1,
            "chunk_before": before,
            "chunk_after": after,
        },
        reading.titles([chunk.document_id]),
    )
