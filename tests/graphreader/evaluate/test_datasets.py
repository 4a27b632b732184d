"""Each published format, as its publisher writes it, becomes the same questions, documents and gold."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reportlab.pdfgen import canvas

from graphreader.errors import DatasetError
from graphreader.evaluate.cases import Case, Dataset, GoldEvidence, Unit, asked
from graphreader.evaluate.datasets import load_dataset

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
#: The folder of real datasets; no part of them belongs to the repository.
DATA = Path(os.environ.get("EVALUATION_DATA", ""))
needs_data = pytest.mark.skipif(
    "EVALUATION_DATA" not in os.environ, reason="EVALUATION_DATA names no folder of datasets"
)

HOTPOTQA = {
    "_id": "5a8b57f25542995d1e6f1371",
    "question": "Were Scott Derrickson and Ed Wood of the same nationality?",
    "answer": "yes",
    "type": "comparison",
    "level": "hard",
    "supporting_facts": [["Scott Derrickson", 0], ["Ed Wood", 1], ["Ed Wood", 9]],
    "context": [
        ["Ed Wood (film)", ["Ed Wood is a 1994 American film.", " It stars Johnny Depp."]],
        ["Scott Derrickson", ["Scott Derrickson is an American director.", " He lives in Los Angeles."]],
        ["Ed Wood", ["Edward Davis Wood Jr. wrote scripts.", " He was an American filmmaker."]],
    ],
}
WIKI = {
    "_id": "61a46987092f11ebbdaeac1f6bf848b6",
    "type": "bridge_comparison",
    "question": "Which film came out first?",
    "context": [["One", ["One is a film of 1925.", "It is silent."]], ["Two", ["Two is a film of 1930."]]],
    "supporting_facts": [["One", 0], ["Two", 0]],
    "evidences": [["One", "publication date", "1925"], ["Two", "publication date", "1930"]],
    "answer": "One",
}
MUSIQUE = {
    "id": "3hop1__13548_13529_7",
    "paragraphs": [
        {"idx": 0, "title": "Green", "paragraph_text": "Green is an album.", "is_supporting": True},
        {"idx": 1, "title": "Green", "paragraph_text": "Green is a colour.", "is_supporting": False},
    ],
    "question": "Who made Green?",
    "question_decomposition": [
        {"id": 7, "question": "Green >> performer", "answer": "Steve", "paragraph_support_idx": 0}
    ],
    "answer": "Steve Hillage",
    "answer_aliases": ["Hillage"],
    "answerable": True,
}
SQUAD = {
    "version": "1.1",
    "data": [
        {
            "title": "Normans",
            "paragraphs": [
                {
                    "context": "The Normans came from the north. Rollo was their leader. They spoke Norse.",
                    "qas": [
                        {
                            "id": "q1",
                            "question": "Who led them?",
                            "answers": [{"text": "Rollo", "answer_start": 33}, {"text": "Rollo", "answer_start": 33}],
                        },
                        {"id": "q2", "question": "Who came after?", "answers": [], "is_impossible": True},
                        {"id": "q3", "question": " ", "answers": [{"text": "Rollo", "answer_start": 33}]},
                    ],
                }
            ],
        }
    ],
}
LONGBENCH = {
    "input": "Who wrote it?",
    "context": "Passage 1:\nA book\nAnn Lee wrote it.",
    "answers": ["Ann Lee", "Lee"],
    "length": 7,
    "dataset": "hotpotqa",
    "language": "en",
    "all_classes": None,
    "_id": "0a1b",
}
LONGBENCH_V2 = {
    "_id": "66f36490821e116aacb2cc22",
    "domain": "Single-Document QA",
    "sub_domain": "Financial",
    "difficulty": "easy",
    "length": "short",
    "question": "What grew?",
    "choice_A": "Sales",
    "choice_B": "Costs",
    "choice_C": "Debt",
    "choice_D": "Nothing",
    "answer": "B",
    "context": "Costs grew.",
}
LV_EVAL = {
    "input": "What is he recognised for?",
    "context": "He was recognised for his services to music.",
    "answers": ["For his services to music."],
    "length": 9,
    "dataset": "hotpotwikiqa_mixup_16k",
    "language": "en",
    "answer_keywords": "services to music",
    "confusing_facts": ["He was recognised for his services to art."],
}
LEVAL = {
    "instructions": [
        "Question 1. What is the goal?\nA. To predict\nB. To answer questions\nC. To count",
        "Why did he go?\n\n (A) He was late. \n (B) He was tired,\nand ill. ",
        "What is the longest word?",
        "Which of these belong?\nA. Volume\nB. Speed",
    ],
    "outputs": ["B", "(B) He was tired, and ill.", "A banana", "AB"],
    "input": "A long lecture about data.",
    "source": "coursera",
    "evaluation": "exam",
}
FAIRYTALE_HUB = {
    "story_name": "the-races",
    "story_section": "the snail carried his house .",
    "question": "who carried a house ?",
    "answer1": "the snail",
    "answer2": "a snail",
    "local-or-sum": "local",
    "attribute": "character",
    "ex-or-im": "explicit",
    "ex-or-im2": "",
}
NARRATIVE_HUB = {
    "document": {
        "id": "23jncj2n3534563110",
        "kind": "movie",
        "text": "INT. ROOM. Hal waits.",
        "summary": {"title": "Hal"},
    },
    "question": {"text": "Who waits?", "tokens": ["Who", "waits", "?"]},
    "answers": [{"text": "Hal", "tokens": ["Hal"]}, {"text": "The man Hal", "tokens": ["The", "man", "Hal"]}],
}
LOCOMO = {
    "sample_id": "conv-1",
    "conversation": {
        "speaker_a": "Ann",
        "speaker_b": "Bo",
        "session_2": [{"speaker": "Bo", "dia_id": "D2:1", "text": "Look at it.", "blip_caption": "a red kite"}],
        "session_2_date_time": "1:00 pm on 2 May, 2023",
        "session_1": [
            {"speaker": "Ann", "dia_id": "D1:1", "text": "I moved to\nOslo."},
            {"speaker": "Bo", "dia_id": "D1:2", "text": "Nice!"},
        ],
        "session_1_date_time": "1:00 pm on 1 May, 2023",
    },
    "qa": [
        {"question": "Where does Ann live?", "answer": "Oslo", "evidence": ["D1:1; D2:01", "D7:7"], "category": 1},
        {"question": "When did Ann move?", "answer": 2023, "evidence": ["D1:1"], "category": 2},
        {"question": "What did Bo win?", "adversarial_answer": "a car", "evidence": ["D1:2"], "category": 5},
    ],
}


def write(path: Path, rows: Any) -> Path:
    """A JSON document, or JSONL for a list of rows that is to be JSONL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def pdf(path: Path, pages: Iterable[str]) -> None:
    drawing = canvas.Canvas(str(path))
    for page in pages:
        drawing.drawString(72, 700, page)
        drawing.showPage()
    drawing.save()


