"""The report's tables, cell by cell: text, what a cell is sorted by, and where numbers stand."""

from __future__ import annotations

from datetime import date
from html.parser import HTMLParser

import pytest

from mlr.analysis.compare.comparison import CompareRow
from mlr.analysis.quantities import Quantity
from mlr.analysis.report import content, tables
from mlr.records.reading import Recorded
from tests.analysis.report.making import add_run, config, metrics, small_sweep
from tests.records.written import write_run

DASH = "–"


class Cells(HTMLParser):
    """Rows of cells: text, data-value, and True if it is set as a number."""

    def __init__(self, html: str):
        super().__init__()
        self.rows: list[list[tuple[str, str | None, bool]]] = []
        self.about: tuple = ()
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            found = dict(attributes)
            self.rows[-1].append(("", found.get("data-value"), found.get("class") == "number"))

    def handle_data(self, data):
        if self.rows and self.rows[-1] and data.strip():
            text, *about = self.rows[-1].pop()
            self.rows[-1].append((text + data, *about))


def texts(row) -> list[str]:
    return [text for text, _, _ in row]


@pytest.fixture
def sweep(tmp_path):
    return content.read(small_sweep(tmp_path / "sweep"))


def test_the_ranking_is_that_of_compare_with_further_numbers(sweep):
    head, first, *_, last = Cells(tables.rankings(sweep)).rows
    assert texts(head) == [
        *("rank", "head + loss", "lr", "runs", "test accuracy ↑", "against the first"),
        *("test loss ↓", "validation accuracy ↑", "training accuracy ↑", "‖dL/dz‖ where wrong"),
        *("stuck ↓", "updates to 90 % ↓", "epochs to 90 % ↓"),
    ]
    assert texts(first) == [
        *("1", "softmax + CE", "10", "2", "92.50 ± 0.71 %", "first", "0.0750 ± 0.0071"),
        *("92.50 ± 0.71 %", "92.50 ± 0.71 %", "0.5 ± 0", "25.00 ± 0.00 %", "200", "10"),
    ]
    assert texts(last)[:6] == [
        *("6", "sigmoid + SE", "10", "2 (1 diverged)", "62.50 ± 0.71 %", "needs 3 common seeds")
    ]
    assert texts(last)[-2:] == [DASH, DASH]
    assert [value for _, value, _ in last][-2:] == [None, None]
    words = [place for place, (_, _, number) in enumerate(first) if not number]
    assert words == [1, 5]


def test_every_run_has_its_row_and_its_own_settings(sweep):
    head, first, *_, lost, _, _, _, _, refused = Cells(tables.every_run(sweep)).rows
    assert texts(head)[:6] == ["run", "status", "head + loss", "lr", "seed", "test accuracy"]
    name = "sigmoid+bce,optimizer.lr=0.1,seed=0"
    about = "head._target_mlr.heads.Sigmoidloss._target_mlr.losses.BinaryCrossEntropy"
    assert first[:5] == [
        (f"{name}{about}seed0optimizer.lr0.1", name, False),
        ("done", "done", False),
        ("sigmoid + BCE", "sigmoid + BCE", False),
        ("0.1", "0.1", True),
        ("0", "0.0", True),
    ]
    assert texts(first)[5:] == ["80.00 %", "0.2", "80.00 %", "80.00 %", "0.5", "25.00 %"]
    assert texts(lost)[0].startswith(f"{lost[0][1]}reasonloss/train is not finitehead._target_")
    assert [text for text, value, _ in lost[5:] if value is None] == [DASH] * 6
    assert refused[:3] == [
        ("linear+bce,seed=0loss=bce needs predictions in [0, 1]", "linear+bce,seed=0", False),
        ("refused", "refused", False),
        ("linear + BCE", "linear + BCE", False),
    ]
    assert refused[3:] == [(DASH, None, True)] * 8


def test_settings_that_are_words_are_told_as_words(tmp_path):
    for name in ("relu", "tanh"):
        add_run(tmp_path, "sigmoid", "se", 0, 0.5, model__activation=name)
    found = content.read(tmp_path)
    for html in (tables.rankings(found), tables.every_run(found)):
        head, *rows = Cells(html).rows
        column = texts(head).index("activation")
        assert [row[column] for row in rows] == [("relu", "relu", False), ("tanh", "tanh", False)]


