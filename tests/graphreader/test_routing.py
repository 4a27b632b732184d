"""What mode ``auto`` knows of an endpoint, and what goes over the wire: over a real HTTP server where it can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes import ScriptedModel, by_step
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted_server import KEY, scripted_server

from graphreader import GraphReader, Mode, Settings
from graphreader.agent.answer import MAX_REPLY_TOKENS, answer_prompt
from graphreader.agent.route import Shape, Situation, choose_mode, shape_of
from graphreader.agent.whole import Reading, read_whole
from graphreader.answering import Documents
from graphreader.errors import DocumentsTooLongError, SettingsError
from graphreader.llm.protocol import Message
from graphreader.routing import pace_of

ANSWER = {"answer": {"excerpts": [1], "answerable": "yes", "answer": "forty hives"}}
SALT = "tenant-7"


def story(name: str, parts: int) -> str:
    lines = [
        f"## {name} {number}\n\nIn year {number} the ferry of {name} carried {number} hundred sheep to isle{number}.\n"
        for number in range(parts)
    ]
    return f"# {name}\n\n" + "\n".join(lines)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for name, parts in (("Ferries", 30), ("Bees", 3), ("Tides", 3), ("Mills", 3)):
        (folder / f"{name}.md").write_text(story(name, parts), encoding="utf-8")
    return folder


def opened(tmp_path: Path, files: Path, double: ScriptedModel | None = None, **groups: Any) -> GraphReader:
    loaded = Settings.load(
        **{"index": {"max_chunk_tokens": 60, "facts": "phrases"}, "search": {"embedder": "none"}} | groups
    )
    reader = GraphReader(tmp_path / "library.db", settings=loaded, model=double)
    reader.index(str(files))
    return reader


@pytest.fixture
def requests() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def base_url(requests: list[dict[str, Any]]) -> Iterator[str]:
    with scripted_server(by_step(ANSWER), requests=requests) as url:
        yield url


def at(base_url: str, **more: Any) -> dict[str, Any]:
    return {"model": {"base_url": base_url, "name": "scripted", "api_key": KEY, "retries": 0} | more}


def test_whole_documents_are_sent_the_same_up_to_the_question(
    tmp_path: Path, files: Path, requests: list[dict[str, Any]], base_url: str
) -> None:
    with opened(tmp_path, files, **at(base_url)) as reader:
        first = reader.ask("How many sheep were carried in year 3?", ["Ferries", "Bees"], mode="full")
        second = reader.ask("Who?", ["Bees", "Ferries"], mode="full")
    (one_system, one), (other_system, other) = (
        [message["content"] for message in request["messages"]] for request in requests
    )
    assert one_system == other_system
    assert one.removesuffix("How many sheep were carried in year 3?") == other.removesuffix("Who?")
    assert one != other
    assert requests[0]["response_format"] == requests[1]["response_format"]
    assert first.usage.cached_tokens == 0
    assert second.usage.cached_tokens > 0.9 * second.usage.prompt_tokens


def test_only_the_same_tenant_finds_documents_cached(
    tmp_path: Path, files: Path, requests: list[dict[str, Any]], base_url: str
) -> None:
    for salt in ({}, {"cache_salt": SALT}, {"cache_salt": "tenant-8"}):
        with opened(tmp_path, files, full={"max_auto_tokens": 0}, **at(base_url, **salt)) as reader:
            assert reader.ask("What did the ferry of Bees carry?", ["Bees"], mode="auto").mode is Mode.SEARCH
            reader.ask("What did the ferry of Bees carry?", ["Bees"], mode="full")
            assert reader.ask("What did the ferry of Bees carry?", ["Bees"], mode="auto").mode is Mode.FULL
    assert [request.get("cache_salt") for request in requests] == [None] * 3 + [SALT] * 3 + ["tenant-8"] * 3
    assert SALT not in str(reader.library_path.read_bytes())


@pytest.mark.parametrize("salt", ["", "x" * 1025])
def test_a_salt_that_servers_refuse_is_refused_at_once(salt: str) -> None:
    with pytest.raises(SettingsError, match=r"model\.cache_salt"):
        Settings.load(model={"cache_salt": salt})


def test_an_endpoint_that_does_not_cache_is_not_counted_on(tmp_path: Path, files: Path) -> None:
    model = ScriptedModel(by_step(ANSWER))
    with opened(tmp_path, files, model, full={"max_auto_tokens": 0}) as reader:
        for _ in range(3):
            reader.ask("What did the ferry of Bees carry?", ["Bees"], mode="full")
        assert reader.ask("What did the ferry of Bees carry?", ["Bees"], mode="auto").mode is Mode.SEARCH


def test_a_part_of_many_short_documents_is_several_of_them(tmp_path: Path, files: Path) -> None:
    model = ScriptedModel(by_step(ANSWER), context_tokens=700)
    with opened(tmp_path, files, model, full={"allow_part": True}) as reader:
        answer = reader.ask("What did the ferry of Bees carry in year 1?", mode="full")
    prompt = model.calls[0][1]
    assert all(f"ferry of Bees carried {number} hundred" in prompt for number in range(3))
    assert sum(f"ferry of {name} carried" in prompt for name in ("Bees", "Tides", "Mills", "Ferries")) >= 2
    (warning,) = [warning for warning in answer.warnings if warning.startswith("Only a part was read")]
    assert "all of Bees" in warning
    assert answer.usage.prompt_tokens + MAX_REPLY_TOKENS <= 700


class OtherTokenizer(ScriptedModel):
    """Counts other tokens than those the chunks were counted in."""

    characters_per_token = 3

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text) // self.characters_per_token for text in texts]


@pytest.fixture(scope="module")
def library_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    for name, parts in (("Ferries", 30), ("Bees", 3), ("Mills", 8)):
        (folder / f"{name}.md").write_text(story(name, parts), encoding="utf-8")
    with opened(folder, folder, ScriptedModel(by_step(ANSWER))) as reader:
        reader.finish_indexing()
    return folder / "library.db"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    window=st.integers(100, 6000),
    question_words=st.integers(1, 200),
    characters_per_token=st.integers(1, 8),
    scored=st.none() | st.dictionaries(st.integers(0, 60), st.floats(0, 1), max_size=8),
)
def test_no_prompt_exceeds_the_window(
    library_file: Path,
    window: int,
    question_words: int,
    characters_per_token: int,
    scored: dict[int, float] | None,
) -> None:
    model = OtherTokenizer(by_step(ANSWER), context_tokens=window)
    model.characters_per_token = characters_per_token
    question = "why " * question_words
    with GraphReader(library_file, model=model) as reader:
        library = reader.library
        documents = Documents(library, library.document_ids())
        chunks = [chunk for document_id in documents for chunk in library.chunks(document_id)]
        scores = None if scored is None else {chunks[at % len(chunks)].id: score for at, score in scored.items()}

        def needed(reading: Reading) -> int:
            by_id = {chunk.id: chunk for chunk in reading.chunks}
            prompt, _ = answer_prompt(question, reading.excerpts, documents, by_id)
            messages = [Message("system", prompt.system), Message("user", prompt.user)]
            return model.count_prompt_tokens(messages) + MAX_REPLY_TOKENS

        whole = Reading(tuple(chunks), 0, 0, "")
        try:
            reading = read_whole(library, model, question, documents, scores)
        except DocumentsTooLongError:
            reading = None
        fits_whole = needed(whole) <= window
        assert reading is None or needed(reading) <= window
    assert (reading is not None and not reading.part) == fits_whole
    if reading is not None:
        assert 0 < len(reading.chunks) <= len(chunks)
        assert bool(reading.part) == (len(reading.chunks) < len(chunks))


@pytest.mark.parametrize(
    ("sources", "counted"), [(["Ferries"], True), ((), False)], ids=["one document", "more than is worth counting"]
)
def test_a_refusal_says_how_long_and_how_much_would_fit(
    tmp_path: Path, files: Path, sources: Sequence[str], counted: bool
) -> None:
    model = ScriptedModel(by_step(ANSWER), context_tokens=512 if counted else 60)
    with (
        opened(tmp_path, files, model) as reader,
        pytest.raises(DocumentsTooLongError) as refused,
    ):
        reader.ask("Who?", sources, mode="full")
    error = refused.value
    assert 0 <= error.room_tokens < error.document_tokens < error.prompt_tokens
    assert ("serve --context" in str(error)) == counted
    assert all(
        f"{number:,}" in str(error) for number in (error.document_tokens, error.window_tokens, error.room_tokens)
    )


usages = st.builds(
    lambda read, cached, replied, extra: {"read": read, "cached": cached, "replied": replied, "extra": extra},
    st.integers(0, 5000),
    st.integers(0, 5000),
    st.integers(1, 200),
    st.floats(0, 10),
)


@given(st.floats(0.01, 20), st.lists(usages, max_size=10))
def test_reading_is_never_thought_faster_than_it_was(per_1000: float, answers: list[dict[str, Any]]) -> None:
    recorded = [
        {
            "endpoint": "here",
            "mode": "search",
            "usage": {
                "llm_calls": 1,
                "prompt_tokens": answer["read"] + answer["cached"],
                "cached_tokens": answer["cached"],
                "completion_tokens": answer["replied"],
                "seconds": answer["read"] * per_1000 / 1000 + answer["extra"],
            },
        }
        for answer in answers
    ]
    told = pace_of(recorded, "here").seconds_per_1000_tokens
    assert (told is None) == all(answer["read"] == 0 for answer in answers)
    assert told is None or told >= per_1000 * 0.999
    assert pace_of(recorded, "elsewhere").seconds_per_1000_tokens is None


def test_answers_from_the_cache_do_not_make_reading_look_slow() -> None:
    def answer(read: int, cached: int, seconds: float) -> dict[str, Any]:
        usage = {"llm_calls": 1, "prompt_tokens": read + cached, "cached_tokens": cached, "completion_tokens": 30}
        return {"endpoint": "here", "mode": "full", "usage": usage | {"seconds": seconds}}

    told = pace_of([answer(4000, 0, 22.0), *(answer(40, 4000, 3.0) for _ in range(15))], "here")
    assert told.seconds_per_1000_tokens == pytest.approx(5.5)


def situation(**changed: Any) -> Situation:
    usual: dict[str, Any] = {
        "document_tokens": 12_000,
        "window_tokens": 16_384,
        "is_cached": False,
        "max_whole_tokens": 4000,
        "best_coverage": 0.6,
        "max_seconds": 75.0,
    }
    return Situation(**usual | changed)


STEPS = "Where was the keeper who saved Captain Hale born?"


@pytest.mark.parametrize(
    ("question", "changed", "mode"),
    [
        ("Who keeps the bees?", {}, Mode.SEARCH),
        ("Who keeps the bees?", {"document_tokens": 2000}, Mode.FULL),
        ("Who keeps the bees?", {"is_cached": True}, Mode.FULL),
        ("Who keeps the bees?", {"best_coverage": 0.2}, Mode.GRAPH),
        ("Who keeps the bees?", {"best_coverage": 0.0}, Mode.SEARCH),
        (STEPS, {}, Mode.GRAPH),
        (STEPS, {"best_coverage": 1.0}, Mode.SEARCH),
        (STEPS, {"graph_seconds": 80.0}, Mode.GRAPH),
        (STEPS, {"graph_seconds": 80.0, "max_seconds": 10.0}, Mode.SEARCH),
        (STEPS, {"graph_tokens": 18_000.0, "max_tokens": 3000}, Mode.SEARCH),
        ("Summarise the report.", {"seconds_per_1000_tokens": 1.0}, Mode.FULL),
        ("Summarise the report.", {"seconds_per_1000_tokens": 20.0}, Mode.GRAPH),
        ("Summarise the report.", {"seconds_per_1000_tokens": None}, Mode.GRAPH),
        ("Summarise the report.", {"seconds_per_1000_tokens": None, "max_seconds": None}, Mode.FULL),
        ("Summarise the report.", {"document_tokens": 16_000, "is_cached": True}, Mode.GRAPH),
        ("Summarise the report.", {"seconds_per_1000_tokens": 1.0, "max_tokens": 5000}, Mode.GRAPH),
    ],
)
def test_the_rules(question: str, changed: dict[str, Any], mode: Mode) -> None:
    assert choose_mode(question, situation(**changed)).mode is mode


@pytest.mark.parametrize("question", ["Why did they put apples throughout the house?", "经营权归谁所有？"])
def test_words_that_do_not_ask_for_all_of_it(question: str) -> None:
    assert shape_of(question) is Shape.SINGLE
