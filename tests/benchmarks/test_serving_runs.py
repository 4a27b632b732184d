"""The pure parts of the benchmarks of serving: what is asked, in which order, and what the tables say."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest

from benchmarks import load_prompts, prefix, serving
from benchmarks.local_vllm import cpu_seconds, family, peak_bytes
from benchmarks.streamed import Timed, decode_rate


def cells(table: str, first: str) -> list[str]:
    """The cells of the line that begins so."""
    line = next(line for line in table.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("name", ["needle", "prefix", "load", "serving"])
def test_every_command_says_what_it_does(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = importlib.import_module(f"benchmarks.{name}")
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert f"python -m benchmarks.{name}" in said
    assert "--out" in said


@pytest.mark.parametrize(("name", "wrong"), [("load", ["--concurrency", "99"]), ("prefix", ["--document", "absent"])])
def test_wrong_options_are_refused(name: str, wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"benchmarks.{name}").main(["--out", "out", *wrong])
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


class TestPrefix:
    QUESTIONS = ([1, 2], [3], [4, 5, 6])

    def test_the_document_comes_first_and_is_the_same(self) -> None:
        prompts = prefix.prompts_of(list(range(1000, 3000)), self.QUESTIONS, 500, 0)
        shared = [
            prompt[: len(prompt) - len(question)] for prompt, question in zip(prompts, self.QUESTIONS, strict=True)
        ]
        assert shared[0] == shared[1] == shared[2] == list(range(1000, 1436))
        assert all(len(prompt) <= 500 - 4 for prompt in prompts)

    def test_every_round_has_another_document(self) -> None:
        parts = [prefix.prompts_of(list(range(2000)), self.QUESTIONS, 500, part)[0] for part in range(4)]
        assert not set(parts[0]) - {1, 2} & set(parts[1]) - {1, 2}
        assert len({tuple(part) for part in parts}) == 4

    def test_too_short_a_text_is_said(self) -> None:
        with pytest.raises(ValueError, match="too few"):
            prefix.prompts_of([1] * 100, self.QUESTIONS, 500, 0)
        with pytest.raises(ValueError, match="no room"):
            prefix.prompts_of([1] * 100, self.QUESTIONS, 60, 0)

    def test_the_table_takes_ratios_within_a_round(self) -> None:
        rows: list[dict[str, Any]] = [{"block_size": 16, "round": 0, "question": 0, "refused": "multiples of | 32"}]
        for number, first in enumerate((10.0, 40.0)):
            for question, seconds in enumerate((first, first / 10, first / 5)):
                cached = 0 if question == 0 else 960
                rows.append(
                    {
                        "block_size": 32,
                        "round": number,
                        "question": question,
                        "first_seconds": seconds,
                        "prompt_tokens": 1000,
                        "cached_tokens": cached,
                    }
                )
        table = prefix.report(rows)
        assert cells(table, "32") == ["32", "25.00", "3.00", "10.0", "1,000", "960", "40", "2 rounds"]
        assert cells(table, "16")[-1] == "multiples of / 32"


class TestLoad:
    def test_prompts_are_made_by_their_seed_and_differ_at_once(self) -> None:
        first, again, other = (load_prompts.prompt_of(seed, 20) for seed in ("0 1 a 0", "0 1 a 0", "0 1 a 1"))
        assert first == again
        assert first.splitlines()[0] != other.splitlines()[0]
        assert len(first.splitlines()) == 22

    def test_each_round_begins_with_another_path_and_has_all(self) -> None:
        points = load_prompts.points_of(4, [1, 16])
        assert len(set(points)) == len(points) == 4 * 2 * len(load_prompts.PATHS)
        firsts = [next(point.path for point in points if point.round == number) for number in range(4)]
        assert set(firsts) == set(load_prompts.PATHS)

    def test_the_schema_fixes_the_reply(self) -> None:
        digits = load_prompts.SCHEMA["properties"]["digits"]
        assert digits["minItems"] == digits["maxItems"]
        reply = json.dumps({"digits": [7] * digits["minItems"]}, separators=(",", ":"))
        assert len(reply) < 2 * load_prompts.REPLY_TOKENS

    def test_the_table_compares_with_the_engine_of_the_same_round(self) -> None:
        rows = [
            {
                "round": number,
                "concurrency": 4,
                "path": path,
                "requests": 8,
                "seconds": seconds,
                "cpu_seconds": cpu,
                "prompt_tokens": 800,
                "completion_tokens": 400,
                **({"client_cpu_seconds": 0.16} if path == "batch" else {}),
            }
            for number, slow in enumerate((1.0, 3.0, 1.0))
            for path, seconds, cpu in (("engine+schema", 4.0 * slow, 8.0), ("batch", 5.0 * slow, 10.0))
        ]
        made = [line.split("|") for line in load_prompts.report(rows).splitlines()]
        engine, batch = (next(line for line in made if name in line[2]) for name in ("in-process", "our batch"))
        assert [cell.strip() for cell in engine[3:]] == ["2.00", "100.0", "200", "", "1.000", "", "", ""]
        assert batch[6].strip() == "80% (80% to 80%)"
        assert batch[8].strip() == "20.0 ms"
        assert batch[9].strip() == "125% (125% to 125%)"


class TestServing:
    def test_every_other_round_goes_backward(self) -> None:
        assert serving.order(["a", "b", "c"], 2) == [(0, "a"), (0, "b"), (0, "c"), (1, "c"), (1, "b"), (1, "a")]

    def test_texts_are_made_by_their_seed(self) -> None:
        assert serving.text_of(1, 100) == serving.text_of(1, 100) != serving.text_of(2, 100)
        assert len(serving.text_of(1, 100).split()) >= 100

    def test_essays_begin_unlike_each_other(self) -> None:
        assert len({serving.essay_prompt(number) for number in range(24)}) == 24

    def test_variants_differ(self) -> None:
        known = serving.variants("0,1")
        made = [
            (one.compiled, one.quantization, one.ngram_tokens, tuple(one.environment.items())) for one in known.values()
        ]
        assert len(set(made)) == len(made)
        assert known["threads-one"].environment == {"VLLM_CPU_OMP_THREADS_BIND": "0"}

    def test_the_table_compares_within_rounds_and_keeps_the_first_start_apart(self) -> None:
        rows: list[dict[str, Any]] = [
            {"variant": name, "round": number, "ready_seconds": ready, "prefill_1024": rate * slow, "decode_1": 5.0}
            for number, slow in enumerate((1.0, 0.5, 1.0))
            for name, ready, rate in (("eager", 20.0 + number, 200.0), ("compiled", 60.0 - 10 * number, 300.0))
        ]
        rows.append({"variant": "fp8", "round": 0, "refused": "no | kernel"})
        table = serving.report(rows)
        assert cells(table, "eager")[1:5] == ["21.5", "20.0", "", "200"]
        assert cells(table, "compiled")[1:5] == ["45.0", "60.0", "", "300 (150%)"]
        assert cells(table, "fp8")[1] == "no / kernel"
        assert len({line.count("|") for line in table.splitlines()}) == 1


def timed(asked: float, first: float, last: float, tokens: int) -> Timed:
    return Timed(asked, first, last, 10, 0, tokens, "")


def test_decoding_is_timed_from_the_first_first_token_to_the_last_last() -> None:
    assert decode_rate([timed(0, 2, 6, 9)]) == 2.0
    assert decode_rate([timed(0, 1, 5, 9), timed(0, 2, 9, 9)]) == 2.0
    assert decode_rate([timed(0, 2, 2, 1)]) == 0.0
    assert timed(1, 3, 4, 2).first_seconds == 2


def test_a_process_is_of_its_own_family_and_uses_something() -> None:
    import os
    import sys

    if sys.platform != "linux":
        pytest.skip("reads /proc")
    pids = family(os.getpid())
    assert os.getpid() in pids
    assert cpu_seconds(pids) > 0
    assert peak_bytes([os.getpid()]) > 10_000_000
    assert family(2**22 + 1) == []
