"""A server with vLLM's routes and no model, run as a process: fake_vllm.py PORT MODEL [FLAG...].

Flags: ``slow`` answers only after a second, ``dies`` ends with code 3 after its start, ``stubborn`` ignores SIGTERM,
``busy`` always has a request under way. It starts a child of its own, as vLLM does, and prints its process id.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, MODEL, FLAGS = int(sys.argv[1]), sys.argv[2], set(sys.argv[3:])
COUNTED = 0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/metrics":
            running = 1.0 if "busy" in FLAGS else 0.0
            self.reply(
                f'vllm:num_requests_running{{engine="0"}} {running}\nvllm:prompt_tokens_total{{engine="0"}} {COUNTED}\n'
            )
        elif self.path == "/health":
            self.reply("")
        elif self.headers["Authorization"] != f"Bearer {os.environ['VLLM_API_KEY']}":
            self.send_error(401)
        else:
            self.reply(json.dumps({"data": [{"id": MODEL, "max_model_len": 512}]}))

    def do_POST(self) -> None:
        global COUNTED
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
    if "dies" in FLAGS:
        say("RuntimeError: no such weights")
        sys.exit(3)
    if "slow" in FLAGS:
        time.sleep(1)
    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()


main()
