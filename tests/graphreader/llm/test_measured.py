"""What a model reads well: as measured of the packaged one, as taken of others, as set."""

from __future__ import annotations

import pytest

from graphreader.llm.measured import answer_tokens, earlier_tokens, measured_of, search_tokens
from graphreader.settings import DEFAULT_MODEL, ExploreSettings, SearchSettings


def test_the_packaged_model_is_shown_less_and_has_to_be_surer() -> None:
    own, other = measured_of(DEFAULT_MODEL), measured_of("a-large-model")
    assert own.least_probable > other.least_probable
    for tokens, settings in ((search_tokens, SearchSettings()), (answer_tokens, ExploreSettings())):
        assert 0 < tokens(settings, DEFAULT_MODEL) < tokens(settings, "a-large-model")
    assert earlier_tokens(ExploreSettings(), DEFAULT_MODEL) == 0


@pytest.mark.parametrize("model", [DEFAULT_MODEL, "a-large-model"])
def test_a_setting_counts_for_any_model(model: str) -> None:
    explore = ExploreSettings(max_answer_tokens=777, max_earlier_tokens=0)
    assert search_tokens(SearchSettings(max_prompt_tokens=900), model) == 900
    assert (answer_tokens(explore, model), earlier_tokens(explore, model)) == (777, 0)
