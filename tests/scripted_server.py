"""A real HTTP server that speaks the OpenAI protocol and answers from a script: for tests of whole commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from fakes import Script, step_of

KEY = "test-key-that-must-not-leak"


@contextmanager
def scripted_server(
    script: Script, steps: list[str] | None = None, requests: list[dict[str, Any]] | None = None
) -> Iterator[str]:
    """Its base URL while it runs. ``steps`` collects which step each request was for, ``requests`` their bodies.

    Like vLLM it counts as cached what a prompt shares with the beginning of an earlier one of the same salt.
    """
    seen: list[tuple[str | None, list[str]]] = []

    def usage_of(request: dict[str, Any]) -> dict[str, Any]:
        words = "\n".join(message["content"] for message in request["messages"]).split(" ")
        salt = request.get("cache_salt")
        cached = max((_shared(words, earlier) for key, earlier in seen if key == salt), default=0)
        seen.append((salt, words))
        details = {"cached_tokens": cached}
        return {"prompt_tokens": len(words), "completion_tokens": 5, "total_tokens": len(words) + 5} | {
            "prompt_tokens_details": details
        }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send({"data": [{"id": "scripted", "max_model_len": 16384}]})

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.headers["Authorization"] != f"Bearer {KEY}":
                self._send({"error": {"message": "bad key"}}, 401)
                return
            schema = request["response_format"]["json_schema"]["schema"]
            if steps is not None:
                steps.append(step_of(schema))
            if requests is not None:
                requests.append(request)
            value = script(request["messages"][-1]["content"], schema)
            text = value if isinstance(value, str) else json.dumps(value)
            if request.get("stream"):
                _stream(self, text, usage_of(request))
                return
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            body = {"id": "1", "object": "chat.completion", "created": 1, "model": "scripted", "choices": [choice]}
            self._send(body | {"usage": usage_of(request)})

        def _send(self, body: dict[str, Any], status: int = 200) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _stream(handler: BaseHTTPRequestHandler, text: str, usage: dict[str, Any]) -> None:
    """Send a reply as server-sent events of a few characters each."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.end_headers()
    choices: list[list[dict[str, Any]]] = [
        [{"index": 0, "delta": {"content": text[start : start + 7]}, "finish_reason": None}]
        for start in range(0, len(text), 7)
    ]
    choices += [[{"index": 0, "delta": {}, "finish_reason": "stop"}], []]
    for choice in choices:
        body = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "scripted", "choices": choice}
        handler.wfile.write(f"data: {json.dumps(body if choice else body | {'usage': usage})}\n\n".encode())
        handler.wfile.flush()
    handler.wfile.write(b"data: [DONE]\n\n")


def _shared(words: list[str], earlier: list[str]) -> int:
    """How many of the first words are the same."""
    return next(
        (place for place, (one, other) in enumerate(zip(words, earlier, strict=False)) if one != other),
        min(len(words), len(earlier)),
    )
