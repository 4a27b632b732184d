"""The server's life and what the product relies on, on a real vLLM."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from graphreader.serve import probe, server
from graphreader.serve.server import Endpoint, ServerPaths

SCHEMA = {
    "type": "object",
    "properties": {"capital": {"enum": ["Paris", "Rome"]}, "number": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["capital", "number"],
    "additionalProperties": False,
}


def chat(endpoint: Endpoint, content: str, **more: object) -> dict[str, Any]:
    body = {
        "model": endpoint.model,
        "messages": [{"role": "user", "content": content}],
        "temperature": 0,
        "max_tokens": 80,
        **more,
    }
    request = urllib.request.Request(
        f"{endpoint.base_url}/chat/completions",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {endpoint.api_key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=300) as response:
        return dict(json.load(response))


def test_a_reply_in_the_form_of_a_schema(endpoint: Endpoint) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "reply", "schema": SCHEMA}}
    (choice,) = chat(endpoint, "What is the capital of France? And a number.", response_format=form)["choices"]
    reply = json.loads(choice["message"]["content"])
    assert choice["finish_reason"] == "stop"
    assert reply["capital"] in {"Paris", "Rome"}
    assert reply["number"] in range(10)
    assert "\n" not in choice["message"]["content"]


def test_a_reply_ends_at_the_end_of_the_turn(endpoint: Endpoint) -> None:
    (choice,) = chat(endpoint, "Say hello.", max_tokens=400)["choices"]
    assert choice["finish_reason"] == "stop"
    assert "<|im_" not in choice["message"]["content"]


def test_a_prompt_seen_before_is_cached(endpoint: Endpoint) -> None:
    prompt = "The river runs past the mill and the old bridge. " * 30
    first = chat(endpoint, prompt + "Where is it?", max_tokens=1)["usage"]
    second = chat(endpoint, prompt + "What runs?", max_tokens=1)["usage"]
    reused = second["prompt_tokens_details"]["cached_tokens"]
    assert first["prompt_tokens"] > 300
    assert second["prompt_tokens"] - reused < 64  # blocks of 32 tokens


def test_the_tokenizer_file_counts_as_the_server_does(endpoint: Endpoint) -> None:
    from tokenizers import Tokenizer

    from graphreader.serve import weights

    file = weights.tokenizer_file(endpoint.model)
    assert file is not None
    text = "Zürich paid 4,512.50 for 北京 in 1887."
    request = urllib.request.Request(
        endpoint.base_url.removesuffix("/v1") + "/tokenize",
        json.dumps({"model": endpoint.model, "prompt": text, "add_special_tokens": False}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        assert (
            json.load(response)["tokens"] == Tokenizer.from_file(str(file)).encode(text, add_special_tokens=False).ids
        )


def test_without_the_key_there_is_no_answer(endpoint: Endpoint) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{endpoint.base_url}/models", timeout=30)
    assert caught.value.code == 401
    caught.value.close()


def test_the_next_command_finds_it(endpoint: Endpoint, server_paths: ServerPaths) -> None:
    script = (
        "import sys; from pathlib import Path; from graphreader.serve import server\n"
        "print(server.running(server.ServerPaths(Path(sys.argv[1]))).base_url)"
    )
    root = str(Path(server.__file__).parents[2])
    found = subprocess.run(
        [sys.executable, "-c", script, str(server_paths.folder)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert found.stdout.strip() == endpoint.base_url


def test_activity_is_seen(endpoint: Endpoint) -> None:
    before = probe.activity(endpoint.base_url)
    chat(endpoint, "Count to three.", max_tokens=3)
    after = probe.activity(endpoint.base_url)
    assert before is not None
    assert after is not None
    assert after.counted > before.counted
