"""The graph around a question or a document as one self-contained page for people."""

from __future__ import annotations

from graphreader.view.neighbourhood import Neighbourhood, around_question, most_connected
from graphreader.view.page import page_of

__all__ = ["Neighbourhood", "around_question", "most_connected", "page_of"]
