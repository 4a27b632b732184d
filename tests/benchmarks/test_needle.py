"""What the needle test hides, how it scores, and what it draws."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.heat_map import Band, HeatMap, colour, draw
from benchmarks.needle import main, variant_of
from benchmarks.needle_prompts import LEADS, REPLY_TOKENS, WORDS, Needle, choose_needles, hide, score, single_tokens
from benchmarks.needle_report import bands_of, cells_of, tables, with_tables

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 128,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "vocab_size": 512,
    "max_position_embeddings": 8192,
    "rope_parameters": {"rope_theta": 100000.0, "rope_type": "default"},
    "torch_dtype": "bfloat16",
}
FULL_STOP = ord(".")


def encode(text: str) -> list[int]:
    """A token for each character."""
    return [ord(character) for character in text]


def decode(tokens: list[int]) -> str:
    return "".join(map(chr, tokens))


HAY = encode("The sea was calm and the crew was idle. " * 300)


def logprobs(best: str) -> dict[str, float]:
    return {word: -0.1 if word == best else -5.0 - place for place, word in enumerate(WORDS)}


def test_every_needle_is_once_in_the_document_at_its_depth() -> None:
    needles = choose_needles([0.0, 0.25, 0.5, 1.0], WORDS, 0)
    text = decode(hide(HAY, needles, encode, {FULL_STOP}, 6000))
    for needle in needles:
        assert text.count(needle.text) == 1
        at = text.index(needle.text) / len(text)
        assert abs(at - needle.depth) < 0.06
    assert text.startswith(needles[0].text)
    assert text.endswith(needles[-1].text)
    assert text[text.index(needles[1].text) - 1] == "."  # never within a sentence


@given(
    st.lists(st.sampled_from([place / 10 for place in range(11)]), min_size=1, max_size=11, unique=True),
    st.integers(1500, 11_000),
    st.integers(0, 20),
)
def test_prompt_and_reply_fill_the_length(depths: list[float], length: int, trial: int) -> None:
    needles = choose_needles(sorted(depths), WORDS, trial)
    document = hide(HAY, needles, encode, {FULL_STOP}, length)
    prompts = [len(document) + len(encode(needle.question)) + REPLY_TOKENS for needle in needles]
    assert max(prompts) == length
    without = decode(document)
    for needle in needles:
        without = without.replace(needle.text, "", 1)
    assert decode(HAY).startswith(without)


def test_too_little_text_is_said() -> None:
    with pytest.raises(ValueError, match="of the haystack, which has"):
        hide(HAY[:500], choose_needles([0.5], WORDS, 0), encode, {FULL_STOP}, 4000)


def test_every_sentence_comes_to_every_depth() -> None:
    depths = [place / 10 for place in range(11)]
    seen = {(needle.lead, needle.depth) for trial in range(11) for needle in choose_needles(depths, WORDS, trial)}
    assert len(seen) == 11 * len(LEADS)


def test_no_answer_stands_in_the_text() -> None:
    text = " ".join(WORDS[20:])
    words = {needle.word for needle in choose_needles([0.0, 0.5, 1.0], WORDS, 3, text)}
    assert words <= set(WORDS[:20])
    with pytest.raises(ValueError, match="do not occur"):
        choose_needles([0.0, 0.5, 1.0], WORDS, 3, " ".join(WORDS[2:]))


def test_only_single_tokens_are_answers() -> None:
    found = single_tokens(["oak", "violin", "zinc"], lambda text: [7] if text == " violin" else [1, 2])
    assert found == {"violin": 7}


@pytest.mark.parametrize(
    ("reply", "found"), [(" violin.\n", True), (" a Violin", True), (" violins.", False), (" the sea", False)]
)
def test_the_word_must_stand_in_the_reply(reply: str, found: bool) -> None:
    assert score(Needle(LEADS[0], "violin", 0.5), reply, logprobs("violin"))["found"] is found


def test_the_rank_counts_likelier_words() -> None:
    scored = score(Needle(LEADS[0], WORDS[3], 0.5), "", logprobs("violin"))
    assert scored["rank"] == 5  # violin, and the three before it
    assert scored["logprob"] == -8.0
    assert score(Needle(LEADS[0], "violin", 0.5), "", logprobs("violin"))["rank"] == 1


def test_the_native_variant_stays_within_its_window() -> None:
    native = variant_of("native", CONFIG, [4096, 8192, 16_384], 4)
    assert native.lengths == [4096, 8192]
    assert native.hf_overrides == {}


@pytest.mark.parametrize(("name", "rope_type"), [("yarn", "yarn"), ("linear", "linear"), ("ntk", "dynamic")])
def test_scaled_variants_keep_base_and_trained_length(name: str, rope_type: str) -> None:
    scaled = variant_of(name, CONFIG, [4096, 16_384, 40_000], 4)
    rope = scaled.hf_overrides["rope_parameters"]
    assert scaled.lengths == [4096, 16_384]
    assert rope["rope_type"] == rope_type
    assert rope["rope_theta"] == 100000.0
    if name == "ntk":
        assert scaled.hf_overrides["max_position_embeddings"] == 32_768
        assert rope["max_trained_positions"] == 8192
    else:
        assert rope["factor"] == 4.0


def rows() -> Iterator[dict[str, Any]]:
    for variant, lengths in (("yarn", (4096, 16_384)), ("native", (4096,))):
        for length in lengths:
            for trial in range(2):
                hit = length == 4096 or trial == 1
                needles = [
                    {"depth": depth, "found": hit, "rank": 1 if hit else 7, "logprob": -0.5 if hit else -6.5}
                    for depth in (0.0, 0.5, 1.0)
                ]
                yield {
                    "variant": variant,
                    "length": length,
                    "trial": trial,
                    "words": 100,
                    "read_cpu_seconds": 10.0,
                    "needles": needles,
                }


def test_the_tables_tell_the_means() -> None:
    made = tables(list(rows()), cells_of(list(rows())))
    assert "| native | 4,096 | 6 of 6 (100%) | 100% | -0.50 | 10 |" in made
    assert "| YaRN | 16,384 | 3 of 6 (50%) | 50% | -3.50 | 10 |" in made
    assert "| YaRN | 16,384 | 1/2 (-3.5) | 1/2 (-3.5) | 1/2 (-3.5) |" in made


def test_a_report_replaces_only_its_tables() -> None:
    once = with_tables("# Title\n\nBefore.\n", "first\n")
    assert once.startswith("# Title\n\nBefore.\n")
    twice = with_tables(once + "\nAfter.\n", "second\n")
    assert "first" not in twice
    assert twice == with_tables("# Title\n\nBefore.\n", "second\n") + "\nAfter.\n"


def test_a_report_is_made_from_records_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    (tmp_path / "records.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    assert main(["--out", str(tmp_path), "--report", str(tmp_path / "docs")]) == 0
    with Image.open(tmp_path / "docs" / "needle.png") as image:
        assert image.format == "PNG"
        assert image.width > image.height > 200
    assert capsys.readouterr().out.strip() in (tmp_path / "docs" / "needle.md").read_text(encoding="utf-8")


def test_without_records_there_is_no_report(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path), "--report", str(tmp_path)]) == 1


def test_what_cannot_be_measured_has_no_value() -> None:
    found, _ = bands_of(cells_of(list(rows())), ("native", "yarn"))
    native, yarn = found.panels
    assert native.columns == yarn.columns == ["4k", "16k"]
    assert [list(row) for row in native.values] == [[1.0, None]] * 3
    assert [list(row) for row in yarn.values] == [[1.0, 0.5]] * 3


def test_lightness_rises_with_the_value() -> None:
    light = [
        0.2126 * red + 0.7152 * green + 0.0722 * blue
        for red, green, blue in (colour(value / 20, 0, 1) for value in range(21))
    ]
    assert light == sorted(light)
    assert colour(-3, 0, 1) == colour(0, 0, 1)
    assert colour(9, 0, 1) == colour(1, 0, 1)


def test_each_cell_has_the_colour_of_its_value() -> None:
    panel = HeatMap("a", ["0%", "100%"], ["4k"], [[0.0], [None]])
    image = draw([Band("found", [panel], 0.0, 1.0, 1)], "depth", "tokens")
    colours = {pixel for _, pixel in image.getcolors(image.width * image.height) or ()}
    assert colour(0.0, 0, 1) in colours
    assert colour(1.0, 0, 1) not in colours