def gold(dataset: Dataset, case: Case, unit: Unit) -> list[str]:
    """The text of a case's gold evidence of one unit."""
    return [_text(dataset, evidence) for evidence in case.evidence if evidence.unit is unit]


def _text(dataset: Dataset, evidence: GoldEvidence) -> str:
    return dataset.documents[evidence.document].text[evidence.start : evidence.end]


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
            "title": [title for title, _ in HOTPOTQA["context"]],  # type: ignore[misc]
            "sentences": [sentences for _, sentences in HOTPOTQA["context"]],  # type: ignore[misc]
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
    unanswerable = {**MUSIQUE, "id": "2hop__1_2", "answerable": False}
    dataset = load_dataset(write(tmp_path / "musique.jsonl", [MUSIQUE, unanswerable]))
    answered, unanswered = dataset.cases
    assert answered.answers == ("Steve Hillage", "Hillage")
    assert answered.labels == {"hops": "3"}
    assert len(answered.documents) == 2
    assert gold(dataset, answered, Unit.PASSAGE) == ["Green is an album."]
    assert (unanswered.answerable, unanswered.answers, unanswered.evidence) == (False, (), ())


def test_squad_and_its_flat_rows(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path / "dev.json", SQUAD))
    answered, impossible = dataset.cases
    assert answered.answers == ("Rollo",)
    assert gold(dataset, answered, Unit.SENTENCE) == ["Rollo was their leader."]
    assert (impossible.answerable, impossible.answers) == (False, ())
    paragraph = SQUAD["data"][0]["paragraphs"][0]  # type: ignore[index]
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
    assert (case.answers, case.labels) == (("A bird", "Birds"), {"type": "gutenberg"})
    document = dataset.documents["d1"]
    assert (document.title, document.text.strip()) == ("A tale", text)


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
    assert document.text.startswith("Session 1, 1:00 pm on 1 May, 2023\n\nAnn: I moved to Oslo.\n\nBo: Nice!")
    assert gold(dataset, first, Unit.TURN) == ["Ann: I moved to Oslo.", "Bo: Look at it. [photo: a red kite]"]
    assert (first.labels, second.answers) == ({"type": "multi-hop"}, ("2023",))
    assert (adversarial.answerable, adversarial.answers, adversarial.evidence) == (False, (), ())


