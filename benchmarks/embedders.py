"""Speed of the packaged embedder under several backends, and whether each ranks as fp32 does.

    python -m benchmarks.embedders DATA EXPORTS [--contenders own-bf16 st-onnx-int8 ...] [--windows 64 126 254]
                                   [--rounds 5] [--threads 2] [--tokens 4000] [--passages 1000] [--cold]

``DATA`` is the folder that ``benchmarks.retrieval`` takes; ``EXPORTS`` keeps the converted models. Contenders take
turns in one process, so that their ratios hold on a busy machine; the medians of tokens per second of the clock and of
the CPU are printed, and ratios to the first contender. ``st-onnx`` and ``st-openvino`` need optimum-onnx, nncf,
optimum-intel and a transformers that these support (4.57 at the time of writing): an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.retrieval_sets import hotpotqa, musique
from graphreader.llm.bert import BertEmbedder
from graphreader.llm.embed import DEFAULT_EMBEDDER, packaged_folder
from graphreader.records import Document

Encode: TypeAlias = Callable[[Sequence[str]], NDArray[np.float32]]
_ONNX, _ONNX_INT8 = "onnx/model.onnx", "onnx/model_int8.onnx"
_OPENVINO, _OPENVINO_INT8 = "openvino/openvino_model.xml", "openvino/openvino_model_int8.xml"


def own(*, bfloat16: bool) -> Encode:
    """The program's own reader."""
    return BertEmbedder(_folder(), DEFAULT_EMBEDDER, english_only=True, bfloat16=bfloat16).embed


