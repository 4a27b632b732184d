"""Rows as the publishers of datasets write them, made up, and what writes them to files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reportlab.pdfgen import canvas

from graphreader.evaluate.cases import Case, Dataset, GoldEvidence, Unit

Row = dict[str, Any]

HOTPOTQA: Row = {
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
WIKI: Row = {
    "_id": "61a46987092f11ebbdaeac1f6bf848b6",
    "type": "bridge_comparison",
    "question": "Which film came out first?",
    "context": [["One", ["One is a film of 1925.", "It is silent."]], ["Two", ["Two is a film of 1930."]]],
    "supporting_facts": [["One", 0], ["Two", 0]],
    "evidences": [["One", "publication date", "1925"], ["Two", "publication date", "1930"]],
    "answer": "One",
}
MUSIQUE: Row = {
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
SQUAD: Row = {
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
LONGBENCH: Row = {
    "input": "Who wrote it?",
    "context": "Passage 1:\nA book\nAnn Lee wrote it.",
    "answers": ["Ann Lee", "Lee"],
    "length": 7,
    "dataset": "hotpotqa",
    "language": "en",
    "all_classes": None,
    "_id": "0a1b",
}
LONGBENCH_V2: Row = {
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
LV_EVAL: Row = {
    "input": "What is he recognised for?",
    "context": "He was recognised for his services to music.",
    "answers": ["For his services to music."],
    "length": 9,
    "dataset": "hotpotwikiqa_mixup_16k",
    "language": "en",
    "answer_keywords": "services to music",
    "confusing_facts": ["He was recognised for his services to art."],
}
LEVAL: Row = {
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
FAIRYTALE_HUB: Row = {
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
NARRATIVE_HUB: Row = {
    "document": {
        "id": "23jncj2n3534563110",
        "kind": "movie",
        "text": "INT. ROOM. Hal waits.",
        "summary": {"title": "Hal"},
    },
    "question": {"text": "Who waits?", "tokens": ["Who", "waits", "?"]},
    "answers": [{"text": "Hal", "tokens": ["Hal"]}, {"text": "The man Hal", "tokens": ["The", "man", "Hal"]}],
}
LOCOMO: Row = {
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
    return [text_of(dataset, evidence) for evidence in case.evidence if evidence.unit is unit]


def text_of(dataset: Dataset, evidence: GoldEvidence) -> str:
    return dataset.documents[evidence.document].text[evidence.start : evidence.end]