def test_questions_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("The lamp was lit\nat dusk. The lamp was green.", encoding="utf-8")
    (tmp_path / "more.md").write_text("# More\n\nNothing here.", encoding="utf-8")
    rows = [
        {
            "question": "When was the lamp lit?",
            "answer": "dusk",
            "aliases": ["at dusk"],
            "documents": ["notes.txt", "more.md"],
            "evidence": ["The lamp was lit at dusk."],
            "type": "single",
            "hops": 1,
        },
        {"id": "b", "question": "Who lit it?", "answer": None, "document": "notes.txt"},
        {
            "id": 3,
            "question": "Its colour?",
            "answer": "B",
            "options": {"A": "red", "B": "green"},
            "document": "notes.txt",
        },
    ]
    dataset = load_dataset(write(tmp_path / "lamp.jsonl", rows))
    first, unanswerable, choice = dataset.cases
    assert (dataset.name, first.id, first.answers) == ("lamp", "1", ("dusk", "at dusk"))
    assert first.documents == ("notes.txt", "more.md")
    assert first.labels == {"type": "single", "hops": "1"}
    assert first.evidence == (GoldEvidence("notes.txt", Unit.SENTENCE, 0, 25),)
    assert (unanswerable.answerable, unanswerable.answers) == (False, ())
    assert (choice.id, choice.answers) == ("3", ("B",))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"evidence": ["The lamp was blue"]}, r"field evidence\[0\]: 'The lamp was blue' is not in the document"),
        ({"document": "absent.txt"}, r"field document: there is no file absent.txt"),
        ({"documents": ["notes.txt", "absent.txt"]}, r"field documents\[1\]: there is no file absent.txt"),
        ({"pages": [0]}, r"field pages\[0\]: 0 is not a number of a page"),
        ({"question": ""}, r"field question: string should have at least 1 character"),
        ({"answerable": True, "answer": None}, r"field answer: it is missing"),
        ({"options": {"A": "red"}, "answer": "B"}, r"field answer: it is not among the letters"),
    ],
)
def test_a_malformed_question_names_line_and_field(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    (tmp_path / "notes.txt").write_text("The lamp was green.", encoding="utf-8")
    good = {"question": "Its colour?", "answer": "green", "document": "notes.txt"}
    path = write(tmp_path / "lamp.jsonl", [good, {**good, "id": "bad", **row}])
    with pytest.raises(DatasetError, match=rf"lamp\.jsonl, line 2, {message}"):
        load_dataset(path)


def test_the_shipped_questions_have_their_evidence(tmp_path: Path) -> None:
    dataset = load_dataset(EXAMPLES)
    assert (dataset.name, len(dataset.cases), list(dataset.documents)) == ("examples", 30, ["haddle-sound-inquiry.pdf"])
    assert sum(not case.answerable for case in dataset.cases) == 5
    units = Counter(evidence.unit for case in dataset.cases for evidence in case.evidence)
    rows = [json.loads(line) for line in (EXAMPLES / "questions.jsonl").read_text().splitlines()]
    assert units == {
        Unit.PAGE: sum(len(row["pages"]) for row in rows),
        Unit.SENTENCE: sum(len(row["evidence"]) for row in rows),
    }


@pytest.mark.parametrize(
    ("row", "change", "place"),
    [
        (HOTPOTQA, {"context": [["T", "no list"]]}, r"context\[0\]\[1\]: "),
        (MUSIQUE, {"paragraphs": [{"title": "T"}]}, r"paragraphs\[0\]\.paragraph_text: it is missing"),
        (LONGBENCH, {"answers": []}, "answers: "),
        (LONGBENCH_V2, {"answer": "E"}, "answer: "),
        (LEVAL, {"outputs": []}, "outputs: 0 outputs for 4 instructions"),
        (NARRATIVE_HUB, {"question": {"text": ""}}, r"question\.text: "),
        (LOCOMO, {"qa": [{"question": "Who?", "category": 1}]}, r"qa\[0\]\.answer: it is missing"),
    ],
    ids=["hotpotqa", "musique", "longbench", "longbench v2", "l-eval", "narrativeqa", "locomo"],
)
def test_a_malformed_row_names_file_line_and_field(
    tmp_path: Path, row: dict[str, Any], change: dict[str, Any], place: str
) -> None:
    with pytest.raises(DatasetError, match=rf"rows\.jsonl, line 2, field {place}"):
        load_dataset(write(tmp_path / "rows.jsonl", [row, {**row, **change}]))


def test_the_line_within_a_document_is_that_of_the_field(tmp_path: Path) -> None:
    rows = {"data": [{"title": "T", "paragraphs": [{"context": "C.", "qas": [{"id": "1", "question": None}]}]}]}
    path = write(tmp_path / "squad.json", rows)
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if '"question": null' in text)
    with pytest.raises(DatasetError) as caught:
        load_dataset(path)
    assert (caught.value.line, caught.value.field) == (line, "data[0].paragraphs[0].qas[0].question")


