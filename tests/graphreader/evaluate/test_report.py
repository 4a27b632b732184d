"""The report: every number is in it, and nothing of a document or a model gets into it as markup."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fakes import ScriptedModel, by_step
from hypothesis import given
from hypothesis import strategies as st

from graphreader import Settings
from graphreader.errors import GraphReaderError, ModelRefusedError
from graphreader.evaluate.cases import Dataset
from graphreader.evaluate.folder import RECORDS, SETTINGS
from graphreader.evaluate.record import Record, line_of
from graphreader.evaluate.report import write_report
from graphreader.evaluate.report.plot import Point, plot_of
from graphreader.evaluate.run import evaluate
from graphreader.records import Usage

from .conftest import SCRIPT, OpenReader, mill_dataset

HOSTILE = "</style><script>document.title='owned'</script><img src=x onerror=alert(1)> & \"q\" {{ 7*7 }}"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)


class Tags(HTMLParser):
    """The tags of a page with how often each occurs, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.count: dict[str, int] = {}
        self.attributes: set[str] = set()
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.words += data


def hostile_dataset() -> Dataset:
    dataset = mill_dataset(6)
    cases = tuple(
        replace(case, question=f"{case.question} {HOSTILE}", labels={"hops": str(2 + number % 2), HOSTILE: HOSTILE})
        for number, case in enumerate(dataset.cases)
    )
    return replace(dataset, name=f"mills {HOSTILE}", cases=cases)


def hostile_script(prompt: str, schema: Any) -> Any:
    if "number 1" in prompt:
        raise ModelRefusedError(HOSTILE)
    answer = {"excerpts": [1], "answerable": "yes", "answer": HOSTILE}
    return by_step(SCRIPT | {"answer": answer, "plan": {"steps": [HOSTILE]}})(prompt, schema)


def plain(number: int, labels: dict[str, str], score: float = 1.0, question: str = "") -> Record:
    return Record(
        id=str(number),
        mode="search",
        question=question or f"question {number}",
        gold=("gold",),
        answer="said",
        answerable=True,
        citations=(),
        scores={"em": score, "f1": score, "score": score},
        evidence={},
        usage=asdict(Usage(llm_calls=1, prompt_tokens=9)),
        error=None,
        trace=f"traces/search/{number}.json",
        labels=labels,
    )


def run_at(folder: Path, records: list[Record], dataset: str = "mills") -> Path:
    folder.mkdir(parents=True)
    (folder / RECORDS).write_text("".join(f"{line_of(record)}\n" for record in records), encoding="utf-8")
    (folder / SETTINGS).write_text(json.dumps({"identity": {"dataset": dataset}}), encoding="utf-8")
    return folder


@pytest.fixture
def folders(open_reader: OpenReader, tmp_path: Path) -> list[Path]:
    """Two runs of one dataset: with as many explorers as there are, and with one, whose model always fails."""
    with open_reader(ScriptedModel(hostile_script)) as reader:
        evaluate(hostile_dataset(), reader, modes=["graph", "search"], out=tmp_path / "five")
    one = Settings.load(explore={"max_explorers": 1})
    refusing = ScriptedModel(lambda *_: (_ for _ in ()).throw(ModelRefusedError("no")))
    with open_reader(refusing, one) as reader:
        evaluate(hostile_dataset(), reader, modes=["graph"], out=tmp_path / "one")
    return [tmp_path / "five", tmp_path / "one"]


def test_the_numbers(folders: list[Path], tmp_path: Path) -> None:
    page, data = write_report(folders, tmp_path / "report")
    numbers = json.loads(data.read_text(encoding="utf-8"))
    assert [run["name"] for run in numbers["runs"]] == ["five/graph", "five/search", "one/graph"]
    assert [run["failed"] for run in numbers["runs"]] == [1, 1, 6]
    pairs = {(pair["first"], pair["second"]): pair for pair in numbers["comparisons"]}
    assert len(pairs) == 3
    assert all(pair["n"] == 6 and pair["low"] <= pair["mean"] <= pair["high"] for pair in pairs.values())
    by = {group["by"]: group for group in numbers["groups"]}
    assert by["hops"]["values"] == ["2", "3"]
    assert by["hops"]["rows"][0]["cells"]["2"]["n"] == 3
    assert by["answerable"]["values"] == ["no", "yes"]
    assert numbers["folders"][1]["settings"]["identity"]["settings"]["explore"]["max_explorers"] == 1
    words = Tags(page.read_text(encoding="utf-8")).words
    for expected in ("five/graph", "ModelRefusedError 6", "retrieved", "noted", "by hops", "max_explorers"):
        assert expected in words