def test_a_run_that_tells_its_updates_and_no_reason(tmp_path):
    write_run(tmp_path / "one", metrics=metrics(0.5), config=config("sigmoid", "se"), steps=640)
    write_run(tmp_path / "two", metrics=metrics(float("nan")), config=config("sigmoid", "se"))
    _, one, two = Cells(tables.every_run(content.read(tmp_path))).rows
    assert (one[0][0], two[0][0]) == ("oneupdates640", "two")  # nothing of a reason
    assert two[4] == (DASH, None, True)
    assert tables.settings({"a": None, "b": True, "c": "é", "d": [1]}) == (
        "<dl><dt>a</dt><dd>null</dd><dt>b</dt><dd>true</dd><dt>c</dt><dd>é</dd>"
        "<dt>d</dt><dd>[1]</dd></dl>"
    )


def test_what_json_does_not_know_is_told_as_text():
    """YAML knows dates."""
    assert tables.settings({"day": date(2026, 11, 30)}) == (
        "<dl><dt>day</dt><dd>&quot;2026-11-30&quot;</dd></dl>"
    )


def test_a_damaged_run_has_its_row_with_the_reason(tmp_path):
    write_run(tmp_path / "whole", metrics=metrics(0.5), seed=0)
    path = write_run(tmp_path / "lost", metrics=metrics(0.5), seed=1) / "status.json"
    path.write_text(path.read_text().replace("sigmoid+se", "sigmoid+ce"))
    *_, lost = Cells(tables.every_run(content.read(tmp_path))).rows
    assert lost[0][0].startswith("lost")
    assert "is damaged" in lost[0][0]
    assert (lost[0][1], lost[1][1]) == ("lost", "damaged")


def test_a_setting_that_one_run_lacks_is_not_common(tmp_path):
    write_run(tmp_path / "one", config=config("sigmoid", "se", optimizer__lr=1))
    write_run(tmp_path / "two", config=config("sigmoid", "bce"))
    write_run(tmp_path / "three")  # tells its command only
    runs = content.read(tmp_path).runs
    assert tables.common(runs) == {"command": "train.py"}
    assert "optimizer.lr" not in tables.common(runs[:2])
    assert tables.common(runs[:1])["optimizer.lr"] == 1
    assert tables.common([]) == {}
    assert tables.common([Recorded(tmp_path / "none", {})]) == {}  # nor is no command told


def row(**changes) -> CompareRow:
    names = ("keys", "members", "place", "seeds", "mean", "std", "verdict", "p", "finals")
    found = dict.fromkeys(CompareRow.__dataclass_fields__) | dict.fromkeys(names)
    found |= {"diverged": 0, "failed": 0, "interrupted": 0, "running": 0}
    made = object.__new__(CompareRow)
    for name, value in (found | changes).items():
        object.__setattr__(made, name, value)
    return made


def test_runs_that_did_not_end_well_are_counted_by_what_became_of_them():
    made = row(seeds=3, diverged=1, failed=2, interrupted=3, running=4)
    html, value, _ = tables._runs(made)
    assert html == ('3 <span class="bad">(1 diverged, 2 failed, 3 interrupted, 4 running)</span>')
    assert (value, tables._runs(row(seeds=2)).html) == (3, "2")


def test_a_verdict_comes_with_its_p():
    html, value, _ = tables._verdict(row(verdict="worse <", p=0.012))
    assert (html, value) == ("worse &lt;, p = 0.012", 0.012)
    assert tables._verdict(row(verdict="first", p=None)).value == "first"


def test_numbers_have_two_decimals_at_most():
    assert tables._time(3.14159) == ("3.14", 3.14159, True)
    assert tables._time(None) == (DASH, None, True)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (True, ("true", "true", False)),
        (None, (DASH, None, False)),
        ("a<b", ("a&lt;b", "a<b", False)),
        (10.0, ("10", 10.0, True)),
        (3, ("3", 3.0, True)),
    ],
)
def test_values_of_settings(value, cell):
    assert tables._value(value) == cell


def test_a_metric_that_is_no_final_number_is_still_the_first():
    finals = [Quantity("loss/test", "test loss"), Quantity("accuracy/test", "test accuracy")]
    assert tables._metric_first(finals, "accuracy/test") == finals[::-1]
    assert tables._metric_first(finals, "f1/test")[0] == Quantity("f1/test", "f1/test")
    assert tables._metric_first([], "f1/test") == [Quantity("f1/test", "f1/test")]


def test_each_data_set_has_its_own_table(tmp_path):
    for data, losses in (("neuron", ("bce", "se")), ("xor", ("bce", "se")), ("moons", ("se",))):
        for place, loss in enumerate(losses):
            add_run(tmp_path, "sigmoid", loss, 0, 0.9 - 0.1 * place, data=data)
    html = tables.rankings(content.read(tmp_path))
    assert html.count("<table") == 2  # one configuration is no ranking
    assert [part.partition("<")[0] for part in html.split("<h3>")[1:]] == ["neuron", "xor"]
    assert html.count("<caption>Configurations, best first, xor</caption>") == 1
