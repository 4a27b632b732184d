"""Runs compared, as a page for people and as JSON for programs."""

from graphreader.evaluate.report.write import write_report

__all__ = ["write_report"]
