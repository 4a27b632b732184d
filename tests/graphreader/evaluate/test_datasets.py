"""Each published format, as its publisher writes it, becomes the same questions, documents and gold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from dataset_rows import (
    FAIRYTALE_HUB,
    HOTPOTQA,
    LEVAL,
    LOCOMO,
    LONGBENCH,
    LONGBENCH_V2,
    LV_EVAL,
    MUSIQUE,
    NARRATIVE_HUB,
    SQUAD,
    WIKI,
    gold,
    pdf,
    text_of,
    write,
)

from graphreader.errors import DatasetError
from graphreader.evaluate.cases import GoldEvidence, Unit, asked
from graphreader.evaluate.datasets import load_dataset
from graphreader.ingest.load import load_bytes
from graphreader.records import Document

#: The folder of real datasets; no part of them belongs to the repository.
DATA = Path(os.environ.get("EVALUATION_DATA", ""))
needs_data = pytest.mark.skipif(
    "EVALUATION_DATA" not in os.environ, reason="EVALUATION_DATA names no folder of datasets"
)


def test_hotpotqa(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path / "dev.json", [HOTPOTQA]))
    (case,) = dataset.cases
    assert (dataset.name, case.id, case.answers) == ("hotpotqa", HOTPOTQA["_id"], ("yes",))
    assert case.labels == {"type": "comparison", "level": "hard"}
    assert [dataset.documents[key].title for key in case.documents] == ["Ed Wood (film)", "Scott Derrickson", "Ed Wood"]
    assert gold(dataset, case, Unit.SENTENCE) == [
        "Scott Derrickson is an American director.",
        "He was an American filmmaker.",
    ]
    assert gold(dataset, case, Unit.PASSAGE)[1] == "Edward Davis Wood Jr. wrote scripts. He was an American filmmaker."


def test_hotpotqa_in_columns_is_the_same(tmp_path: Path) -> None:
    columns = {
        **{name: value for name, value in HOTPOTQA.items() if name != "_id"},
        "id": HOTPOTQA["_id"],
        "supporting_facts": {"title": ["Scott Derrickson", "Ed Wood", "Ed Wood"], "sent_id": [0, 1, 9]},
        "context": {
            "title": [title for title, _ in HOTPOTQA["context"]],
            "sentences": [sentences for _, sentences in HOTPOTQA["context"]],
        },
    }
    published = load_dataset(write(tmp_path / "dev.json", [HOTPOTQA]))
    assert load_dataset(write(tmp_path / "dev.jsonl", [columns])) == published


def test_2wikimultihopqa(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path / "dev.json", [WIKI]))
    (case,) = dataset.cases
    assert (dataset.name, case.answers, case.labels) == ("2wikimultihopqa", ("One",), {"type": "bridge_comparison"})
    assert gold(dataset, case, Unit.SENTENCE) == ["One is a film of 1925.", "Two is a film of 1930."]
    assert dataset.documents[case.documents[0]].text == "One\n\nOne is a film of 1925. It is silent."


def test_musique_with_two_paragraphs_of_one_title(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path / "musique.jsonl", [MUSIQUE]))
    (case,) = dataset.cases
    assert case.answers == ("Steve Hillage", "Hillage")
    assert case.labels == {"hops": "3"}
    assert len(case.documents) == 2
    assert gold(dataset, case, Unit.PASSAGE) == ["Green is an album."]


def test_full_musique_has_each_id_on_two_rows(tmp_path: Path) -> None:
    lacking = [{**MUSIQUE["paragraphs"][0], "is_supporting": True}]
    path = write(tmp_path / "full.jsonl", [{**MUSIQUE, "answerable": False, "paragraphs": lacking}, MUSIQUE])
    twin, answered = load_dataset(path).cases
    assert (answered.id, twin.id) == (MUSIQUE["id"], f"{MUSIQUE['id']}#unanswerable")
    assert (twin.question, twin.labels) == (answered.question, answered.labels)
    assert (twin.answerable, twin.answers, twin.evidence, len(twin.documents)) == (False, (), (), 1)
    pooled = load_dataset(path, pooled=True)
    assert [case.id for case in pooled.cases] == [answered.id]


def test_squad_and_its_flat_rows(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path / "dev.json", SQUAD))
    answered, impossible = dataset.cases
    assert answered.answers == ("Rollo",)
    assert gold(dataset, answered, Unit.SENTENCE) == ["Rollo was their leader."]
    assert (impossible.answerable, impossible.answers) == (False, ())
    paragraph = SQUAD["data"][0]["paragraphs"][0]
    flat = {
        "id": "q1",
        "title": "Normans",
        "context": paragraph["context"],
        "question": "Who led them?",
        "answers": {"text": ["Rollo"], "answer_start": [33]},
    }
    rows = load_dataset(write(tmp_path / "rows.jsonl", [flat]))
    assert rows.cases == (answered,)


def test_chinese_squad_with_a_wrong_offset_is_compared_by_characters(tmp_path: Path) -> None:
    context = "第一年没有比赛。第二年冠军是上海队。第三年冠军是北京队。"
    question = {"id": "c1", "question": "谁是第三年的冠军？", "answers": [{"text": "北京队", "answer_start": 22}]}
    rows = {
        "version": "v1.0",
        "data": [{"id": "T", "paragraphs": [{"id": "T", "context": context, "qas": [question]}]}],
    }
    dataset = load_dataset(write(tmp_path / "trial.json", rows))
    assert dataset.language == "zh"
    assert gold(dataset, dataset.cases[0], Unit.SENTENCE) == ["第三年冠军是北京队。"]


def test_longbench(tmp_path: Path) -> None:
    summary = {**LONGBENCH, "input": "", "dataset": "gov_report", "_id": "2"}
    dataset = load_dataset(write(tmp_path / "hotpotqa.jsonl", [LONGBENCH, summary]))
    question, report = dataset.cases
    assert (question.question, question.answers, question.labels) == (
        "Who wrote it?",
        ("Ann Lee", "Lee"),
        {"type": "hotpotqa"},
    )
    assert dataset.documents[question.documents[0]].text == LONGBENCH["context"]
    assert "summary" in report.question
    with pytest.raises(DatasetError, match="'lcc' asks no question"):
        load_dataset(write(tmp_path / "lcc.jsonl", [{**LONGBENCH, "input": "", "dataset": "lcc"}]))


@pytest.mark.parametrize(
    ("task", "given", "words"),
    [
        ("passage_retrieval_en", "The abstract is about a lamp.", "Which paragraph"),
        ("passage_retrieval_zh", "摘要说的是灯。", "哪个段落"),
        ("trec", "Question: Who lit the lamp ?\nType:", "type"),
        ("trec_e", "Question: Who lit the lamp ?\nType:", "type"),
        ("lsht", "新闻内容：灯亮了。\n类别：", "类别"),
        ("samsum", "Dialogue: Ann: The lamp is lit.\nSummary:", "Summarise"),
    ],
)
def test_longbench_says_what_to_do_with_an_input_that_asks_nothing(
    tmp_path: Path, task: str, given: str, words: str
) -> None:
    row = {**LONGBENCH, "dataset": task, "input": f"{given}\n"}
    (case,) = load_dataset(write(tmp_path / "task.jsonl", [row])).cases
    instruction, _, put = case.question.partition("\n\n")
    assert words in instruction
    assert put == given
    with pytest.raises(DatasetError, match=f"'{task}' asks no question"):
        load_dataset(write(tmp_path / "empty.jsonl", [{**row, "input": ""}]))


@pytest.mark.parametrize(("languages", "language"), [("zh zh en", "zh"), ("zh en", "zh"), ("zh en en", "en")])
def test_longbench_has_the_language_of_most_rows(tmp_path: Path, languages: str, language: str) -> None:
    rows = [{**LONGBENCH, "_id": str(at), "language": of} for at, of in enumerate(languages.split())]
    assert load_dataset(write(tmp_path / "rows.jsonl", rows)).language == language


def test_longbench_v2(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path / "data.json", [LONGBENCH_V2]))
    (case,) = dataset.cases
    assert (case.answers, case.options["D"]) == (("B",), "Nothing")
    assert asked(case) == "What grew?\nA. Sales\nB. Costs\nC. Debt\nD. Nothing"
    assert case.labels == {"type": "Single-Document QA", "difficulty": "easy", "length": "short"}


def test_lv_eval_brings_its_keywords(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path / "any.jsonl", [LV_EVAL]))
    assert (dataset.name, dataset.cases[0].keywords) == ("hotpotwikiqa_mixup_16k", ("services to music",))


def test_leval_finds_choices(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path / "coursera.jsonl", [LEVAL]))
    first, second, open_question, several = dataset.cases
    assert len(dataset.documents) == 1
    assert (first.question, first.answers, list(first.options)) == (
        "Question 1. What is the goal?",
        ("B",),
        ["A", "B", "C"],
    )
    assert (second.answers, second.options["B"]) == (("B",), "He was tired,\nand ill.")
    assert (open_question.answers, open_question.options) == (("A banana",), {})
    assert several.answers == ("AB",)


def test_narrativeqa_from_the_hub(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path / "rows.jsonl", [NARRATIVE_HUB]))
    (case,) = dataset.cases
    assert (case.answers, case.labels) == (("Hal", "The man Hal"), {"type": "movie"})
    assert dataset.documents[case.documents[0]].text == "INT. ROOM. Hal waits."


def test_narrativeqa_reads_a_story_once_for_all_its_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def load(data: bytes, name: str) -> Document:
        read.append(name)
        return load_bytes(data, name)

    monkeypatch.setattr("graphreader.evaluate.datasets.narrativeqa.load_bytes", load)
    dataset = load_dataset(write(tmp_path / "rows.jsonl", [NARRATIVE_HUB, NARRATIVE_HUB]))
    assert (len(dataset.cases), read) == (2, [NARRATIVE_HUB["document"]["id"]])


def narrative_repository(folder: Path, with_stories: bool) -> Path:
    write(folder / "documents.csv", [{"document_id": "d1", "set": "test", "kind": "gutenberg", "wiki_title": "A tale"}])
    write(
        folder / "third_party/wikipedia/summaries.csv", [{"document_id": "d1", "set": "test", "summary": "In short."}]
    )
    asked_of = {"document_id": "d1", "set": "test", "question": "What sings?", "answer1": "A bird", "answer2": "Birds"}
    write(folder / "qaps.csv", [{**asked_of, "question_tokenized": "What sings ?"}])
    if with_stories:
        (folder / "tmp").mkdir()
        page = "<html><head><style>p {color: red}</style></head><body><p>A bird &amp; a tree.</p></body></html>"
        (folder / "tmp/d1.content").write_text(page)
    return folder


@pytest.mark.parametrize(("with_stories", "text"), [(True, "A bird & a tree."), (False, "In short.")])
def test_narrativeqa_from_its_repository(tmp_path: Path, with_stories: bool, text: str) -> None:
    dataset = load_dataset(narrative_repository(tmp_path, with_stories))
    (case,) = dataset.cases
    assert (case.answers, case.labels) == (("A bird", "Birds"), {"type": "gutenberg", "set": "test"})
    document = dataset.documents["d1"]
    assert (document.title, document.text.strip()) == ("A tale", text)


def test_narrativeqa_is_the_test_set_unless_the_file_has_none_of_it(tmp_path: Path) -> None:
    sets = ["train", "test", "valid", "test"]
    asked_of = {"question": "What sings?", "answer1": "A bird", "answer2": "Birds"}
    rows = [{"document_id": f"d{at}", "set": name, **asked_of} for at, name in enumerate(sets)]
    write(tmp_path / "documents.csv", [{"document_id": row["document_id"], "kind": "movie"} for row in rows])
    # Only the stories that are asked about have to be there.
    for number in (1, 3):
        story = tmp_path / f"tmp/d{number}.content"
        story.parent.mkdir(exist_ok=True)
        story.write_text("A bird sings.")
    write(tmp_path / "qaps.csv", rows)
    dataset = load_dataset(tmp_path)
    assert [case.id for case in dataset.cases] == ["d1#1", "d3#3"]
    assert list(dataset.documents) == ["d1", "d3"]
    for number in (0, 2):
        (tmp_path / f"tmp/d{number}.content").write_text("A bird sings.")
    others = load_dataset(write(tmp_path / "others.csv", [rows[0], rows[2]]))
    assert [case.labels["set"] for case in others.cases] == ["train", "valid"]


def test_fairytaleqa_from_its_repository(tmp_path: Path) -> None:
    question = {
        "question_id": "15",
        "local-or-sum": "summary",
        "cor_section": "1,3",
        "attribute1": "character",
        "attribute2": "",
        "question": "Who ran?",
        "ex-or-im1": "explicit",
        "answer1": "the snail",
        "answer2": "a snail",
        "answer3": "",
        "ex-or-im2": "",
        "answer4": "the slow snail",
    }
    sections = [{"section": str(number), "text": f"Section {number}\nruns."} for number in (1, 2, 3)]
    write(tmp_path / "questions/val/the-races-questions.csv", [question])
    write(tmp_path / "section-stories/val/the-races-story.csv", sections)
    dataset = load_dataset(tmp_path)
    (case,) = dataset.cases
    assert case.id == "the-races#15"
    assert case.answers == ("the snail", "a snail", "the slow snail")
    assert case.labels == {"type": "character", "kind": "explicit", "scope": "summary"}
    assert gold(dataset, case, Unit.PASSAGE) == ["Section 1\nruns.", "Section 3\nruns."]
    assert dataset.documents[case.documents[0]].title == "The races"


def test_fairytaleqa_as_lines(tmp_path: Path) -> None:
    write(
        tmp_path / "sections.jsonl",
        [{"story": "s", "section": "1", "text": "One."}, {"story": "s", "section": "2", "text": "Two."}],
    )
    row = {"id": "s#1", "story": "s", "question": "What?", "answers": ["two", "two"], "gold_sections": ["2"]}
    dataset = load_dataset(write(tmp_path / "questions.jsonl", [row]))
    assert gold(dataset, dataset.cases[0], Unit.PASSAGE) == ["Two."]
    with pytest.raises(DatasetError, match=r"line 1, field gold_sections: the story has no section '9'"):
        load_dataset(write(tmp_path / "questions.jsonl", [{**row, "gold_sections": ["9"]}]))


def test_fairytaleqa_from_the_hub(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path / "val.jsonl", [FAIRYTALE_HUB]))
    assert (dataset.name, dataset.cases[0].answers) == ("fairytaleqa", ("the snail", "a snail"))


def test_financebench(tmp_path: Path) -> None:
    evidence = {"evidence_text": "Net sales 5", "doc_name": "ACME_2022_10K", "evidence_page_num": 1}
    row = {
        "financebench_id": "financebench_id_1",
        "company": "Acme",
        "doc_name": "ACME_2022_10K",
        "question_type": "domain-relevant",
        "question": "What were net sales?",
        "answer": "$5",
        "evidence": [evidence, evidence],
    }
    questions = write(tmp_path / "data/financebench_open_source.jsonl", [row])
    with pytest.raises(DatasetError, match=r"line 1, field doc_name: there is no file ACME_2022_10K\.pdf"):
        load_dataset(questions)
    (tmp_path / "pdfs").mkdir()
    pdf(tmp_path / "pdfs/ACME_2022_10K.pdf", ["Cover", "Net sales 5"])
    dataset = load_dataset(questions)
    (case,) = dataset.cases
    assert case.evidence == (GoldEvidence("ACME_2022_10K.pdf", Unit.PAGE, page=2),)
    assert dataset.documents["ACME_2022_10K.pdf"].file == tmp_path / "pdfs/ACME_2022_10K.pdf"


def test_mmlongbench(tmp_path: Path) -> None:
    common = {"doc_id": "a.pdf", "doc_type": "Guidebook", "evidence_sources": "['Table']", "answer_format": "List"}
    rows = [
        {**common, "question": "Which?", "answer": "['one', 'two']", "evidence_pages": "[2, 1]"},
        {**common, "question": "Whose?", "answer": "Not answerable", "evidence_pages": "[]", "answer_format": "None"},
    ]
    (tmp_path / "documents").mkdir()
    pdf(tmp_path / "documents/a.pdf", ["one", "two"])
    listed, unanswerable = load_dataset(write(tmp_path / "samples.json", rows)).cases
    assert listed.answers == ("one, two",)
    assert [evidence.page for evidence in listed.evidence] == [2, 1]
    assert (unanswerable.answerable, unanswerable.answers) == (False, ())
    with pytest.raises(DatasetError, match=r"line 1, field evidence_pages: 0 is not a number of a page"):
        load_dataset(write(tmp_path / "samples.jsonl", [{**rows[0], "evidence_pages": "[0]"}]))


def test_locomo(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path / "locomo10.json", [LOCOMO]))
    first, second, adversarial = dataset.cases
    (document,) = dataset.documents.values()
    assert document.text.startswith(
        "Session 1, 1:00 pm on 1 May, 2023\n\nAnn (1 May 2023): I moved to Oslo.\n\nBo (1 May 2023): Nice!"
    )
    assert gold(dataset, first, Unit.TURN) == [
        "Ann (1 May 2023): I moved to Oslo.",
        "Bo (2 May 2023): Look at it. [photo: a red kite]",
    ]
    assert (first.labels, second.answers) == ({"type": "multi-hop"}, ("2023",))
    assert (adversarial.answerable, adversarial.answers, adversarial.evidence) == (False, (), ())


def test_locomo_scores_what_stands_before_the_reason_in_category_3(tmp_path: Path) -> None:
    questions = [
        {"question": "Would she sail?", "answer": "Likely no; the sea scares her", "category": 3},
        {"question": "What did she buy?", "answer": "a kite; a lamp", "category": 1},
    ]
    dataset = load_dataset(write(tmp_path / "locomo.json", [{**LOCOMO, "qa": questions}]))
    assert [case.answers for case in dataset.cases] == [("Likely no",), ("a kite; a lamp",)]


@needs_data
@pytest.mark.parametrize(
    ("path", "cases", "documents", "language"),
    [
        ("multihop/hotpotqa_train.json", 100, 994, "en"),
        ("multihop/musique_train.json", 100, 1890, "en"),
        ("fairytaleqa", 1025, 23, "en"),
        ("financebench", 35, 10, "en"),
        ("mmlongbench", 64, 6, "en"),
        ("cmrc2018", 1000, 256, "zh"),
        ("locomo", 304, 2, "en"),
    ],
)
def test_real_datasets(path: str, cases: int, documents: int, language: str) -> None:
    dataset = load_dataset(DATA / path)
    assert (len(dataset.cases), len(dataset.documents), dataset.language) == (cases, documents, language)
    for case in dataset.cases:
        assert bool(case.answers) == case.answerable
        for evidence in case.evidence:
            document = dataset.documents[evidence.document]
            assert evidence.document in case.documents
            assert (evidence.page is not None) == (document.file is not None)
            assert evidence.page is not None or text_of(dataset, evidence).strip()