def test_broken_json_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{json.dumps(MUSIQUE)}\n\n{{"id": \n', encoding="utf-8")
    with pytest.raises(DatasetError, match=r"rows\.jsonl, line 3: not JSON"):
        load_dataset(path)
    path.write_text('[\n{"id": 1},\n{"id" 2}\n]', encoding="utf-8")
    with pytest.raises(DatasetError, match=r"rows\.jsonl, line 3: not JSON"):
        load_dataset(path)


def test_an_unknown_format_lists_what_was_looked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "questions.jsonl", [{"prompt": "?", "completion": "!"}])
    with pytest.raises(DatasetError, match=r"has the fields prompt, completion, .* Looked for: HotpotQA.*MuSiQue"):
        load_dataset(path)


@pytest.mark.parametrize("content", ["", "just words", "[]", "\n\n"])
def test_a_file_without_rows_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_text(content)
    with pytest.raises(DatasetError, match=r"empty\.jsonl"):
        load_dataset(path)


def test_a_folder_of_several_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [MUSIQUE])
    write(tmp_path / "b.jsonl", [MUSIQUE])
    with pytest.raises(DatasetError, match=r"2 files of questions \(a\.jsonl, b\.jsonl\)"):
        load_dataset(tmp_path)


def test_an_id_stands_for_one_question(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"field id: .* more than one question"):
        load_dataset(write(tmp_path / "a.jsonl", [MUSIQUE, MUSIQUE]))


