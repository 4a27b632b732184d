from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx2
import pytest

from graphreader.errors import ContextTooLongError, ModelRefusedError, ModelTimeoutError, ModelUnreachableError
from graphreader.llm.client import OpenAIChatModel, served_context_tokens
from graphreader.llm.protocol import Message
from graphreader.llm.tokens import ByteTokenCounter
from graphreader.settings import ModelSettings

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
Handler = Callable[[httpx2.Request], httpx2.Response]


def completion(text: str = '{"x": 1}', finish_reason: str = "stop", cached: int | None = 7) -> dict[str, object]:
    details = None if cached is None else {"cached_tokens": cached}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text}},
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13, "prompt_tokens_details": details},
    }


def model(handler: Handler, retries: int = 0, **settings_of_test: object) -> OpenAIChatModel:
    settings = ModelSettings.model_validate({"retries": retries, "timeout_seconds": 5, **settings_of_test})
    return OpenAIChatModel(
        settings,
        ByteTokenCounter(),
        name="m",
        base_url="http://server.test/v1",
        api_key="secret-key",
        context_tokens=1000,
        transport=httpx2.MockTransport(handler),
    )


MESSAGES = [Message("system", "rules"), Message("user", "question")]


async def test_sends_the_schema_and_returns_the_cost() -> None:
    seen: dict[str, object] = {}

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.update(json.loads(request.content), authorization=request.headers["authorization"])
        return httpx2.Response(200, json=completion())

    reply = await model(handler).complete(MESSAGES, schema=SCHEMA, max_tokens=50)
    assert (reply.text, reply.prompt_tokens, reply.cached_tokens, reply.completion_tokens) == ('{"x": 1}', 10, 7, 3)
    assert not reply.truncated
    assert seen["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "reply", "schema": SCHEMA, "strict": True},
    }
    assert seen["max_tokens"] == 50
    assert seen["temperature"] == 0.0
    assert seen["messages"] == [{"role": "system", "content": "rules"}, {"role": "user", "content": "question"}]
    assert seen["authorization"] == "Bearer secret-key"


@pytest.mark.parametrize(("settings", "salt"), [({}, None), ({"cache_salt": "tenant-7"}, "tenant-7")])
async def test_the_tenants_salt_is_sent_where_it_is_set(settings: dict[str, object], salt: str | None) -> None:
    seen: dict[str, object] = {}

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.update(json.loads(request.content))
        return httpx2.Response(200, json=completion())

    await model(handler, **settings).complete(MESSAGES, schema=SCHEMA, max_tokens=50)
    assert seen.get("cache_salt") == salt


async def test_a_reply_that_was_cut_says_so_and_details_may_be_missing() -> None:
    reply = await model(lambda _: httpx2.Response(200, json=completion("{", "length", None))).complete(
        MESSAGES, schema=SCHEMA, max_tokens=1
    )
    assert reply.truncated
    assert reply.cached_tokens == 0


@pytest.mark.parametrize(
    ("status", "word"), [(401, "model.api_key"), (404, "model.name"), (429, "concurrency"), (500, "log")]
)
async def test_a_refusal_names_the_endpoint_and_the_mend_but_never_the_key(status: int, word: str) -> None:
    failing = model(lambda _: httpx2.Response(status, json={"error": {"message": "no"}}))
    with pytest.raises(ModelRefusedError, match=word) as caught:
        await failing.complete(MESSAGES, schema=SCHEMA, max_tokens=5)
    assert "server.test" in str(caught.value)
    assert "secret-key" not in str(caught.value)


async def test_a_prompt_the_server_finds_too_long() -> None:
    message = "This model's maximum context length is 1000 tokens. However, you requested 2000 tokens."
    failing = model(lambda _: httpx2.Response(400, json={"error": {"message": message}}))
    with pytest.raises(ContextTooLongError):
        await failing.complete(MESSAGES, schema=SCHEMA, max_tokens=5)