def general(folder: Path, backend: str = "torch", **model_kwargs: Any) -> Encode:  # noqa: ANN401
    """sentence-transformers."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), backend=backend, device="cpu", model_kwargs=model_kwargs)

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = model.encode(list(texts), batch_size=32, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    return encode


def onnx(exports: Path, file: str) -> Encode:
    """The ONNX export, as it is or with weights in int8 and activations quantised as they come."""
    folder = exports / "onnx"
    if not (folder / _ONNX).is_file():
        _export("onnx", folder)
    if file == _ONNX_INT8 and not (folder / file).is_file():
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(folder / _ONNX, folder / file, weight_type=QuantType.QInt8, per_channel=True)
    return general(folder, "onnx", provider="CPUExecutionProvider", file_name=file)


def openvino(exports: Path, file: str, precision: str, calibration: Sequence[str]) -> Encode:
    """The OpenVINO export, computed in ``precision``; in int8 also activations, scaled by some passages."""
    folder = exports / "openvino"
    if not (folder / _OPENVINO).is_file():
        _export("openvino", folder)
    if file == _OPENVINO_INT8 and not (folder / file).is_file():
        _quantise(folder, calibration)
    return general(folder, "openvino", file_name=file, ov_config={"INFERENCE_PRECISION_HINT": precision})


def _export(backend: str, folder: Path) -> None:
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(str(_folder()), backend=backend, device="cpu").save_pretrained(str(folder))


def _quantise(folder: Path, calibration: Sequence[str]) -> None:
    import nncf
    import openvino as ov
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = ov.Core().read_model(folder / _OPENVINO)
    names = {name for part in model.inputs for name in part.get_names()}
    inputs = [
        {name: value for name, value in tokenizer(text, return_tensors="np", truncation=True).items() if name in names}
        for text in calibration
    ]
    ov.save_model(
        nncf.quantize(model, nncf.Dataset(inputs), model_type=nncf.ModelType.TRANSFORMER), folder / _OPENVINO_INT8
    )


def contenders(exports: Path, calibration: Sequence[str]) -> dict[str, Callable[[], Encode]]:
    """What is compared, by name, each loaded when called."""
    import torch

    return {
        "own-bf16": lambda: own(bfloat16=True),
        "own-fp32": lambda: own(bfloat16=False),
        "st-fp32": lambda: general(_folder()),
        "st-bf16": lambda: general(_folder(), dtype=torch.bfloat16),
        "st-onnx-fp32": lambda: onnx(exports, _ONNX),
        "st-onnx-int8": lambda: onnx(exports, _ONNX_INT8),
        "st-openvino-fp32": lambda: openvino(exports, _OPENVINO, "f32", ()),
        "st-openvino-bf16": lambda: openvino(exports, _OPENVINO, "bf16", ()),
        "st-openvino-int8": lambda: openvino(exports, _OPENVINO_INT8, "f32", calibration),
    }


def windows(documents: Sequence[Document], count: Callable[[str], int], size: int, tokens: int) -> list[str]:
    """Texts of 70% to 100% of ``size`` tokens, ``tokens`` in all."""
    words = " ".join(document.text for document in documents).split()
    generator, texts, at, total = random.Random(0), list[str](), 0, 0
    while total < tokens and at < len(words):
        wanted, end = size * generator.uniform(0.7, 1.0), at + 1
        while end < len(words) and count(" ".join(words[at : end + 4])) <= wanted:
            end += 4
        texts.append(" ".join(words[at:end]))
        total += count(texts[-1])
        at = end
    return texts


def speeds(encodes: dict[str, Encode], texts: Sequence[str], tokens: int, rounds: int) -> list[dict[str, Any]]:
    """Each contender once a round, in changing order; the ratios are medians of the rounds' ratios."""
    names = list(encodes)
    clock: dict[str, list[float]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        encodes[name](texts)
    for number in range(rounds):
        for name in names if number % 2 else reversed(names):
            started, used = time.perf_counter(), time.process_time()
            encodes[name](texts)
            clock[name].append(tokens / (time.perf_counter() - started))
            cpu[name].append(tokens / (time.process_time() - used))
    return [
        {
            "contender": name,
            "tokens_per_second": statistics.median(clock[name]),
            "tokens_per_cpu_second": statistics.median(cpu[name]),
            "ratio": _median_ratio(clock[name], clock[names[0]]),
            "cpu_ratio": _median_ratio(cpu[name], cpu[names[0]]),
        }
        for name in names
    ]


def agreement(encodes: dict[str, Encode], data: Path, passage_count: int) -> list[dict[str, Any]]:
    """How far each ranks the pooled passages as fp32 does, and recall of the gold at 5, by cosine alone."""
    sets = [hotpotqa(data), musique(data)]
    questions = [question for one in sets for question in one.questions]
    gold = frozenset[str]().union(*(question.gold for question in questions))
    documents = [document for one in sets for document in one.documents]
    documents = sorted(documents, key=lambda document: (document.id not in gold, document.id))[:passage_count]
    known = {document.id: place for place, document in enumerate(documents)}
    questions = [question for question in questions if question.gold <= known.keys()]
    cosines = {
        name: encode([question.text for question in questions]) @ encode([item.text for item in documents]).T
        for name, encode in encodes.items()
    }
    reference = cosines.get("own-fp32", next(iter(cosines.values())))
    rows = []
    for name, scores in cosines.items():
        best = np.argsort(-scores, axis=1)
        expected = np.argsort(-reference, axis=1)
        overlap = [len({*a[:10]} & {*b[:10]}) / 10 for a, b in zip(best, expected, strict=True)]
        ranks = np.argsort(best, axis=1), np.argsort(expected, axis=1)
        spearman = [float(np.corrcoef(a, b)[0, 1]) for a, b in zip(*ranks, strict=True)]
        recall = [
            len({known[item] for item in question.gold} & {*row[:5]}) / len(question.gold)
            for question, row in zip(questions, best, strict=True)
        ]
        rows.append(
            {
                "contender": name,
                "passages": len(documents),
                "questions": len(questions),
                "overlap@10": 100 * statistics.mean(overlap),
                "spearman": statistics.mean(spearman),
                "recall@5": 100 * statistics.mean(recall),
            }
        )
    return rows


def cold(exports: Path, name: str) -> dict[str, Any]:
    """A process of its own: seconds to the vector of one question, then the peak of memory after 256 passages."""
    program = (
        "import json, time; started = time.perf_counter(); from pathlib import Path;"
        "from benchmarks import embedders;"
        f"encode = embedders.contenders(Path({str(exports)!r}), ())[{name!r}](); encode(['Who built the mill?']);"
        "seconds = time.perf_counter() - started; used = time.process_time();"
        "encode(['The tide mill was built by a miller who came from the north. ' * 8] * 256);"
        # Not getrusage: there a child begins with the peak of its parent.
        "peak = next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM'));"
        "print(json.dumps([seconds, used, peak / 1024]))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    seconds, used, peak = json.loads(done.stdout.splitlines()[-1])
    return {"contender": name, "cold_seconds": seconds, "cold_cpu_seconds": used, "peak_mib": peak}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is named on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.embedders", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("exports", type=Path)
    parser.add_argument("--contenders", nargs="+")
    parser.add_argument("--windows", nargs="*", type=int, default=[64, 126, 254])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of torch alone")
    parser.add_argument("--tokens", type=int, default=4000, help="in each round")
    parser.add_argument("--passages", type=int, default=1000, help="ranked for the agreement; 0: none")
    parser.add_argument("--cold", action="store_true")
    options = parser.parse_args(arguments)
    documents = musique(options.data).documents
    makers = contenders(options.exports, [document.text for document in documents[-100:]])
    names = options.contenders or list(makers)
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    encodes = {name: makers[name]() for name in names}  # makes the exports that are missing
    rows: list[dict[str, Any]] = [cold(options.exports, name) for name in names] if options.cold else []
    _show(rows)
    count = _counter()
    for size in options.windows:
        texts = windows(documents, count, size, options.tokens)
        found = speeds(encodes, texts, sum(map(count, texts)), options.rounds)
        rows += _show([{"window": size, **row} for row in found])
    if options.passages:
        rows += _show(agreement(encodes, options.data, options.passages))
    _print_line(f"peak memory of all together: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    _print_line(json.dumps({"rows": rows}))
    return 0


def _folder() -> Path:
    folder = packaged_folder(DEFAULT_EMBEDDER)
    if folder is None:
        raise SystemExit(f"No package ships {DEFAULT_EMBEDDER}.")
    return folder


def _counter() -> Callable[[str], int]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return lambda text: len(tokenizer.encode(text).ids)


def _median_ratio(values: Sequence[float], others: Sequence[float]) -> float:
    return statistics.median(value / other for value, other in zip(values, others, strict=True))


def _show(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for number, row in enumerate(rows):
        if number == 0:
            _print_line("".join(f"{name:>22}" for name in row))
        _print_line(
            "".join(f"{value:>22.3f}" if isinstance(value, float) else f"{value:>22}" for value in row.values())
        )
    return rows


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
