"""The local model: its weights, and a vLLM that serves them as a child process. Nothing here imports vLLM or torch."""
