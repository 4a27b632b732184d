"""The page in a browser. Skipped, visibly, where no Chromium is found."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from graphreader import GraphReader
from graphreader.view import page_of

from .conftest import TIDES, Put

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)
HOSTILE = "\n\nAda Brandt </script><img src=x onerror=\"document.title='owned'\"> wrote <!-- in Lowick.\n"

pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"needs one of {', '.join(NAMES)}")


def opened(address: str, profile: Path) -> tuple[str, str]:
    """The page's markup after its scripts have run, and what the browser logged."""
    assert BROWSER is not None
    done = subprocess.run(
        [
            *(BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--disable-extensions", "--disable-background-networking", f"--user-data-dir={profile}"),
            *("--enable-logging=stderr", "--virtual-time-budget=1000", "--dump-dom", address),
        ],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    return done.stdout, done.stderr


def test_a_page_opens_at_a_node_and_shows_its_facts(reader: GraphReader, put: Put, tmp_path: Path) -> None:
    put("tides.md", TIDES + HOSTILE)
    shown = reader.neighbourhood("Where was Ada Brandt born?")
    path = tmp_path / "page.html"
    path.write_text(page_of(shown), encoding="utf-8")
    markup, log = opened(f"{path.as_uri()}#ada%20brandt", tmp_path / "profile")
    assert "CONSOLE" not in log
    body = markup.partition('<script id="data"')[0]
    assert body.count("<circle") == len(shown.nodes)
    assert body.count("<line") == len(shown.edges)
    panel = body[body.index('<aside id="panel"') : body.index("</aside>")]
    assert ">Ada Brandt</h2>" in panel
    assert ">Ada Brandt was born in Lowick.</span>" in panel
    assert "&lt;img src=x" in panel
    assert "<img" not in re.sub(r"<script.*?</script>", "", markup, flags=re.DOTALL)
    assert "<title>Where was Ada Brandt born?</title>" in markup