async def test_nobody_there() -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("connection refused", request=request)

    with pytest.raises(ModelUnreachableError, match=r"http://server\.test/v1"):
        await model(handler).complete(MESSAGES, schema=SCHEMA, max_tokens=5)


async def test_a_time_out_names_the_setting() -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout("slow", request=request)

    with pytest.raises(ModelTimeoutError, match=r"model\.timeout_seconds"):
        await model(handler).complete(MESSAGES, schema=SCHEMA, max_tokens=5)


async def test_retries_are_bounded_and_a_passing_fault_passes() -> None:
    calls = 0

    def handler(_: httpx2.Request) -> httpx2.Response:
        nonlocal calls
        calls += 1
        return (
            httpx2.Response(503, headers={"retry-after-ms": "1"})
            if calls < 3
            else httpx2.Response(200, json=completion())
        )

    reply = await model(handler, retries=2).complete(MESSAGES, schema=SCHEMA, max_tokens=5)
    assert reply.text
    assert calls == 3
    calls = -10
    with pytest.raises(ModelRefusedError):
        await model(handler, retries=1).complete(MESSAGES, schema=SCHEMA, max_tokens=5)
    assert calls == -8


CHOICE = {"type": "object", "properties": {"said": {"type": "string", "enum": ["yes", "no"]}}, "required": ["said"]}


def weighed_completion() -> dict[str, object]:
    def token(text: str, **likeliest: float) -> dict[str, object]:
        top = [{"token": name, "logprob": logprob, "bytes": None} for name, logprob in likeliest.items()]
        return {"token": text, "logprob": -0.1, "bytes": None, "top_logprobs": top}

    body: dict[str, Any] = completion('{"said":"yes"}')
    tokens = [token('{"said":"'), token("yes", yes=math.log(0.6), no=math.log(0.3)), token('"}')]
    body["choices"][0]["logprobs"] = {"content": tokens, "refusal": None}
    return body


async def test_a_choice_is_weighed_where_it_was_asked_for() -> None:
    seen: list[dict[str, object]] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(json.loads(request.content))
        return httpx2.Response(200, json=weighed_completion())

    asked = model(handler)
    reply = await asked.complete(MESSAGES, schema=CHOICE, max_tokens=9, weigh="said")
    assert reply.weights == pytest.approx({"yes": 2 / 3, "no": 1 / 3})
    assert (await asked.complete(MESSAGES, schema=CHOICE, max_tokens=9)).weights == {}
    assert [request.get("logprobs") for request in seen] == [True, None]


async def test_an_endpoint_that_tells_no_probabilities_is_asked_without_them() -> None:
    seen: list[bool] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        asked = "logprobs" in json.loads(request.content)
        seen.append(asked)
        refusal = {"error": {"message": "logprobs are not supported with this model"}}
        return httpx2.Response(400, json=refusal) if asked else httpx2.Response(200, json=completion('{"said":"no"}'))

    asked = model(handler)
    for _ in range(2):
        reply = await asked.complete(MESSAGES, schema=CHOICE, max_tokens=9, weigh="said")
        assert (reply.text, reply.weights) == ('{"said":"no"}', {})
    assert seen == [True, False, False]


ONE_OF_TWO = {"anyOf": [SCHEMA, {**SCHEMA, "description": "another"}]}


def events(*pieces: str, usage: bool = True) -> httpx2.Response:
    """A reply that streams in."""
    common = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks: list[dict[str, object]] = [
        common | {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]} for piece in pieces
    ]
    chunks.append(common | {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})
    if usage:
        spent = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        chunks.append(common | {"choices": [], "usage": spent})
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    return httpx2.Response(200, content=body.encode(), headers={"content-type": "text/event-stream"})


