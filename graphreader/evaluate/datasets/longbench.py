"""LongBench v1 and v2 and LV-Eval, which share JSONL files with a ``context`` for each question.

LongBench v1: https://github.com/THUDM/LongBench (``input``, ``context``, ``answers``, ``all_classes``). LongBench v2 is
multiple choice (``choice_A`` to ``choice_D``). LV-Eval (https://github.com/infinigence/LVEval) has the fields of v1 and
``answer_keywords``, which its own score asks for. None says where in its context an answer stands.
"""

from __future__ import annotations

from pydantic import BaseModel, Field, field_validator

from graphreader.evaluate.cases import Case, Dataset, SourceText
from graphreader.evaluate.datasets.rows import Label, Row, parse
from graphreader.evaluate.datasets.texts import document_key, language_of, whole_text

_CHOICES = "ABCD"
#: What is asked of the context where the row's ``input`` is empty: summaries, and the count.
_INSTRUCTIONS = {
    "gov_report": "Write a one-page summary of the report.",
    "multi_news": "Write a one-page summary of the news.",
    "vcsum": "请写出这次会议的总结。",
    "passage_count": "How many different paragraphs are there, once repeated ones are counted as one?",
}
#: What is asked about the row's ``input`` where that is no question itself: an abstract, or what is to be classified or
#: summarised as the examples in the context are.
_INTRODUCTIONS = {
    "passage_retrieval_en": 'Which paragraph is this abstract of? Answer with its name alone, such as "Paragraph 1".',
    "passage_retrieval_zh": "下面的摘要出自哪个段落？只回答段落的名称，例如“段落1”。",
    "trec": "Of which type is the question below? The context has examples of questions with their types. "
    "Answer with the type alone.",
    "lsht": "下面的新闻属于哪个类别？文中有新闻及其类别的例子。只回答类别。",
    "samsum": "Summarise this dialogue in a few short sentences, as is done in the examples that the context has.",
}
#: Tasks that are no question about a document.
_NO_QUESTIONS = ("lcc", "repobench-p")


class _Row(BaseModel):
    id: Label = Field("", validation_alias="_id")
    input: str
    context: str = Field(min_length=1)
    answers: list[str] = Field(min_length=1)
    dataset: Label = ""
    language: Label = ""
    answer_keywords: list[str] = []

    @field_validator("answer_keywords", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value or []


class _ChoiceRow(BaseModel):
    id: str = Field(validation_alias="_id")
    question: str = Field(min_length=1)
    context: str = Field(min_length=1)
    choice_A: str
    choice_B: str
    choice_C: str
    choice_D: str
    answer: str = Field(pattern="^[A-D]$")
    domain: Label = ""
    difficulty: Label = ""
    length: Label = ""


def recognises(row: Row) -> bool:
    """Whether a row is of LongBench v1 or of LV-Eval."""
    return {"input", "context", "answers"} <= row.value.keys()


def recognises_choices(row: Row) -> bool:
    """Whether a row is of LongBench v2."""
    return {"question", "context", "choice_A", "choice_D", "answer"} <= row.value.keys()


def read(rows: list[Row]) -> Dataset:
    """LongBench v1 or LV-Eval; the label is the task, and the name is it where there is one task alone.

    The language is Chinese where at least half of the rows are.
    """
    documents: dict[str, SourceText] = {}
    cases = []
    chinese = 0
    for number, row in enumerate(rows):
        item = parse(row, _Row)
        task = item.dataset.removesuffix("_e")
        question = _question(task, item.input.strip())
        if not question or task in _NO_QUESTIONS:
            mend = "Choose a task that asks something: question answering, few-shot or summaries."
            raise row.error(("input",), f"the task {item.dataset!r} asks no question about its context", mend)
        key = document_key(item.dataset or "context", item.context)
        documents.setdefault(key, whole_text(key, "", item.context))
        chinese += (item.language or language_of([question])) == "zh"
        labels = {"type": item.dataset} if item.dataset else {}
        identity = item.id or f"{item.dataset or 'row'}#{number}"
        keywords = tuple(item.answer_keywords)
        answers = tuple(dict.fromkeys(item.answers))
        cases.append(Case(identity, question, answers, (key,), labels=labels, keywords=keywords))
    tasks = sorted({case.labels["type"] for case in cases if case.labels})
    keyed = any("answer_keywords" in row.value or "confusing_facts" in row.value for row in rows)
    name = tasks[0] if len(tasks) == 1 else ("lv-eval" if keyed else "longbench")
    # Characters tell English answers apart nearly as words do, but a Chinese answer would be a single word.
    return Dataset(name, tuple(cases), documents, "zh" if 2 * chinese >= len(rows) else "en")


def _question(task: str, given: str) -> str:
    """What a row asks of its context; empty where it asks nothing."""
    if not given:
        return _INSTRUCTIONS.get(task, "")
    return f"{_INTRODUCTIONS[task]}\n\n{given}" if task in _INTRODUCTIONS else given


def read_choices(rows: list[Row]) -> Dataset:
    """LongBench v2; labels are domain, difficulty and length."""
    documents: dict[str, SourceText] = {}
    cases = []
    for row in rows:
        item = parse(row, _ChoiceRow)
        key = document_key("context", item.context)
        documents.setdefault(key, whole_text(key, "", item.context))
        labels = (("type", item.domain), ("difficulty", item.difficulty), ("length", item.length))
        cases.append(
            Case(
                item.id,
                item.question,
                (item.answer,),
                (key,),
                options={letter: row.value[f"choice_{letter}"] for letter in _CHOICES},
                labels={name: value for name, value in labels if value},
            )
        )
    return Dataset("longbench-v2", tuple(cases), documents)
