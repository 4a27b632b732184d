from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from graphreader.llm.protocol import Message
from graphreader.llm.tokens import ByteTokenCounter, ModelTokenCounter

MESSAGES = [Message("system", "be brief"), Message("user", "how many words")]
TEMPLATE = (
    "{% for m in messages %}<start> {{ m.role }} {{ m.content }} <end> {% endfor %}"
    "{% if add_generation_prompt %}<start>{% endif %}"
)


@pytest.fixture
def tokenizer_file(tmp_path: Path) -> Path:
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def test_counts_are_the_tokenizers_own(tokenizer_file: Path) -> None:
    counter = ModelTokenCounter(tokenizer_file)
    assert counter.count(["one two", "", "three"]) == [2, 0, 1]
    assert counter.exact


@pytest.mark.parametrize("where", ["chat_template.jinja", "tokenizer_config.json"])
def test_a_prompt_is_counted_with_its_template(tokenizer_file: Path, where: str) -> None:
    content = TEMPLATE if where.endswith("jinja") else json.dumps({"chat_template": TEMPLATE})
    tokenizer_file.with_name(where).write_text(content, encoding="utf-8")
    assert ModelTokenCounter(tokenizer_file).count_prompt(MESSAGES) == 5 + 6 + 1


def test_without_a_template_the_count_is_an_upper_bound(tokenizer_file: Path) -> None:
    assert ModelTokenCounter(tokenizer_file).count_prompt(MESSAGES) > 5


@given(st.text())
def test_the_estimate_grows_with_the_text(text: str) -> None:
    counter = ByteTokenCounter()
    assert counter.count([text])[0] >= len(text) / 2
    assert counter.count([text + "x"])[0] >= counter.count([text])[0]
    assert not counter.exact
