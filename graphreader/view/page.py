"""The page: a template with its styles, its scripts and the neighbourhood as JSON inside. Nothing comes from elsewhere.

Text of documents enters as JSON only (and as the escaped title), and the scripts write it as text only, so that markup
in a document stays text. The page's own policy forbids everything but the scripts and the style it came with.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib.resources import files
from typing import Any

from graphreader.view.excerpts import Excerpt
from graphreader.view.layout import places_of
from graphreader.view.neighbourhood import Neighbourhood, ShownNode

_SCRIPTS = ("graph.js", "page.js")
#: What could end the script element, or start a comment in it, is written as an escape of JSON.
_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def page_of(neighbourhood: Neighbourhood) -> str:
    """The neighbourhood as an HTML page of its own, for any browser of 2023 or later."""
    scripts = [_asset(name) for name in _SCRIPTS]
    style = _asset("page.css")
    parts = {
        "title": html.escape(neighbourhood.title),
        "style": style,
        "style_hash": _hash(style),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
        "script_hashes": " ".join(f"'sha256-{_hash(script)}'" for script in scripts),
        "data": json.dumps(_data(neighbourhood), ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES),
    }
    head, *rest = _asset("page.html").split("{{")
    return head + "".join(parts[name] + text for name, text in (piece.split("}}", 1) for piece in rest))


def _asset(name: str) -> str:
    return (files("graphreader.view") / "assets" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _data(neighbourhood: Neighbourhood) -> dict[str, Any]:
    """What the scripts read: nodes and facts are referred to by their place in the lists."""
    node_number = {node.name: number for number, node in enumerate(neighbourhood.nodes)}
    fact_number = {name: number for number, name in enumerate(neighbourhood.facts)}
    places = places_of(list(node_number), [(edge.one, edge.other, edge.shared) for edge in neighbourhood.edges])

    def node_data(node: ShownNode) -> dict[str, Any]:
        place = places[node.name]
        return {
            "name": node.name,
            "spellings": node.spellings or (node.name,),
            "count": node.fact_count,
            "reached": node.reached,
            "group": place.group,
            "x": place.x,
            "y": place.y,
            "facts": [fact_number[name] for name in node.facts],
        }

    return {
        "question": neighbourhood.question,
        "leftOut": neighbourhood.left_out,
        "warnings": neighbourhood.warnings,
        "nodes": [node_data(node) for node in neighbourhood.nodes],
        "edges": [
            {
                "ends": (node_number[edge.one], node_number[edge.other]),
                "shared": edge.shared,
                "facts": [fact_number[name] for name in edge.facts],
            }
            for edge in neighbourhood.edges
        ],
        "found": [fact_number[name] for name in neighbourhood.found],
        "facts": [
            {
                "text": fact.text,
                "elements": [node_number[name] for name in fact.key_elements if name in node_number],
                "excerpt": fact.excerpt,
                "start": fact.start,
                "end": fact.end,
                "page": fact.page,
                "heading": fact.heading,
            }
            for fact in neighbourhood.facts.values()
        ],
        "excerpts": [_excerpt_data(excerpt) for excerpt in neighbourhood.excerpts],
    }


def _excerpt_data(excerpt: Excerpt) -> dict[str, Any]:
    return {
        "document": excerpt.document,
        "start": excerpt.start,
        "text": excerpt.text,
        "begins": excerpt.start == 0,
        "ends": excerpt.end == excerpt.length,
    }
