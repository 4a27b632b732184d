"""Datasets by their published formats, told by their fields and not by the names of their files."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from graphreader.errors import DatasetError
from graphreader.evaluate.cases import Dataset
from graphreader.evaluate.datasets import (
    fairytaleqa,
    generated,
    hotpotqa,
    leval,
    locomo,
    longbench,
    musique,
    narrativeqa,
    paged,
    questions,
    squad,
)
from graphreader.evaluate.datasets.rows import Row, read_rows

__all__ = ["load_dataset"]


@dataclass(frozen=True, slots=True)
class Format:
    """A published format: what its rows are known by, how they are read, whether one corpus of all makes sense."""

    name: str
    fields: str
    recognises: Callable[[Row], bool]
    read: Callable[[list[Row]], Dataset]
    pools: bool = False


#: In the order they are tried: the plainest last.
FORMATS = (
    Format("HotpotQA, 2WikiMultiHopQA", "context, supporting_facts", hotpotqa.recognises, hotpotqa.read, pools=True),
    Format("MuSiQue", "paragraphs, answer", musique.recognises, musique.read, pools=True),
    Format("LongBench v2", "choice_A ... choice_D, context", longbench.recognises_choices, longbench.read_choices),
    Format("LongBench v1, LV-Eval", "input, context, answers", longbench.recognises, longbench.read),
    Format("L-Eval", "instructions, outputs, input", leval.recognises, leval.read),
    Format("NarrativeQA", "document_id, answer1 or document.text", narrativeqa.recognises, narrativeqa.read),
    Format("FairytaleQA", "story, gold_sections or cor_section", fairytaleqa.recognises, fairytaleqa.read),
    Format(
        "FinanceBench",
        "financebench_id, doc_name, evidence",
        paged.recognises_financebench,
        paged.read_financebench,
        pools=True,
    ),
    Format(
        "MMLongBench-Doc", "doc_id, evidence_pages", paged.recognises_mmlongbench, paged.read_mmlongbench, pools=True
    ),
    Format("LoCoMo", "conversation, qa", locomo.recognises, locomo.read),
    Format("SQuAD, CMRC 2018, XQuAD", "data[].paragraphs[].qas[]", squad.recognises, squad.read, pools=True),
    Format("questions of your own", "question, answer", questions.recognises, questions.read, pools=True),
)


def load_dataset(
    path_or_spec: str | Path, *, pooled: bool | None = None, limit: int | None = None, seed: int = 0
) -> Dataset:
    """A dataset from its file or folder, or a generated one by its name (``needle:words=16k,n=20``).

    ``pooled`` asks each question of all the documents of the dataset, those of questions that ``limit`` leaves out
    included; otherwise it is asked of its own, as published. A question without an answer in its own is left out of the
    pool where another one in the same words has an answer (MuSiQue-Full): among all documents that is its answer, too.
    ``limit`` takes that many questions, drawn with ``seed`` and kept in the order of the file: the same seed with a
    larger limit takes the same questions and more.

    Raises ``DatasetError``: for an unknown format, listing what was looked for; for a malformed row, with file, line
    and field; where ``pooled`` makes no sense, as for questions that do not say which text they are about.
    """
    name = str(path_or_spec)
    if generated.is_spec(name) and not Path(name).exists():
        _refuse_pooled(name, "generated datasets", pooled)
        dataset = generated.generate(name, seed)
    else:
        rows = [row for file in _files(Path(path_or_spec)) for row in read_rows(file)]
        known = _recognised(name, rows)
        if not known.pools:
            _refuse_pooled(name, known.name, pooled)
        dataset = known.read(rows)
    _check_ids(name, dataset)
    return drawn(_pooled(dataset) if pooled else dataset, limit, seed)


def _refuse_pooled(name: str, kind: str, pooled: bool | None) -> None:
    if pooled:
        can = "; ".join(known.name for known in FORMATS if known.pools)
        problem = f"{kind} cannot be pooled: the questions do not say which text they are about"
        raise DatasetError(name, problem, f"Leave pooled out. It is for {can}.")


def _pooled(dataset: Dataset) -> Dataset:
    answered = {case.question for case in dataset.cases if case.answerable}
    everything = tuple(dataset.documents)
    cases = (case for case in dataset.cases if case.answerable or case.question not in answered)
    return replace(dataset, cases=tuple(replace(case, documents=everything) for case in cases))


def _files(path: Path) -> list[Path]:
    """The files that hold the questions of a dataset, which may be named by its folder."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DatasetError(str(path), "there is no such file or folder", "Check the path.")
    for pattern in ("questions.jsonl", "qaps.csv"):
        if (path / pattern).is_file():
            return [path / pattern]
    stories = sorted(path.rglob("*-questions.csv"))
    if stories:
        return stories
    files = sorted(file for ending in ("*.jsonl", "*.json") for file in path.glob(ending))
    if len(files) != 1:
        listed = ", ".join(file.name for file in files[:6]) or "none"
        problem = f"a folder with {len(files)} files of questions ({listed})"
        raise DatasetError(str(path), problem, "Name the file.")
    return files


def _recognised(name: str, rows: list[Row]) -> Format:
    if not rows:
        raise DatasetError(name, "there is no row in it", "Name a file of questions.")
    for known in FORMATS:
        if known.recognises(rows[0]):
            return known
    fields = ", ".join(list(rows[0].value)[:12]) or "none"
    looked_for = "; ".join(f"{known.name} ({known.fields})" for known in FORMATS)
    problem = f"its first row has the fields {fields}, which is no known format"
    raise DatasetError(name, problem, f"Looked for: {looked_for}.", line=rows[0].line)


def _check_ids(name: str, dataset: Dataset) -> None:
    twice = [identity for identity, count in Counter(case.id for case in dataset.cases).items() if count > 1]
    if twice:
        raise DatasetError(name, f"{twice[0]!r} stands for more than one question", "Make ids unique.", field="id")


def drawn(dataset: Dataset, limit: int | None, seed: int) -> Dataset:
    """``limit`` questions of a dataset, drawn with ``seed``, in its order; and the documents they are asked of."""
    cases = dataset.cases
    if limit is not None and limit < len(cases):
        order = list(range(len(cases)))
        random.Random(seed).shuffle(order)
        cases = tuple(cases[number] for number in sorted(order[: max(limit, 0)]))
    used = {key for case in cases for key in case.documents}
    return replace(
        dataset, cases=cases, documents={key: dataset.documents[key] for key in dataset.documents if key in used}
    )
