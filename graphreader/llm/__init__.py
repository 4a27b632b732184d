"""Models: chat models behind the OpenAI protocol, token counting, budgets, embedders."""
