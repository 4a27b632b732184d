"""How a plan looks on a terminal. Knows how things look, no more."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from graphreader.errors import printable
from graphreader.plan.records import ComparedAttention, Heads, LayerKv, Plan, PositionEncoding, Reach
from graphreader.plan.sizes import bytes_text, tokens_text

_KINDS = {
    "rope": "RoPE",
    "alibi": "ALiBi: scores fall with distance",
    "learned": "learned, one vector for each position",
    "sinusoidal": "sinusoidal",
    "none": "none",
}


def show_plan(model: str, plan: Plan) -> None:
    """The plan on standard output."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(_headline(model, plan))
    console.print()
    console.print(_grid(_facts(plan)), soft_wrap=False)
    console.print()
    console.print(_layers(plan), soft_wrap=False)
    if plan.comparison:
        console.print()
        console.print(_comparison(plan.comparison), soft_wrap=False)
    console.print()
    console.print(_grid(_prefill(plan)), soft_wrap=False)
    console.print()
    console.print(Text("vLLM", style="bold"))
    for line in _argument_lines(plan.vllm_args):
        console.print(Text(f"  {line}"))
    for warning in plan.warnings:
        console.print(Text(f"Note: {warning}", style="yellow"), soft_wrap=False)


def _headline(model: str, plan: Plan) -> Text:
    memory = plan.memory
    size = f"{memory.parameters / 1e9:.3g} B parameters"
    if plan.mixture is not None:
        size += f", {memory.active_parameters / 1e9:.3g} B for one token ({plan.mixture.experts_per_token} of "
        size += f"{plan.mixture.experts} experts)"
    count = f"{plan.tensor_parallel} ×" if plan.tensor_parallel > 1 else "one"
    where = f"{count} {plan.device.upper()}"
    return Text.assemble((printable(model), "bold"), (f"  {plan.model_type} · {size} · {where}", "dim"))


def _facts(plan: Plan) -> Iterable[tuple[str, str]]:
    yield "attention", plan.attention.summary
    yield "positions", _positions(plan.position_encoding)
    far = ""
    if plan.kv_bytes_per_far_token != plan.kv_bytes_per_token:
        far = f", {_token_size(plan.kv_bytes_per_far_token)} once windows have passed it"
    state = f", and {bytes_text(plan.state_bytes_per_request)} a request" if plan.state_bytes_per_request else ""
    each = " on each device" if plan.tensor_parallel > 1 else ""
    yield "KV cache", f"{_token_size(plan.kv_bytes_per_token)} a token{far}{state}{each}, in {plan.kv_dtype}"
    why = {"request": "as asked", "native window": "its native window", "memory": "all that memory allows"}
    yield "window", f"{plan.max_model_len:,} tokens ({tokens_text(plan.max_model_len)}), {why[plan.bound]}"
    yield "fits", _capacity(plan)
    yield "memory", _memory(plan)


def _capacity(plan: Plan) -> str:
    if plan.capacity_tokens is None or plan.max_concurrency is None:
        return "not known: name --memory"
    groups = f" in {len(plan.groups)} groups" if len(plan.groups) > 1 else ""
    return (
        f"{plan.capacity_tokens:,} tokens: {plan.max_concurrency:.2f} requests of {plan.max_model_len:,} at once; "
        f"{plan.num_blocks:,} blocks of {plan.block_size} tokens{groups}"
    )


def _memory(plan: Plan) -> str:
    memory = plan.memory
    about = "about " if memory.is_estimate else ""
    weights = f"weights {about}{bytes_text(memory.weights_bytes)} ({memory.weight_bits:g} bits)"
    if memory.kv_bytes is None:
        return weights
    return f"{weights}, KV cache {bytes_text(memory.kv_bytes)}, for the rest about {bytes_text(memory.reserve_bytes)}"