def test_pairs_are_compared_by_all_that_both_have(folders: list[Path], tmp_path: Path) -> None:
    page, data = write_report(folders, tmp_path / "report")
    numbers = json.loads(data.read_text(encoding="utf-8"))
    runs = {run["name"]: run for run in numbers["runs"]}
    for pair in numbers["comparisons"]:
        first, second = runs[pair["first"]], runs[pair["second"]]
        assert pair["scores"].keys() == first["scores"].keys() & second["scores"].keys() - {"score"}
        for name, found in [("score", pair), *pair["scores"].items()]:
            assert found["low"] <= found["mean"] <= found["high"]
            if found["n"] == 6:
                means = first["scores"][name]["mean"] - second["scores"][name]["mean"]
                assert found["mean"] == pytest.approx(means, abs=2e-4)
        assert pair["evidence"].keys() <= first["evidence"].keys() & second["evidence"].keys()
    modes = next(pair for pair in numbers["comparisons"] if "one/graph" not in (pair["first"], pair["second"]))
    assert set(modes["evidence"]) == {"retrieved", "read", "cited"}
    text = page.read_text(encoding="utf-8")
    shown = Tags(text[text.index('<section id="differences">') : text.index('<section id="evidence">')]).words
    for expected in ("other scores", "EM", "ROUGE-L", "answerable", "gold evidence", "read"):
        assert expected in shown


def test_runs_of_each_dataset_are_compared_with_its_first(tmp_path: Path) -> None:
    mills, wells, other = (
        run_at(tmp_path / name, [plain(number, {}, question=f"{dataset} {number}") for number in range(4)], dataset)
        for name, dataset in (("mills", "mills"), ("wells", "wells"), ("other", "wells"))
    )
    page, data = write_report([mills, wells, other], tmp_path / "report")
    pairs = json.loads(data.read_text(encoding="utf-8"))["comparisons"]
    assert [(pair["first"], pair["second"], pair["n"]) for pair in pairs] == [("wells/search", "other/search", 4)]
    text = page.read_text(encoding="utf-8")
    shown = Tags(text[text.index('<section id="differences">') : text.index('<section id="worst">')]).words
    assert "wells/search with each other run of the dataset" in shown
    assert "than other/search" in shown


@pytest.mark.parametrize(("kinds", "others"), [(21, 0), (30, 6)])
def test_no_kind_of_question_is_left_out(tmp_path: Path, kinds: int, others: int) -> None:
    # Each kind has two questions, but the first has more; the last of them are the least frequent.
    records = [plain(number, {"type": f"task {number % kinds}"}) for number in range(2 * kinds)]
    records += [plain(2 * kinds + number, {"type": "task 0"}, score=0.0) for number in range(2)]
    page, data = write_report([run_at(tmp_path / "run", records)], tmp_path / "report")
    group = next(group for group in json.loads(data.read_text(encoding="utf-8"))["groups"] if group["by"] == "type")
    assert (len(group["values"]), group["others"]) == (kinds - others, others)
    (row,) = group["rows"]
    assert (row["cells"]["task 0"]["n"], row["cells"]["task 0"]["mean"]) == (4, 0.5)
    assert sum(cell["n"] for cell in row["cells"].values()) + 2 * others == len(records)
    assert (row["others"] or {"n": 0})["n"] == 2 * others
    words = Tags(page.read_text(encoding="utf-8")).words
    assert ("others are 6 more" in words) == (others > 0)
    assert all(value in words for value in group["values"])


def test_a_judge_that_could_not_be_measured_is_told(folders: list[Path], tmp_path: Path) -> None:
    path = folders[1] / "summary.json"
    judge = {"name": "strict", "false_accepts": None, "problem": f"No reply {HOSTILE}"}
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"judge": judge}), "utf-8")
    page, _ = write_report(folders, tmp_path / "report")
    words = Tags(page.read_text(encoding="utf-8")).words
    assert "Judge: strict." in words
    assert f"could not be measured: No reply {HOSTILE}" in words


def test_folders_of_the_same_name_and_one_named_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    old, new = (run_at(tmp_path / name / "run", [plain(1, {})]) for name in ("old", "new"))
    _, data = write_report([old, new, Path("old/run")], tmp_path / "report")
    numbers = json.loads(data.read_text(encoding="utf-8"))
    assert [run["name"] for run in numbers["runs"]] == ["old/run/search", "new/run/search"]


