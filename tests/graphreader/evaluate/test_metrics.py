"""Metrics: values known from the official scripts or worked out by hand, and what must hold for any text."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphreader.evaluate.cases import Case, GoldEvidence, Unit
from graphreader.evaluate.metrics import (
    Cited,
    Span,
    UnitRecall,
    bootstrap_interval,
    chosen_letters,
    citation_precision,
    contains,
    evidence_recall,
    exact_match,
    keyword_f1,
    paired_difference,
    rouge_l,
    score_answer,
    token_f1,
)

texts = st.text(st.sampled_from("ab the an A1,.'é “中文。国 -_\n"), max_size=30) | st.text(max_size=30)
languages = st.sampled_from(["en", "zh"])
scores = st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=1, max_size=30)

LV_EVAL_MISS = (
    "There is no mention of Martin or independent publishing of digital books in the passage. The passage appears to "
    "be about a research paper on contour completion using deep structure priors."
)


@pytest.mark.parametrize(
    ("answer", "gold", "em", "f1"),
    [
        ("the Denver Broncos!", "Denver Broncos", 1.0, 1.0),
        ("Denver Broncos won", "Denver Broncos", 0.0, 2 * 2 / 5),
        ("to be or not to be", "to be", 0.0, 2 * 2 / 8),
        ("$14,500", "14500", 1.0, 1.0),
        ("a well-to-do farmer", "well to do farmer", 0.0, 2 * 1 / 6),
        ("", "yes", 0.0, 0.0),
        ("The", "a", 1.0, 1.0),
        # Both from the error cases that LV-Eval publishes.
        (LV_EVAL_MISS, "Martin began independent publishing her books as digital books in 2020.", 0.0, 0.30769230769),
        ("Low mechanical flexibility.", "Increased mechanical flexibility.", 0.0, 0.66666666667),
    ],
)
def test_exact_match_and_f1_as_in_squad(answer: str, gold: str, em: float, f1: float) -> None:
    assert exact_match(answer, gold) == em
    assert token_f1(answer, gold) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("answer", "gold", "em", "f1"),
    [
        ("《毕业风暴》。", "毕业风暴", 1.0, 1.0),
        ("4分钟", "4 分钟", 1.0, 1.0),
        ("北京大学", "北京", 0.0, 2 * 2 / 6),
        ("由韩国Nexon开发", "nexon", 0.0, 2 * 1 / 7),
        ("2008年", "2009年", 0.0, 2 * 1 / 4),
    ],
)
def test_chinese_is_compared_by_characters(answer: str, gold: str, em: float, f1: float) -> None:
    assert exact_match(answer, gold, "zh") == em
    assert token_f1(answer, gold, "zh") == pytest.approx(f1)


@pytest.mark.parametrize(
    ("answer", "gold", "expected"),
    [
        # As rouge-score 0.1.2 gives them.
        ("The lazy dog was jumped over by the quick brown fox", "The quick brown fox jumps over the lazy dog", 0.4),
        ("The well to do farmer had seven sons", "a well-to-do farmer", 0.61538461538),
        ("1991", "He won in 1,991.", 0.0),
        ("", "", 0.0),
    ],
)
def test_rouge_l(answer: str, gold: str, expected: float) -> None:
    assert rouge_l(answer, gold) == pytest.approx(expected)


def test_rouge_l_of_chinese() -> None:
    assert rouge_l("上海队是冠军", "冠军是上海队", "zh") == pytest.approx(2 * 3 / 12)


@pytest.mark.parametrize(
    ("answer", "gold", "expected"),
    [("It was the amber lantern.", "Amber lantern", 1.0), ("lantern amber", "amber lantern", 0.0), ("x", "the", 0.0)],
)
def test_contains(answer: str, gold: str, expected: float) -> None:
    assert contains(answer, gold) == expected


def test_keyword_f1_as_in_lv_eval() -> None:
    gold = "For his services to music."
    medicine = "For services to Medicine and to the community in the Cayman Islands."
    assert keyword_f1(medicine, gold, ["services to music"]) == pytest.approx(0.4)
    assert keyword_f1(LV_EVAL_MISS, "Martin began independent publishing in 2020.", ["2020"]) == 0.0
    assert keyword_f1("It was to be.", gold, ["to be or not to be"]) == 0.0
    assert keyword_f1("导演是提莫", "导演是克里斯汀穆基", ["克里斯汀穆基"], "zh") == 0.0


@settings(deadline=None)
@given(texts, texts, languages)
def test_f1_and_rouge_are_symmetric_and_bounded(first: str, second: str, language: str) -> None:
    for measure in (token_f1, rouge_l):
        score = measure(first, second, language)
        assert 0.0 <= score <= 1.0
        assert score == measure(second, first, language)


@settings(deadline=None)
@given(texts, texts, languages)
def test_an_exact_match_has_full_f1_and_is_contained(first: str, second: str, language: str) -> None:
    assert exact_match(first, first, language) == 1.0
    if exact_match(first, second, language):
        assert token_f1(first, second, language) == 1.0
    if contains(first, second, language) and contains(second, first, language):
        assert exact_match(first, second, language)
    assert exact_match(first, second, language) <= token_f1(first, second, language)


@settings(deadline=None)
@given(texts.filter(lambda text: any(c.isalnum() for c in text)), languages)
def test_a_text_has_full_rouge_with_itself(text: str, language: str) -> None:
    assert rouge_l(text, text, language) == 1.0


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcd"), max_size=9), st.lists(st.sampled_from("abcd"), max_size=9))
def test_rouge_is_the_longest_common_subsequence(first: list[str], second: list[str]) -> None:
    table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, left in enumerate(first):
        for j, right in enumerate(second):
            table[i + 1][j + 1] = table[i][j] + 1 if left == right else max(table[i][j + 1], table[i + 1][j])
    expected = 2 * table[-1][-1] / (len(first) + len(second)) if first and second else 0.0
    assert rouge_l(" ".join(first), " ".join(second)) == pytest.approx(expected)


OPTIONS = {"A": "sales", "B": "costs", "C": "sales and costs", "D": "nothing"}


@pytest.mark.parametrize(
    ("answer", "letters"),
    [
        ("B", "B"),
        (" (b) ", "B"),
        ("The answer is a loss", ""),
        ("answer: (D) nothing", "D"),
        ("(B)", "B"),
        ("B.", "B"),
        ("B. costs", "B"),
        ("The correct answer is (C).", "C"),
        ("First I thought the answer is A, but the answer is D", "D"),
        ("A and C", "AC"),
        ("CA", "AC"),
        ("A, C", "AC"),
        ("Costs", "B"),
        ("sales and costs", "C"),
        ("It was nothing.", "D"),
        ("A firm in trouble", ""),
        ("I would say B, all in all", "B"),
        ("either B or D", ""),
        ("E", ""),
        ("答案是B", "B"),
        ("", ""),
    ],
)
def test_letters_of_a_choice(answer: str, letters: str) -> None:
    assert chosen_letters(answer, OPTIONS) == letters


@settings(deadline=None)
@given(st.text(st.sampled_from("ABCDE ().and,is answer"), max_size=40))
def test_only_options_are_chosen(answer: str) -> None:
    letters = chosen_letters(answer, OPTIONS)
    assert set(letters) <= OPTIONS.keys()
    assert list(letters) == sorted(set(letters))


def test_scores_of_a_question() -> None:
    case = Case("1", "Who?", ("Morwenna Tolley", "the organist"), ("d",))
    assert score_answer(case, "an organist", True) == {
        "answerable": 1.0,
        "em": 1.0,
        "f1": 1.0,
        "contains": 1.0,
        "rouge_l": 0.5,
    }
    assert set(score_answer(case, "the organist", False).values()) == {0.0}


def test_scores_of_a_question_without_an_answer_and_of_a_choice() -> None:
    unanswerable = Case("1", "Who?", (), ("d",), answerable=False)
    assert score_answer(unanswerable, "", False) == {"answerable": 1.0, "em": 1.0, "f1": 1.0}
    assert score_answer(unanswerable, "Bo", True) == {"answerable": 0.0, "em": 0.0, "f1": 0.0}
    choice = Case("1", "Which?", ("CA",), ("d",), options=OPTIONS)
    assert score_answer(choice, "A and C", True) == {"answerable": 1.0, "choice": 1.0}
    assert score_answer(choice, "A", True)["choice"] == 0.0
    assert score_answer(choice, "", False) == {"answerable": 0.0, "choice": 0.0}


def test_a_question_with_keywords_has_their_score() -> None:
    case = Case("1", "When?", ("Martin began in 2020.",), ("d",), keywords=("2020",))
    assert score_answer(case, "Martin began", True)["keyword_f1"] == 0.0
    assert score_answer(case, "in 2020", True)["keyword_f1"] == pytest.approx(2 * 2 / 6)


SENTENCE = GoldEvidence("d", Unit.SENTENCE, 100, 140)
OTHER = GoldEvidence("d", Unit.SENTENCE, 500, 520)
SECTION = GoldEvidence("d", Unit.PASSAGE, 0, 1_000)
PAGE = GoldEvidence("d", Unit.PAGE, page=3)


@pytest.mark.parametrize(
    ("span", "found"),
    [
        (Span("d", 0, 400), True),
        (Span("d", 110, 115), True),
        (Span("d", 120, 200), True),
        (Span("d", 121, 200), False),
        (Span("d", 140, 200), False),
        (Span("e", 100, 140), False),
        (Span("d", page=3), False),
    ],
)
def test_a_sentence_is_found_where_half_of_the_shorter_is_common(span: Span, found: bool) -> None:
    assert evidence_recall([SENTENCE], [span]) == {Unit.SENTENCE: UnitRecall(int(found), 1)}


def test_recall_is_by_unit() -> None:
    spans = [Span("d", 110, 115, page=3), Span("d", 900, 910, page=4)]
    recall = evidence_recall([SENTENCE, OTHER, SECTION, PAGE], spans)
    assert recall == {
        Unit.SENTENCE: UnitRecall(1, 2),
        Unit.PASSAGE: UnitRecall(1, 1),
        Unit.PAGE: UnitRecall(1, 1),
    }
    assert recall[Unit.SENTENCE].share == 0.5
    assert recall[Unit.PAGE].share == 1.0
    assert evidence_recall([], spans) == {}


offsets = st.tuples(st.integers(0, 60), st.integers(1, 30)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@settings(deadline=None)
@given(st.lists(offsets, min_size=1, max_size=5), st.lists(offsets, max_size=5), st.lists(offsets, max_size=5))
def test_more_spans_never_find_less_and_evidence_finds_itself(
    gold: list[tuple[int, int]], first: list[tuple[int, int]], more: list[tuple[int, int]]
) -> None:
    evidence = [GoldEvidence("d", Unit.TURN, *span) for span in gold]
    less = evidence_recall(evidence, [Span("d", *span) for span in first])[Unit.TURN]
    both = evidence_recall(evidence, [Span("d", *span) for span in [*first, *more]])[Unit.TURN]
    assert less.found <= both.found <= both.total == len(gold)
    assert evidence_recall(evidence, [Span("d", *span) for span in gold])[Unit.TURN].share == 1.0


def test_citations_are_verbatim_and_of_the_evidence() -> None:
    text = "".join(string.ascii_lowercase * 40)
    right = Cited(Span("d", 100, 140, page=2), text[100:140])
    elsewhere = Cited(Span("d", 200, 240, page=3), text[200:240])
    altered = Cited(Span("d", 100, 140, page=3), text[100:139] + "!")
    found = citation_precision([right, elsewhere, altered], {"d": text}, [SENTENCE, PAGE])
    assert found is not None
    assert (found.count, found.verbatim) == (3, pytest.approx(2 / 3))
    assert found.supporting == {Unit.SENTENCE: pytest.approx(1 / 3), Unit.PAGE: pytest.approx(1 / 3)}
    assert citation_precision([], {"d": text}, [SENTENCE]) is None


@settings(deadline=None)
@given(scores, st.integers(0, 9))
def test_an_interval_holds_its_mean_and_comes_again(values: list[float], seed: int) -> None:
    interval = bootstrap_interval(values, resamples=300, seed=seed)
    assert interval == bootstrap_interval(values, resamples=300, seed=seed)
    assert min(values) <= interval.low <= interval.mean + 1e-9
    assert interval.mean - 1e-9 <= interval.high <= max(values)
    assert interval.n == len(values)


def test_an_interval_is_that_of_theory_for_many_values() -> None:
    values = [1.0] * 400 + [0.0] * 600
    interval = bootstrap_interval(values)
    half = 1.96 * (0.4 * 0.6 / 1_000) ** 0.5
    assert interval.mean == pytest.approx(0.4)
    assert interval.low == pytest.approx(0.4 - half, abs=0.003)
    assert interval.high == pytest.approx(0.4 + half, abs=0.003)
    # Values of which none stands twice are drawn one by one, not by their counts.
    different = bootstrap_interval([value + 1e-9 * number for number, value in enumerate(values)])
    assert (different.low, different.high) == (
        pytest.approx(interval.low, abs=0.003),
        pytest.approx(interval.high, abs=0.003),
    )
    wider = bootstrap_interval(values, level=0.99)
    assert wider.low < interval.low < interval.high < wider.high


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0])), min_size=1, max_size=25))
def test_a_difference_turns_its_sign_with_the_runs(pairs: list[tuple[float, float]]) -> None:
    first, second = [one for one, _ in pairs], [two for _, two in pairs]
    forth, back = paired_difference(first, second, resamples=200), paired_difference(second, first, resamples=200)
    assert (forth.mean, forth.p_value) == (-back.mean, back.p_value)
    assert forth.low == pytest.approx(-back.high)
    assert 0.0 < forth.p_value <= 1.0
    assert paired_difference(first, first, resamples=200).p_value == 1.0


def test_the_p_value_is_that_of_all_flips_of_signs() -> None:
    # Eight differences of one sign: 2 of 256 flips are as large.
    found = paired_difference([1.0] * 8, [0.0] * 8, resamples=20_000)
    assert (found.mean, found.low, found.high) == (1.0, 1.0, 1.0)
    assert found.p_value == pytest.approx(2 / 256, abs=0.002)


def test_means_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="no value"):
        bootstrap_interval([])
    with pytest.raises(ValueError, match="not 1 and 2"):
        paired_difference([1.0], [1.0, 0.0])
