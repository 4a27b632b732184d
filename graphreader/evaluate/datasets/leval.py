"""L-Eval (https://github.com/OpenLMLab/LEval): JSONL with a long ``input`` and several instructions about it.

Choices stand in the instruction, one a line ("A. ..." or "(A) ..."), and the output begins with the right letter or
letters: such a question becomes multiple choice, its answer those letters.
"""

from __future__ import annotations

import re

from pydantic import BaseModel, Field

from graphreader.evaluate.cases import Case, Dataset, SourceText
from graphreader.evaluate.datasets.rows import Label, Row, parse
from graphreader.evaluate.datasets.texts import document_key, whole_text

_OPTION = re.compile(r"^[ \t]*(?:\(([A-H])\)|([A-H])[.)])[ \t]*(.*)$", re.MULTILINE)
_OUTPUT = re.compile(r"\s*(?:\(?([A-H]{1,8})\)?[.:]?\s*$|\(([A-H])\)|([A-H])[.)]\s)")
_MIN_OPTIONS = 2


class _Row(BaseModel):
    instructions: list[str] = Field(min_length=1)
    outputs: list[str]
    input: str = Field(min_length=1)
    source: Label = ""
    evaluation: Label = ""


def recognises(row: Row) -> bool:
    """Whether a row is of this format."""
    return {"instructions", "outputs", "input"} <= row.value.keys()


def read(rows: list[Row]) -> Dataset:
    """The dataset: a case for each instruction; labels are the source and the way it is evaluated."""
    documents: dict[str, SourceText] = {}
    cases = []
    for number, row in enumerate(rows):
        item = parse(row, _Row)
        if len(item.outputs) != len(item.instructions):
            counts = f"{len(item.outputs)} outputs for {len(item.instructions)} instructions"
            raise row.error(("outputs",), counts)
        key = document_key(item.source or "input", item.input)
        documents.setdefault(key, whole_text(key, "", item.input))
        named = (("type", item.evaluation), ("source", item.source))
        labels = {name: value for name, value in named if value}
        for index, (instruction, output) in enumerate(zip(item.instructions, item.outputs, strict=True)):
            question, options, answer = _choices(instruction.strip(), output.strip())
            if not question:
                raise row.error(("instructions", index), "it is empty")
            cases.append(Case(f"{number}#{index}", question, (answer,), (key,), options=options, labels=labels))
    return Dataset("l-eval", tuple(cases), documents)


def _choices(instruction: str, output: str) -> tuple[str, dict[str, str], str]:
    """Question, options and answer; no options where the instruction lists none or the output chooses none."""
    found = list(_OPTION.finditer(instruction))
    options = {}
    ends = [option.start() for option in found[1:]] + [len(instruction)]
    for option, end in zip(found, ends, strict=False):
        options[option[1] or option[2]] = instruction[option.start(3) : end].strip()
    chosen = _OUTPUT.match(output)
    letters = "".join(sorted(next(group for group in chosen.groups() if group))) if chosen else ""
    in_order = "".join(options) == "ABCDEFGH"[: len(options)] and len(options) == len(found)
    if len(options) < _MIN_OPTIONS or not in_order or not letters or not set(letters) <= options.keys():
        return instruction, {}, output
    return instruction[: found[0].start()].strip(), options, letters
