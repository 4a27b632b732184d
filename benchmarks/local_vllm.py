"""A vLLM of the benchmark's own, started as the product starts it, and what its processes use.

The user's server is left alone. Processes are read from /proc: on other systems than Linux their processor time and
memory are not told (zeros).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from graphreader.serve import hardware, server, state
from graphreader.serve.launch import Endpoint, Launch, OnProgress, plan_vllm
from graphreader.serve.options import ServeOptions
from graphreader.serve.state import ServerPaths

_START_SECONDS = 1800.0
#: For a benchmark that was killed: nobody else would end its server.
_IDLE_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers. ``ready_seconds``: from the command until it answers. ``pid``: its parent's."""

    endpoint: Endpoint
    pid: int
    ready_seconds: float
    log: Path


@contextmanager
def serving(
    model: str, options: ServeOptions, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A server while inside, with its files in ``folder`` and ``environment`` on top of the product's own.

    Raises ``ServeError``, ``PlanError`` and ``WeightsError`` as ``server.ensure_running``.
    """

    def plan(name: str, wished: ServeOptions, cache: Path | None, on_progress: OnProgress | None) -> Launch:
        launch = plan_vllm(name, wished, cache, on_progress)
        return replace(launch, environment={**launch.environment, **(environment or {})})

    plan_vllm(model, options, None, None)  # converts the weights, if that is still to do, before the clock runs
    paths = ServerPaths(folder.resolve())
    server.stop(paths)  # of a run that was killed
    started = time.monotonic()
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is in finally is done
    try:
        endpoint = server.ensure_running(
            model,
            options,
            paths=paths,
            plan=plan,
            idle_timeout_seconds=_IDLE_SECONDS,
            start_timeout_seconds=_START_SECONDS,
        )
        found = state.load(paths.state)
        yield Server(endpoint, found.pid if found else 0, time.monotonic() - started, paths.log)
    finally:
        server.stop(paths)
        signal.signal(signal.SIGTERM, before)


def engine_environment() -> dict[str, str]:
    """For a child process that holds the engine itself: threads and OpenMP as the product's server has them."""
    machine = hardware.detect()
    made = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONWARNINGS", "VLLM_CPU_KVCACHE_SPACE")
    }
    made |= {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_LOGGING_STREAM": "ext://sys.stderr",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    made.setdefault("VLLM_CPU_OMP_THREADS_BIND", machine.thread_binding)
    if machine.openmp_library is not None and "libiomp5" not in made.get("LD_PRELOAD", ""):
        made["LD_PRELOAD"] = ":".join(filter(None, [str(machine.openmp_library), made.get("LD_PRELOAD", "")]))
    return made


def family(pid: int) -> list[int]:
    """A process and all that descend from it, as far as they live."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if fields := _stat(int(entry.name)):
            parents[int(entry.name)] = int(fields[1])
    found, frontier = [], {pid} & parents.keys()
    while frontier:
        found += sorted(frontier)
        frontier = {child for child, parent in parents.items() if parent in frontier}
    return found


def cpu_seconds(pids: list[int]) -> float:
    """Processor time that these processes have used, all threads, system calls included."""
    ticks = os.sysconf("SC_CLK_TCK")
    stats = [_stat(pid) for pid in pids]
    return sum((int(fields[11]) + int(fields[12])) / ticks for fields in stats if fields)


def peak_bytes(pids: list[int]) -> int:
    """The sum of each process's largest resident set. Pages that two of them share are counted twice."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return total


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the state on (behind the name, which may hold anything)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()
