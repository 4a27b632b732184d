"""The first two steps of a run: the rational plan, and the choice of start nodes."""

from __future__ import annotations

from graphreader.agent.context import RunContext, StartNode
from graphreader.agent.schemas import MAX_PLAN_STEPS, NodesReply, PlanReply, nodes_schema, plan_schema
from graphreader.llm.gate import Gate
from memory import clipped, fit
from prompts import render


async def make_plan(gate: Gate, question: str) -> list[str]:
    """What has to be found out, in order; never empty. Raises what ``Gate.ask`` raises."""
    prompt = render("plan", question=question)
    reply = await gate.ask(prompt, PlanReply, plan_schema(), max_tokens=40 * MAX_PLAN_STEPS)
    steps = list(dict.fromkeys(" ".join(step.split()) for step in reply.steps if step.strip()))
    return steps[:MAX_PLAN_STEPS] or [question]


async def choose_nodes(context: RunContext, plan: list[str]) -> list[StartNode]:
    """Up to ``max_explorers`` of the start nodes that search offers, best first.

    The model sees as many as the window holds. What search ranks first is among the start nodes whatever it chooses:
    names are the weak link between a question and a graph (HippoRAG 2, arXiv 2502.14802, table 4).
    """
    offered = context.start_nodes
    if len(offered) <= 1:
        return list(offered)
    most, count = context.limits.max_view_tokens, context.count_tokens()
    lines = [clipped(f"{node.spelling}: {node.sentence}", count, most) for node in offered]
    shown = fit(lines, count, most)
    nodes = lines[:shown]
    prompt = render("choose_nodes", nodes=nodes, question=context.question, plan=plan)
    schema = nodes_schema(shown, context.limits.max_explorers)
    reply = await context.gate.ask(prompt, NodesReply, schema, max_tokens=8 * context.limits.max_explorers + 16)
    chosen = [offered[number - 1] for number in reply.nodes if 1 <= number <= shown]
    return list(dict.fromkeys([offered[0], *chosen]))[: context.limits.max_explorers]
