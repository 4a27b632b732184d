"""What the machine has that decides how vLLM is started. Reads files of the operating system; starts nothing."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

#: Above this number of physical cores vLLM's own binding is better: it leaves one core to its scheduler.
_MAX_CORES_BOUND_BY_US = 4


@dataclass(frozen=True, slots=True)
class Hardware:
    """What decides vLLM's command line.

    ``core_ids``: one logical CPU for each physical core this process may use. ``openmp_library``: Intel's libiomp5
    where it is installed beside this Python.
    """

    uses_gpu: bool
    core_ids: tuple[int, ...]
    openmp_library: Path | None = None

    @property
    def thread_binding(self) -> str:
        """VLLM_CPU_OMP_THREADS_BIND: on few cores, compute on all of them; else as vLLM sees fit."""
        if not 0 < len(self.core_ids) <= _MAX_CORES_BOUND_BY_US:
            return "auto"
        return ",".join(str(core) for core in self.core_ids)


def detect() -> Hardware:
    """The machine we are on."""
    library = Path(sys.prefix) / "lib" / "libiomp5.so"
    return Hardware(
        uses_gpu=has_gpu() and not is_installed("vllm-cpu"),
        core_ids=physical_cores(_usable_cpus(), Path("/sys/devices/system/cpu")),
        openmp_library=library if library.is_file() else None,
    )


def has_gpu() -> bool:
    """Whether an NVIDIA driver is here."""
    return Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi") is not None


def is_installed(distribution: str) -> bool:
    """Whether a distribution is installed; it is not imported."""
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def physical_cores(cpus: list[int], system_folder: Path) -> tuple[int, ...]:
    """The first of ``cpus`` on each physical core, as ``system_folder`` (sysfs) tells; all where it does not."""
    chosen: dict[str, int] = {}
    for cpu in cpus:
        try:
            siblings = (system_folder / f"cpu{cpu}/topology/thread_siblings_list").read_text().strip()
        except OSError:
            siblings = str(cpu)
        chosen.setdefault(siblings, cpu)
    return tuple(chosen.values())


def cpu_flags() -> frozenset[str]:
    """The processor's abilities that change how vLLM lays out its cache; none where the system does not say."""
    try:
        words = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return frozenset()
    return frozenset(words & {"amx_tile", "avx512_bf16"})


def memory_gib() -> tuple[float, float]:
    """(total, available) memory in GiB; zeros where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return kib.get("MemTotal", 0) / 2**20, kib.get("MemAvailable", 0) / 2**20


def _usable_cpus() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
