"""What ``ask`` makes of the settings: which server it takes, and which name it asks for there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fake_server import plan

from graphreader.connect import Connection
from graphreader.serve import server
from graphreader.serve.options import ServeOptions
from graphreader.settings import Settings


def test_an_adapter_answers_where_the_settings_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = tmp_path / "law"
    options = ServeOptions(lora_modules=(("law", str(folder)),), ngram_tokens=3)
    server.ensure_running("tiny", options, plan=plan())
    try:
        serve = {"lora_modules": {"law": str(folder)}, "ngram_tokens": 3}
        assert asked("tiny", serve) == "tiny"
        assert asked("tiny", serve | {"adapter": "law"}) == "law"
    finally:
        server.stop()


def asked(model: str, serve: dict[str, object]) -> str:
    """The name that a question would be sent to; the server that runs must be taken, for no other can start."""

    async def name() -> str:
        connection = Connection(Settings.load(model={"name": model}, serve=serve), None, None, lambda *_: None)
        try:
            return (await connection.model()).name
        finally:
            await connection.close()

    return asyncio.run(name())
