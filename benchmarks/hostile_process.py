"""Child processes of the command, with their time, peak memory and output."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_POLL_SECONDS = 0.02
_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")
#: prctl's "drop from the bounding set", and the two rights by which root reads and writes what is forbidden.
_PR_CAPBSET_DROP = 24
_OVERRIDES = (1, 2)


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended, or was ended at the limit (``exit_code`` None)."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    exit_code: int | None
    stdout: str
    stderr: str

    @property
    def last_line(self) -> str:
        """The last line on standard error that says something."""
        return next((line.strip() for line in reversed(self.stderr.splitlines()) if line.strip()), "")


@dataclass(slots=True)
class Running:
    """A command on its way."""

    process: subprocess.Popen[bytes]
    output: Path
    started: float
    peak_bytes: int = 0
    cpu_seconds: float = 0.0

    def poll(self) -> int | None:
        """The exit code, once there is one; looks at memory and processor time on the way (on Linux)."""
        try:
            folder = Path(f"/proc/{self.process.pid}")
            if found := _PEAK.search((folder / "status").read_text()):
                self.peak_bytes = max(self.peak_bytes, int(found[1]) * 1024)
            times = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
            self.cpu_seconds = max(self.cpu_seconds, sum(map(int, times)) / os.sysconf("SC_CLK_TCK"))
        except OSError:
            pass
        return self.process.poll()

    def until(self, condition: Callable[[], bool], limit_seconds: float) -> bool:
        """Wait until the condition holds; False where the command or the time ended first."""
        while self.poll() is None and time.monotonic() - self.started < limit_seconds:
            if condition():
                return True
            time.sleep(_POLL_SECONDS)
        return False


def start(arguments: Sequence[str], folder: Path, *, max_file_bytes: int | None = None, **environment: str) -> Running:
    """Start ``graphreader`` with these arguments in ``folder``, without root's right to ignore permissions."""
    return start_python(["-m", "graphreader", *arguments], folder, max_file_bytes=max_file_bytes, **environment)


def start_python(
    arguments: Sequence[str], folder: Path, *, max_file_bytes: int | None = None, **environment: str
) -> Running:
    """The same for any call of Python."""

    def prepare() -> None:
        libc = ctypes.CDLL(None)
        for right in _OVERRIDES:
            libc.prctl(_PR_CAPBSET_DROP, right, 0, 0, 0)
        if max_file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))

    output = folder / f"output-{time.monotonic_ns()}"
    with output.with_suffix(".out").open("wb") as out, output.with_suffix(".err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(_ROOT)} | environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            preexec_fn=prepare,
        )
    return Running(process, output, time.monotonic())


def finish(running: Running, limit_seconds: float) -> Finished:
    """Wait for the end, or end it at the limit."""
    running.until(lambda: False, limit_seconds)
    exit_code = running.poll()
    if exit_code is None:
        running.process.kill()
        running.process.wait()
    return Finished(
        seconds=time.monotonic() - running.started,
        cpu_seconds=running.cpu_seconds,
        peak_bytes=running.peak_bytes,
        exit_code=exit_code,
        stdout=running.output.with_suffix(".out").read_text(encoding="utf-8", errors="replace"),
        stderr=running.output.with_suffix(".err").read_text(encoding="utf-8", errors="replace"),
    )
