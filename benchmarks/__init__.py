"""Commands behind every number in the README and in docs/; run them as modules: ``python -m benchmarks.NAME``."""
