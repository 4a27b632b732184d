"""How busy an engine was, from the metrics of a real HTTP server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from graphreader.evaluate.engine import EngineWatch

METRICS = """# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="m"}} {running}
vllm:num_requests_running{{engine="1",model_name="m"}} 1.0
vllm:num_requests_waiting{{engine="0",model_name="m"}} 40.0
"""


@contextmanager
def metrics_server(running: list[float]) -> Iterator[str]:
    """Its base URL; each request gets the next count of ``running``, at the end the last again and again. A negative
    one is a refusal.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            count = running.pop(0) if len(running) > 1 else running[0]
            data = METRICS.format(running=count).encode() if self.path == "/metrics" and count >= 0 else b""
            self.send_response(200 if data else 404)
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


def test_running_requests_of_all_engines_are_sampled_and_those_that_wait_are_not() -> None:
    with metrics_server([3.0, 5.0, 4.0]) as base_url, EngineWatch(base_url, interval_seconds=0.01) as engine:
        while engine.load is None or engine.load.samples < 3:
            time.sleep(0.005)
    assert engine.load is not None
    assert engine.load.most == 6.0
    assert 4.0 <= engine.load.mean <= 6.0


def test_a_sample_that_is_missed_does_not_end_the_watch() -> None:
    samples = [-1.0, 3.0, -1.0, -1.0, -1.0, -1.0, 5.0]
    with metrics_server(samples) as base_url, EngineWatch(base_url, interval_seconds=0.01) as engine:
        while engine.load is None or engine.load.most < 6.0:
            time.sleep(0.005)
    assert engine.load is not None
    assert engine.load.mean > 4.0


def test_an_endpoint_without_metrics_tells_nothing() -> None:
    for base_url in (None, "http://127.0.0.1:9/v1"):
        with EngineWatch(base_url, interval_seconds=0.01) as engine:
            time.sleep(0.1)
        assert engine.load is None