def many(folder: Path, count: int = 30) -> Path:
    rows = [{**MUSIQUE, "id": f"2hop__{number}", "question": f"Question {number}?"} for number in range(count)]
    for number, row in enumerate(rows):
        row["paragraphs"] = [{"title": "T", "paragraph_text": f"Text {number}.", "is_supporting": True}]
    return write(folder / "many.jsonl", rows)


def test_pooled_questions_are_asked_of_all_documents(tmp_path: Path) -> None:
    path = many(tmp_path)
    alone, pooled = load_dataset(path, limit=5), load_dataset(path, pooled=True, limit=5)
    assert [case.id for case in alone.cases] == [case.id for case in pooled.cases]
    assert (len(alone.documents), len(pooled.documents)) == (5, 30)
    assert all(case.documents == tuple(pooled.documents) for case in pooled.cases)
    assert [case.evidence for case in alone.cases] == [case.evidence for case in pooled.cases]


def test_a_limit_draws_by_seed_and_a_larger_one_keeps_what_it_drew(tmp_path: Path) -> None:
    path = many(tmp_path)
    drawn = {limit: [case.id for case in load_dataset(path, limit=limit, seed=3).cases] for limit in (0, 5, 12, 99)}
    assert [len(ids) for ids in drawn.values()] == [0, 5, 12, 30]
    assert set(drawn[5]) < set(drawn[12])
    assert drawn[12] == [identity for identity in drawn[99] if identity in drawn[12]]
    assert drawn[5] != [case.id for case in load_dataset(path, limit=5, seed=4).cases]


def test_stories_cannot_be_pooled(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"LoCoMo cannot be pooled.*It is for HotpotQA"):
        load_dataset(write(tmp_path / "locomo.json", [LOCOMO]), pooled=True)


@given(seed=st.integers(0, 99), words=st.integers(1, 400), needles=st.integers(1, 5), n=st.integers(1, 13))
def test_a_needle_is_where_its_evidence_says(seed: int, words: int, needles: int, n: int) -> None:
    name = f"needle:words={words},needles={needles},n={n}"
    dataset = load_dataset(name, seed=seed)
    assert dataset == load_dataset(name, seed=seed)
    assert len(dataset.cases) == len(dataset.documents) == n
    for case in dataset.cases:
        (sentence,) = gold(dataset, case, Unit.SENTENCE)
        text = dataset.documents[case.documents[0]].text
        assert sentence == f"{case.question.removesuffix('?').replace('What is t', 'T')} is {case.answers[0]}."
        assert text.count(sentence) == 1
        assert text.count("The code of the ") == needles
        assert words <= len(text.split())


@given(seed=st.integers(0, 99), pairs=st.integers(6, 60))
def test_nested_keys_lead_to_the_answer(seed: int, pairs: int) -> None:
    dataset = load_dataset(f"nested-keys:pairs={pairs},levels=0-4,n=6", seed=seed)
    assert [case.labels["hops"] for case in dataset.cases] == ["1", "2", "3", "4", "5", "1"]
    for case in dataset.cases:
        document = dataset.documents[case.documents[0]]
        values = dict(document.text[part.start : part.end].split(": ") for part in document.parts)
        assert len(values) == pairs
        key = next(key for key in values if key in case.question)
        walked = []
        while key in values:
            walked.append(f"{key}: {values[key]}")
            key = values[key]
        assert (key,) == case.answers
        assert walked == gold(dataset, case, Unit.SENTENCE)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("needle:length=16k", "'length=16k' is no setting of needle. It knows n=NUMBER, words=NUMBER"),
        ("needle:n=0", "at least one question"),
        ("needle:needles=9999", "number of needles is out of range"),
        ("nested-keys:pairs=3,levels=5", "levels are out of range"),
        ("needle:words=many", "'words=many' is no setting"),
    ],
)
def test_a_wrong_setting_is_named(name: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load_dataset(name)


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
            assert evidence.page is not None or _text(dataset, evidence).strip()
