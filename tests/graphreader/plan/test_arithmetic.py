"""What must hold for every model and every memory."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import model_configs as models
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from graphreader.errors import PlanError
from graphreader.plan import Plan, PlanRequest, make_plan
from graphreader.plan.compute import scored_pairs
from graphreader.plan.records import Reach
from graphreader.plan.sizes import bytes_text, parse_bytes, parse_tokens

MIB = 1024**2
CONFIGS = st.sampled_from(sorted(models.ALL)).map(lambda name: models.ALL[name])
#: Enough for one request of the window below in any of the models.
MEMORY = st.integers(2048 * MIB, 400_000 * MIB)
WINDOW = st.integers(1, 1000)


def plan(config: dict[str, Any], **wishes: Any) -> Plan:
    return make_plan(config, PlanRequest(**({"context_tokens": 1000} | wishes)))


def tokens(made: Plan) -> int:
    assert made.capacity_tokens is not None
    return made.capacity_tokens


@settings(deadline=None)  # a busy machine misses any
@given(CONFIGS, MEMORY, st.integers(0, 100_000 * MIB))
def test_more_memory_never_holds_less(config: dict[str, Any], memory: int, more: int) -> None:
    assert tokens(plan(config, kv_memory_bytes=memory)) <= tokens(plan(config, kv_memory_bytes=memory + more))


@settings(deadline=None)  # a busy machine misses any
@given(CONFIGS, MEMORY, WINDOW)
def test_half_the_bytes_hold_as_much_in_half_the_memory(config: dict[str, Any], memory: int, window: int) -> None:
    assume("jamba" not in str(config["model_type"]))  # its states keep their size
    full = plan(config, kv_memory_bytes=memory, context_tokens=window)
    half = plan(config, kv_memory_bytes=memory // 2, context_tokens=window, kv_dtype="fp8")
    assert half.kv_bytes_per_token * 2 == full.kv_bytes_per_token
    assert half.num_blocks == full.num_blocks
    assert half.capacity_tokens == full.capacity_tokens


@settings(deadline=None)  # a busy machine misses any
@given(CONFIGS, st.sampled_from([1, 2, 4, 8]))
def test_splitting_a_model_never_takes_more_of_a_device(config: dict[str, Any], devices: int) -> None:
    assume(plan(config).attention.query_heads % devices == 0)
    assume(plan(config).attention.kv_heads % devices == 0 or devices % plan(config).attention.kv_heads == 0)
    one, split = plan(config), plan(config, tensor_parallel=devices)
    assert split.kv_bytes_per_token <= one.kv_bytes_per_token
    assert split.kv_bytes_per_token * devices >= one.kv_bytes_per_token
    assert split.memory.weights_bytes <= one.memory.weights_bytes


@settings(deadline=None)  # a busy machine misses any
@given(CONFIGS, MEMORY, st.integers(1, 200_000))
def test_blocks_and_requests_fill_memory_and_no_more(config: dict[str, Any], memory: int, window: int) -> None:
    made = make_plan(config, PlanRequest(kv_memory_bytes=memory))
    assume(made.native_context is None or window <= made.native_context)
    made = make_plan(config, PlanRequest(kv_memory_bytes=memory, context_tokens=min(window, made.max_model_len)))
    assert made.num_blocks is not None
    assert made.max_concurrency is not None
    assert made.num_blocks * made.bytes_per_block <= memory < (made.num_blocks + 1) * made.bytes_per_block
    blocks = sum(group.blocks_per_request for group in made.groups)
    assert blocks + 1 <= made.num_blocks  # vLLM would not start otherwise
    assert made.max_concurrency == made.num_blocks / blocks
    assert tokens(made) == int(made.max_concurrency * made.max_model_len)


@settings(deadline=None)  # a busy machine misses any
@given(CONFIGS)
def test_every_layer_that_caches_is_in_one_group(config: dict[str, Any]) -> None:
    made = plan(config)
    assert sum(group.layers for group in made.groups) == len(made.attention.layers)


@settings(deadline=None)  # a busy machine misses any
@given(CONFIGS, MEMORY)
def test_a_window_cut_by_memory_is_the_longest_that_starts(config: dict[str, Any], memory: int) -> None:
    small = memory // 4096
    with suppress(PlanError):
        made = make_plan(config, PlanRequest(kv_memory_bytes=small))
        _check_the_cut(config, made, small)


def _check_the_cut(config: dict[str, Any], made: Plan, small: int) -> None:
    assume(made.bound == "memory")
    blocks = sum(group.blocks_per_request for group in made.groups)
    assert made.bytes_per_block * (blocks + 1) <= small
    longer = make_plan(config, PlanRequest(context_tokens=made.max_model_len + 1))
    assert made.bytes_per_block * (sum(group.blocks_per_request for group in longer.groups) + 1) > small


@settings(deadline=None)  # a busy machine misses any
@given(st.integers(1, 60), st.sampled_from(list(Reach)[:3]), st.integers(1, 70))
def test_scored_pairs_are_those_of_the_mask(length: int, reach: Reach, window: int) -> None:
    def sees(row: int, column: int) -> bool:
        if column > row:
            return False
        if reach is Reach.SLIDING:
            return row - column < window
        return reach is Reach.FULL or row // window == column // window

    expected = sum(sees(row, column) for row in range(length) for column in range(length))
    assert scored_pairs(length, reach, window) == expected


@settings(deadline=None)  # a busy machine misses any
@given(st.integers(1, 10**7))
def test_sizes_are_read_as_written(count: int) -> None:
    assert parse_bytes(f"{count}GiB") == parse_bytes(f" {count} g ") == count * 1024**3
    assert parse_bytes(f"{count} GB") == count * 1000**3
    assert parse_tokens(f"{count}k") == count * 1024
    assert bytes_text(count * 1024**3).endswith(("GiB", "TiB"))
