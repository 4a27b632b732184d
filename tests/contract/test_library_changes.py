"""The contract of every library backend: whatever is put, replaced and removed, in any order, all counts follow.

A second instance, as another process would have it, reads after every change: what it remembers must not be stale.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from contract.library_contract import Indexed, fact, indexed, open_place
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from graphreader.records import AtomicFact, FactOrigin
from graphreader.text.terms import terms

TEXTS = (
    "Ahab hunts the Whale. Ahab limps.\nIshmael tells of Ahab.\n\nThe Whale sinks the Pequod.",
    "Ahab waits.\n\nNobody knows Ahab. Queequeg and Ahab talk.",
    "The sea is wide.\nThe whale and the whale and the Whale.",
    "Queequeg carves.\n\n\n\nQueequeg floats.",
)
#: Its first chunk is put without passages.
BARE = TEXTS[1]
WORDS = ("ahab", "whale", "queequeg", "ishmael", "pequod", "moby", "sea", "nobody")
SOURCES = ("a.txt", "b.txt", "c.txt")
QUERY = np.array([[1.0, 0.0, 0.0, 0.0]], dtype=np.float32)


def open_at(backend: str, folder: str) -> str:
    return {"sqlite": f"sqlite:{Path(folder) / 'library.db'}"}[backend]


class Changes(RuleBasedStateMachine):
    """What should be there is kept beside the library, and counted anew each time."""

    backend = "sqlite"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        place = open_at(self.backend, self.folder)
        self.library, self.reader = open_place(place), open_place(place)
        self.by_source: dict[str, Indexed] = {}
        self.model_facts: dict[str, list[AtomicFact]] = {}
        self.phrase_facts: dict[str, list[AtomicFact]] = {}
        self.embedded: dict[str, float] = {}

    def teardown(self) -> None:
        self.library.close()
        self.reader.close()
        shutil.rmtree(self.folder)

    @property
    def there(self) -> list[Indexed]:
        return list({made.id: made for made in self.by_source.values()}.values())

    def forget(self, made: Indexed) -> None:
        for chunk in made.chunks:
            self.model_facts.pop(chunk.id, None)
            self.phrase_facts.pop(chunk.id, None)
        for passage in made.passages:
            self.embedded.pop(passage.id, None)

    @rule(text=st.sampled_from(TEXTS), source=st.sampled_from(SOURCES))
    def put(self, text: str, source: str) -> None:
        made = indexed(text, source=source)
        if text is BARE:
            made = replace(
                made, passages=[passage for passage in made.passages if passage.chunk_id != made.chunks[0].id]
            )
        before = self.by_source.get(source)
        self.forget(made)
        made.put_into(self.library)
        self.by_source[source] = made
        if before is not None and before.id not in {other.id for other in self.there}:
            self.forget(before)
        for chunk in made.chunks:
            self.phrase_facts[chunk.id] = [fact for fact in made.facts if fact.chunk_id == chunk.id]

    @precondition(lambda self: self.by_source)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        made = data.draw(st.sampled_from(self.there))
        self.library.remove(made.id)
        self.by_source = {source: other for source, other in self.by_source.items() if other.id != made.id}
        self.forget(made)

    @precondition(lambda self: self.by_source)
    @rule(data=st.data(), text=st.sampled_from(["Moby is the Whale.", "Ahab saw Moby.", ""]))
    def write_model_facts(self, data: st.DataObject, text: str) -> None:
        chunk = data.draw(st.sampled_from([chunk for made in self.there for chunk in made.chunks]))
        new = [fact(chunk, "m0", chunk.start, chunk.end, text, FactOrigin.MODEL)] if text else []
        self.library.add_model_facts(chunk.id, new)
        self.model_facts[chunk.id] = new

    @precondition(lambda self: self.by_source)
    @rule(data=st.data(), count=st.integers(0, 3))
    def replace_phrase_facts(self, data: st.DataObject, count: int) -> None:
        made = data.draw(st.sampled_from(self.there))
        chunk = data.draw(st.sampled_from(made.chunks))
        new = [fact for fact in made.facts if fact.chunk_id == chunk.id][:count]
        self.library.put_phrase_facts([chunk.id], new, {})
        self.phrase_facts[chunk.id] = new

    @precondition(lambda self: self.by_source)
    @rule(data=st.data(), cosine=st.sampled_from([1.0, 0.5, -0.5]))
    def embed(self, data: st.DataObject, cosine: float) -> None:
        passages = [passage.id for made in self.there for passage in made.passages]
        some = data.draw(st.lists(st.sampled_from(passages), min_size=1, unique=True))
        vector = np.array([cosine, (1 - cosine**2) ** 0.5, 0.0, 0.0], dtype=np.float32)
        self.library.put_vectors("model", some, np.tile(vector, (len(some), 1)))
        self.embedded.update(dict.fromkeys(some, cosine))

    def facts(self, documents: list[Indexed]) -> list[AtomicFact]:
        chunks = [chunk.id for made in documents for chunk in made.chunks]
        return [fact for chunk in chunks for fact in (*self.phrase_facts[chunk], *self.model_facts.get(chunk, ()))]

    @invariant()
    def key_elements_are_counted(self) -> None:
        for documents in (None, self.there[:1]):
            facts = self.facts(self.there if documents is None else documents)
            ids = None if documents is None else [made.id for made in documents]
            expected = Counter(element.name for fact in facts for element in fact.key_elements)
            found = self.reader.key_elements(sorted({*WORDS, *expected}), ids)
            assert {name: summary.fact_count for name, summary in found.items()} == expected
            for name, summary in found.items():
                assert summary.passage_count == len(self.reader.passages_of_key_elements([name], ids)[name])
                assert len(self.reader.facts_of_key_element(name, ids)) == expected[name]
            assert {node.name for node in self.reader.top_key_elements(ids, 99)} == set(expected)

    @invariant()
    def edges_are_counted(self) -> None:
        pairs = Counter(
            frozenset(pair)
            for fact in self.facts(self.there)
            for pair in combinations({element.name for element in fact.key_elements}, 2)
        )
        assert {frozenset(edge[:2]): edge[2] for edge in self.reader.edges()} == pairs
        assert dict(self.reader.neighbours("ahab")) == {
            next(iter(pair - {"ahab"})): count for pair, count in pairs.items() if "ahab" in pair
        }

    @invariant()
    def full_text_finds_what_is_there(self) -> None:
        passages = [passage for made in self.there for passage in made.passages]
        assert self.reader.passage_count() == len(passages)
        modelled = {chunk: " ".join(fact.text for fact in facts) for chunk, facts in self.model_facts.items()}
        for word in WORDS:
            (term,) = terms(word)
            found = {name for name, _ in self.reader.search_passages([term])}
            own = {passage.id for passage in passages if term in terms(passage.text)}
            chunks = {chunk for chunk, text in modelled.items() if term in terms(text)}
            assert own <= found
            assert {passage.chunk_id for passage in passages if passage.id in found - own} <= chunks
            assert chunks & {passage.chunk_id for passage in passages} <= {
                passage.chunk_id for passage in passages if passage.id in found
            }
        assert self.reader.passages_by_id([passage.id for passage in passages]) == passages

    @invariant()
    def vectors_are_those_put(self) -> None:
        assert self.reader.vector_count("model") == len(self.embedded)
        passages = [passage for made in self.there for passage in made.passages]
        missing = {passage.id for passage in self.reader.passages_without_vector("model")}
        assert missing == {passage.id for passage in passages} - self.embedded.keys()
        nearest = self.reader.nearest_passages("model", QUERY)
        found = dict(zip(nearest.passage_ids, nearest.cosines[:, 0].tolist(), strict=True))
        assert found == pytest.approx(self.embedded, abs=0.01)
        first = self.there[:1]
        within = [passage.id for made in first for passage in made.passages if passage.id in self.embedded]
        assert self.reader.vector_count("model", [made.id for made in first]) == len(within)
        near = self.reader.nearest_passages("model", QUERY, [made.id for made in first])
        assert sorted(near.passage_ids) == sorted(within)

    @invariant()
    def documents_count_their_facts(self) -> None:
        counts = {summary.id: summary.fact_count for summary in self.reader.summaries()}
        assert counts == {made.id: len(self.facts([made])) for made in self.there}


TestChanges = Changes.TestCase
TestChanges.settings = settings(max_examples=12, stateful_step_count=10, deadline=None)