def test_worst_questions_stand_there_with_their_traces(folders: list[Path], tmp_path: Path) -> None:
    page, _ = write_report(folders, tmp_path / "report")
    text = page.read_text(encoding="utf-8")
    worst = Tags(text[text.index('<section id="worst">') :]).words
    assert "Who built tide mill number 1?" in worst
    assert "start_nodes" in worst
    assert re.search(r"q\d: \d+ steps", worst)
    assert "Ada Brandt" in worst


def test_text_stays_text(folders: list[Path], tmp_path: Path) -> None:
    page, _ = write_report(folders, tmp_path / "report")
    text = page.read_text(encoding="utf-8")
    tags = Tags(text)
    assert HOSTILE in tags.words
    assert not tags.count.keys() & {"script", "img", "iframe", "object", "link"}
    assert tags.count["style"] == 1
    assert not {name for name in tags.attributes if name.startswith("on")} | tags.attributes & {"src", "href"}
    assert "default-src 'none'" in text


def test_one_run_is_named_by_its_modes(folders: list[Path], tmp_path: Path) -> None:
    _, data = write_report(folders[:1], tmp_path / "report")
    assert [run["name"] for run in json.loads(data.read_text(encoding="utf-8"))["runs"]] == ["graph", "search"]


def test_a_trace_elsewhere_is_not_shown(folders: list[Path], tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('[{"actor": "secret", "action": "x", "detail": {}}]', encoding="utf-8")
    path = folders[1] / "records.jsonl"
    path.write_text(re.sub(r'"traces/[^"]*"', f'"../{secret.name}"', path.read_text("utf-8")), "utf-8")
    with pytest.raises(GraphReaderError, match="outside"):
        write_report(folders, tmp_path / "report")


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(GraphReaderError, match="holds no records"):
        write_report([tmp_path], tmp_path)


@given(st.lists(st.tuples(st.floats(1, 1e7), st.floats(0, 1), st.text(max_size=30)), min_size=1, max_size=20))
def test_points_and_names_stand_within_the_drawing(entries: list[tuple[float, float, str]]) -> None:
    points = [Point(name, name, cost, score, score / 2, (1 + score) / 2) for cost, score, name in entries]
    for width, height in ((860, 400), (360, 340)):
        drawing = plot_of(points, width, height, "wide")
        places = re.findall(r'<circle class="dot" cx="([\d.-]+)" cy="([\d.-]+)"', drawing)
        assert len(places) == len(points)
        assert all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in places)
        labels = re.findall(r'<text class="label" x="([\d.-]+)" y="([\d.-]+)"', drawing)
        assert all(0 <= float(y) <= height for _, y in labels)
        assert Tags(drawing).count["circle"] == len(points)


def test_a_run_that_cost_nothing_is_not_drawn() -> None:
    assert plot_of([Point("a", "a", 0.0, 0.5, 0.4, 0.6)], 860, 400, "wide") == ""


@pytest.mark.skipif(BROWSER is None, reason=f"needs one of {', '.join(NAMES)}")
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_in_a_browser_is_no_wider_than_the_window(folders: list[Path], tmp_path: Path, width: int) -> None:
    page, _ = write_report(folders, tmp_path / "report")
    # The page allows no script of its own, so a frame of this width measures it from outside.
    text = page.read_text(encoding="utf-8")
    policy = re.search(r"<meta http-equiv[^>]*>", text)
    assert policy is not None
    measured = text.replace(policy[0], "").replace(
        "</body>", "<script>document.title = document.documentElement.scrollWidth</script></body>"
    )
    (tmp_path / "measured.html").write_text(measured, encoding="utf-8")
    frame = f'<iframe id="f" src="measured.html" style="width:{width}px;height:900px;border:0"></iframe>'
    script = "<script>f.onload = () => document.title = f.contentDocument.title</script>"
    (tmp_path / "frame.html").write_text(f"<title>-</title>{frame}{script}", encoding="utf-8")
    assert BROWSER is not None
    done = subprocess.run(
        [
            *(BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--disable-extensions", "--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}"),
            *("--allow-file-access-from-files", "--window-size=1400,1000", "--virtual-time-budget=2000", "--dump-dom"),
            (tmp_path / "frame.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    title = re.search(r"<title>([^<]*)</title>", done.stdout)
    assert title is not None
    assert title[1].isdecimal(), done.stdout[:500]
    assert int(title[1]) <= width
