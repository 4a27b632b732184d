"""What fits on a device and how to run it, from a model's config.json alone: no weights, no GPU, no vLLM."""

from graphreader.plan.plan import make_plan
from graphreader.plan.records import Plan, PlanRequest

__all__ = ["Plan", "PlanRequest", "make_plan"]