async def test_a_reply_is_told_of_as_it_streams_in() -> None:
    told: list[str] = []
    streaming = model(lambda _: events('{"a": ', '"鲸"}'))
    reply = await streaming.stream(MESSAGES, schema=SCHEMA, max_tokens=5, on_text=told.append)
    assert told == ['{"a": ', '"鲸"}']
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens) == ('{"a": "鲸"}', 7, 3)
    assert reply.truncated
    silent = await model(lambda _: events("x", usage=False)).stream(
        MESSAGES, schema=SCHEMA, max_tokens=5, on_text=told.append
    )
    assert silent.prompt_tokens == 0


async def test_a_stream_that_breaks_off_is_a_model_error() -> None:
    class Broken(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b'data: {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []}\n\n'
            raise httpx2.ReadError("reset by peer")

    headers = {"content-type": "text/event-stream"}
    for answer in (
        lambda _: httpx2.Response(200, stream=Broken(), headers=headers),
        lambda _: httpx2.Response(200, content=b'data: {"error": {"message": "out of memory"}}\n\n', headers=headers),
    ):
        with pytest.raises(ModelUnreachableError, match=r"broke off|reset by peer"):
            await model(answer).stream(MESSAGES, schema=SCHEMA, max_tokens=5, on_text=lambda _: None)


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_endpoint_that_takes_no_choice_gets_it_within_an_object(streamed: bool) -> None:
    asked: list[dict[str, object]] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        asked.append(body["response_format"]["json_schema"]["schema"])
        if "anyOf" in asked[-1]:
            return httpx2.Response(400, json={"error": {"message": "Invalid schema: must be of type object"}})
        text = '{"reply": {"a": "鲸"}}'
        return events(text) if streamed else httpx2.Response(200, json=completion(text))

    picky = model(handler)
    for _ in range(2):
        if streamed:
            reply = await picky.stream(MESSAGES, schema=ONE_OF_TWO, max_tokens=5, on_text=lambda _: None)
        else:
            reply = await picky.complete(MESSAGES, schema=ONE_OF_TWO, max_tokens=5)
        assert json.loads(reply.text) == {"a": "鲸"}
    assert ["anyOf" in schema for schema in asked] == [True, False, False]
    assert asked[1]["properties"] == {"reply": ONE_OF_TWO}


async def test_a_choice_is_sent_as_it_is_where_it_is_taken_and_other_refusals_are_told() -> None:
    seen: list[object] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(json.loads(request.content)["response_format"]["json_schema"]["schema"])
        return httpx2.Response(200, json=completion("{}"))

    await model(handler).complete(MESSAGES, schema=ONE_OF_TWO, max_tokens=5)
    assert seen == [ONE_OF_TWO]
    refusing = model(lambda _: httpx2.Response(400, json={"error": {"message": "no such model"}}))
    with pytest.raises(ModelRefusedError, match="no such model"):
        await refusing.complete(MESSAGES, schema=ONE_OF_TWO, max_tokens=5)


@contextmanager
def listing(body: bytes) -> Iterator[tuple[str, list[str | None]]]:
    """An endpoint that lists its models with ``body``: its base URL, and the keys it is sent."""
    keys: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers["Authorization"])
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", keys
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(("key", "sent"), [("secret", "Bearer secret"), ("", None)])
async def test_the_window_is_asked_with_the_key_where_there_is_one(key: str, sent: str | None) -> None:
    body = json.dumps({"data": [{"id": "m", "max_model_len": 4321}]}).encode()
    with listing(body) as (base_url, keys):
        assert await served_context_tokens(base_url, key, "m") == 4321
    assert keys == [sent]


@pytest.mark.parametrize("body", [b"<!doctype html>", b"[1]", b'{"data": ["m"]}'])
async def test_what_lists_no_models_is_no_endpoint(body: bytes) -> None:
    with listing(body) as (base_url, _), pytest.raises(ModelRefusedError, match=r"model\.base_url right"):
        await served_context_tokens(base_url, "", "m")
