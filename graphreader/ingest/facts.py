"""Atomic facts written by a model: one call a chunk, every fact tied to the sentences it comes from.

The model is shown numbered sentences and names them by number, so a fact's span needs no guessing; a fact whose words
are nowhere near the sentences it names is moved to the sentence it resembles, or dropped. Sentences of a chunk that no
fact covers stay findable: the facts made without a model are kept beside these.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Sequence

from pydantic import BaseModel, ValidationError

from graphreader.errors import BadModelOutputError, ContextTooLongError, ModelError
from graphreader.ingest.chunk import readable_sentences
from graphreader.ingest.phrases import KeyElementNamer
from graphreader.library.protocol import Library
from graphreader.llm.gate import Gate
from graphreader.records import AtomicFact, Chunk, Document, FactOrigin
from graphreader.text.terms import terms
from prompts import prompt_hash, render

Span = tuple[int, int]

_PROMPT = "extract_facts"
_MAX_FACT_CHARACTERS = 400
_MAX_KEY_ELEMENTS = 6
_MAX_KEY_ELEMENT_CHARACTERS = 60
#: Chunks prepared at once; the model's own limit decides how many calls are under way.
_PREPARED_CHUNKS = 64
#: Share of a fact's terms that the sentences it names must hold.
_ALIGNED = 0.34
_WHOLE_FACT = re.compile(
    r'\{"sentences":\s*\[[^\]]*\],\s*"fact":\s*"(?:[^"\\]|\\.)*",\s*"key_elements":\s*\[[^\]]*\]\s*\}'
)


class _ModelFact(BaseModel):
    sentences: list[int]
    fact: str
    key_elements: list[str]


class _FactsReply(BaseModel):
    facts: list[_ModelFact]


async def write_facts(
    gate: Gate,
    library: Library,
    documents: Sequence[tuple[Document, Sequence[Chunk], KeyElementNamer]],
    max_fact_tokens: int,
    on_chunk: Callable[[Chunk, ModelError | None], None],
) -> None:
    """Have the model write the facts of these chunks, all calls under way at once that the model's own limit allows.

    Finished chunks are stored at once, so an interrupted run goes on where it stopped. A chunk that fails is recorded
    in the library and reported to ``on_chunk``; the others go on. Raises only what makes every further call pointless:
    ``ModelUnreachableError`` and ``ModelRefusedError``.
    """
    slots = asyncio.Semaphore(_PREPARED_CHUNKS)

    async def write(document: Document, chunk: Chunk, namer: KeyElementNamer) -> None:
        try:
            async with slots:
                facts = await chunk_facts(gate, library, document, chunk, namer, max_fact_tokens)
        except (BadModelOutputError, ContextTooLongError) as error:
            await asyncio.to_thread(library.record_failure, chunk.id, str(error))
            on_chunk(chunk, error)
            return
        await asyncio.to_thread(library.add_model_facts, chunk.id, facts)
        on_chunk(chunk, None)

    try:
        async with asyncio.TaskGroup() as group:
            for document, chunks, namer in documents:
                for chunk in chunks:
                    group.create_task(write(document, chunk, namer))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures


async def chunk_facts(
    gate: Gate, library: Library, document: Document, chunk: Chunk, namer: KeyElementNamer, max_fact_tokens: int
) -> list[AtomicFact]:
    """The facts a model writes for one chunk, from the cache where the same text was read before with this prompt."""
    spans = readable_sentences(document, chunk.start, chunk.end)
    if not spans:
        return []
    text = document.text[chunk.start : chunk.end]
    key = _cache_key(text, gate.model.name)
    cached = await asyncio.to_thread(library.cached_extraction, key)
    if cached is not None:
        reply = _FactsReply.model_validate_json(cached)
    else:
        sentences = [" ".join(document.text[start:end].split()) for start, end in spans]
        prompt = render(_PROMPT, document=document.title, heading=" / ".join(chunk.headings[-2:]), sentences=sentences)
        reply = await gate.ask(prompt, _FactsReply, _schema(len(spans)), max_fact_tokens, salvage=_salvage)
        await asyncio.to_thread(library.put_extraction, key, document.id, reply.model_dump_json())
    return _aligned(reply, document, chunk, spans, namer)


def _schema(sentence_count: int) -> dict[str, object]:
    fact = {
        "type": "object",
        "properties": {
            "sentences": {
                "type": "array",
                "items": {"type": "integer", "enum": list(range(1, sentence_count + 1))},
                "minItems": 1,
                "maxItems": 3,
            },
            "fact": {"type": "string"},
            "key_elements": {
                "type": "array",
                "items": {"type": "string"},
                "minItems": 1,
                "maxItems": _MAX_KEY_ELEMENTS,
            },
        },
        "required": ["sentences", "fact", "key_elements"],
        "additionalProperties": False,
    }
    # A least number, since a small model that may leave a list empty does so.
    least = max(1, sentence_count // 4)
    facts = {"type": "array", "items": fact, "minItems": least, "maxItems": 2 * sentence_count + 2}
    return {"type": "object", "properties": {"facts": facts}, "required": ["facts"], "additionalProperties": False}


def _salvage(text: str) -> _FactsReply | None:
    """The whole facts of a reply that was cut at its token limit."""
    facts = []
    for match in _WHOLE_FACT.finditer(text):
        try:
            facts.append(_ModelFact.model_validate(json.loads(match.group())))
        except (json.JSONDecodeError, ValidationError):
            continue
    return _FactsReply(facts=facts) if facts else None


def _aligned(
    reply: _FactsReply, document: Document, chunk: Chunk, spans: Sequence[Span], namer: KeyElementNamer
) -> list[AtomicFact]:
    """Records of those facts that rest on the chunk, each at its span, none twice."""
    held = [set(terms(document.text[start:end])) for start, end in spans]
    facts: list[AtomicFact] = []
    seen: set[str] = set()
    for written in reply.facts:
        text = " ".join(written.fact.split())
        span = _span_of(set(terms(text)), written.sentences, held, spans)
        if span is None or text.casefold() in seen or len(text) > _MAX_FACT_CHARACTERS:
            continue
        seen.add(text.casefold())
        short = [name for name in written.key_elements if len(name) <= _MAX_KEY_ELEMENT_CHARACTERS]
        elements = namer.key_elements(short)
        if elements:
            fact_id = f"{chunk.id}-m{len(facts)}"
            facts.append(AtomicFact(fact_id, document.id, chunk.id, span[0], span[1], text, elements, FactOrigin.MODEL))
    return facts


def _span_of(words: set[str], numbers: Sequence[int], held: Sequence[set[str]], spans: Sequence[Span]) -> Span | None:
    """The span of the sentences named if they share enough words with the fact, else of the one that shares most."""
    if not words:
        return None
    indexes = sorted({number - 1 for number in numbers if 1 <= number <= len(spans)})
    # Only sentences that follow each other are one span; of others the first run is taken.
    run = indexes[:1]
    for index in indexes[1:]:
        if index != run[-1] + 1:
            break
        run.append(index)
    named: set[str] = set().union(*(held[index] for index in run))
    if run and len(words & named) >= _ALIGNED * len(words):
        return spans[run[0]][0], spans[run[-1]][1]
    best = max(range(len(spans)), key=lambda index: len(words & held[index]))
    return spans[best] if len(words & held[best]) >= _ALIGNED * len(words) else None


def _cache_key(text: str, model: str) -> str:
    text_hash = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{text_hash}:{prompt_hash(_PROMPT)}:{model}"
