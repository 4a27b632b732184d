"""The agent: plan, explorers and answer of GraphReader (arXiv 2406.14550). Only ``workflow`` imports langgraph."""