def _positions(encoding: PositionEncoding) -> str:
    words = _KINDS[encoding.kind]
    if encoding.kind == "rope":
        base = f", base {encoding.rope_theta:,.0f}" if encoding.rope_theta else ""
        scaled = ""
        if encoding.rope_type not in (None, "default"):
            factor = f" ×{encoding.factor:g}" if encoding.factor else ""
            named = encoding.original_tokens if encoding.rope_type not in ("linear", "dynamic") else None
            trained = f" from {named:,} tokens" if named else ""
            scaled = f", scaled by {encoding.rope_type}{factor}{trained}"
        words += base + scaled
    if encoding.nope_layers:
        words += f"; {encoding.nope_layers} layers without positions"
    if encoding.native_tokens is None:
        return f"{words}; no length is named"
    return f"{words}; native window {encoding.native_tokens:,} tokens ({tokens_text(encoding.native_tokens)})"


def _layers(plan: Plan) -> Table:
    table = _table("layers", "heads", "query : KV", "looks back at", "a token, each", "a request, each")
    alike = Counter(replace(layer, index=0, has_rope=False) for layer in plan.attention.layers)
    for layer, count in alike.items():
        table.add_row(
            str(count),
            "" if layer.heads is Heads.NONE else str(layer.heads),
            _heads(layer),
            _reach(layer.reach, layer.window_tokens),
            _token_size(layer.bytes_per_token) if layer.bytes_per_token else "" if layer.state_bytes else "another's",
            bytes_text(layer.state_bytes) if layer.state_bytes else "",
        )
    return table


def _heads(layer: LayerKv) -> str:
    if layer.heads is Heads.NONE:
        return ""
    return f"{layer.query_heads} : {'latent' if layer.heads is Heads.MULTI_HEAD_LATENT else layer.kv_heads}"


def _reach(reach: Reach, window: int | None) -> str:
    if reach is Reach.FULL:
        return "all tokens"
    if window is None:
        return f"a state ({reach})"
    return f"the last {window:,} tokens" if reach is Reach.SLIDING else f"its chunk of {window:,} tokens"


def _comparison(rows: tuple[ComparedAttention, ...]) -> Table:
    table = _table("the same model with", "KV heads", "a token", "tokens that fit", "")
    for row in rows:
        style = "bold" if row.is_this_model else ""
        table.add_row(
            Text(("▸ " if row.is_this_model else "  ") + str(row.heads), style=style),
            "latent" if row.heads is Heads.MULTI_HEAD_LATENT else str(row.kv_heads),
            _token_size(row.bytes_per_token),
            "" if row.tokens_that_fit is None else f"{row.tokens_that_fit:,}",
            Text(row.note, style="dim"),
        )
    return table


def _prefill(plan: Plan) -> Iterable[tuple[str, str]]:
    cost = plan.prefill
    yield (
        "prefill",
        f"{_operations(cost.flops)} for {cost.tokens:,} tokens, {cost.attention_share:.0%} of it attention",
    )
    if cost.score_matrix_bytes:
        yield (
            "scores",
            f"{bytes_text(cost.score_matrix_bytes)} for one layer as a whole matrix; flash attention keeps a tile of "
            f"{bytes_text(cost.flash_tile_bytes)} a head on the chip and {bytes_text(cost.flash_statistics_bytes)} of "
            "row statistics",
        )


def _operations(count: float) -> str:
    return f"{count / 1e15:,.3g} PFLOP" if count >= 1e15 else f"{count / 1e12:,.3g} TFLOP"


def _argument_lines(arguments: tuple[str, ...]) -> list[str]:
    lines: list[str] = []
    for argument in arguments:
        if argument.startswith("--"):
            lines.append(argument)
        else:
            lines[-1] += f" {shlex.quote(argument)}"
    return lines


def _token_size(count: int) -> str:
    """Exact: it is what is multiplied."""
    return f"{count // 1024:,} KiB" if count % 1024 == 0 and count else f"{count:,} B"


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in names:
        right = name in ("layers", "query : KV", "KV heads", "a token", "a token, each", "tokens that fit")
        table.add_column(name, justify="right" if right else "left")
    return table


def _grid(rows: Iterable[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True, min_width=9)
    grid.add_column()
    for name, value in rows:
        grid.add_row(name, Text(value))
    return grid
