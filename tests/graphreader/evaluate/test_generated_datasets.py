"""Needles and nested keys: where they are, and that they follow from the seed."""

from __future__ import annotations

import pytest
from dataset_rows import gold
from hypothesis import given, settings
from hypothesis import strategies as st

from graphreader.errors import DatasetError
from graphreader.evaluate.cases import Unit
from graphreader.evaluate.datasets import load_dataset


@settings(deadline=None)
@given(seed=st.integers(0, 99), words=st.integers(1, 400), needles=st.integers(1, 5), n=st.integers(1, 13))
def test_a_needle_is_where_its_evidence_says(seed: int, words: int, needles: int, n: int) -> None:
    name = f"needle:words={words},needles={needles},n={n}"
    dataset = load_dataset(name, seed=seed)
    assert dataset == load_dataset(name, seed=seed)
    assert len(dataset.cases) == len(dataset.documents) == n
    for case in dataset.cases:
        (sentence,) = gold(dataset, case, Unit.SENTENCE)
        text = dataset.documents[case.documents[0]].text
        assert sentence == f"{case.question.removesuffix('?').replace('What is t', 'T')} is {case.answers[0]}."
        assert text.count(sentence) == 1
        assert text.count("The code of the ") == needles
        assert words <= len(text.split())


@settings(deadline=None)
@given(seed=st.integers(0, 99), pairs=st.integers(6, 60))
def test_nested_keys_lead_to_the_answer(seed: int, pairs: int) -> None:
    dataset = load_dataset(f"nested-keys:pairs={pairs},levels=0-4,n=6", seed=seed)
    assert [case.labels["hops"] for case in dataset.cases] == ["1", "2", "3", "4", "5", "1"]
    for case in dataset.cases:
        document = dataset.documents[case.documents[0]]
        values = dict(document.text[part.start : part.end].split(": ") for part in document.parts)
        assert len(values) == pairs
        key = next(key for key in values if key in case.question)
        walked = []
        while key in values:
            walked.append(f"{key}: {values[key]}")
            key = values[key]
        assert (key,) == case.answers
        assert walked == gold(dataset, case, Unit.SENTENCE)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("needle:length=16k", "'length=16k' is no setting of needle. It knows n=NUMBER, words=NUMBER"),
        ("needle:n=0", "at least one question"),
        ("needle:needles=9999", "number of needles is out of range"),
        ("nested-keys:pairs=3,levels=5", "levels are out of range"),
        ("needle:words=many", "'words=many' is no setting"),
    ],
)
def test_a_wrong_setting_is_named(name: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load_dataset(name)
