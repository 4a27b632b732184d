"""A server with vLLM's routes and no model, run as a process: fake_vllm.py PORT MODEL [FLAG...].

Flags: ``slow`` answers only after a second, ``dies`` ends with code 3 after its start, ``stubborn`` ignores SIGTERM,
``busy`` always has a request under way, ``brittle`` ends with code 3 at every start but its first in this folder. It
starts a child of its own, as vLLM does, and prints its process id. POST /die ends it at once with code 7, as a crash
does.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT, MODEL, FLAGS = int(sys.argv[1]), sys.argv[2], set(sys.argv[3:])
COUNTED = 0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/metrics":
            running = 1.0 if "busy" in FLAGS else 0.0
            self.reply(
                f'vllm:num_requests_running{{engine="0"}} {running}\nvllm:prompt_tokens_total{{engine="0"}} {COUNTED}\n'
                'vllm:cache_config_info{engine="0",kv_cache_max_concurrency="2.5",kv_cache_size_tokens="1280"} 1.0\n'
            )
        elif self.path == "/health":
            self.reply("")
        elif self.headers["Authorization"] != f"Bearer {os.environ['VLLM_API_KEY']}":
            self.send_error(401)
        else:
            adapter = {"id": "an-adapter", "max_model_len": None}
            self.reply(json.dumps({"data": [{"id": MODEL, "max_model_len": 512}, adapter]}))

    def do_POST(self) -> None:
        global COUNTED
        if self.path == "/die":
            os._exit(7)
        COUNTED += 10
        self.reply("{}")

    def reply(self, text: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    if "stubborn" in FLAGS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    say(f"worker {worker.pid} from {os.getpid()}")
    if "dies" in FLAGS or ("brittle" in FLAGS and Path("started").exists()):
        say("RuntimeError: no such weights")
        sys.exit(3)
    Path("started").touch()
    if "slow" in FLAGS:
        time.sleep(1)
    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()


main()
