"""Displays in a notebook: numbers are those of the files, texts those of the terminal."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from math import nan
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pytest
from rich.console import Console

from mlr.analysis import notebook
from mlr.analysis.compare.comparison import CompareResult, Ranking
from mlr.analysis.compare.table import print_comparison
from mlr.analysis.explain.command import print_in_full
from mlr.analysis.notebook import ComparisonDisplay, DiagnosisDisplay, RunDisplay, markup
from mlr.core.checks import InputError
from mlr.diagnosis.findings import Diagnosis
from mlr.records.reading import Recorded
from tests.analysis.compare.test_table import COMPARISON, OTHER, RANKING, ROW
from tests.analysis.notebook.parsed import Parsed

HOSTILE = '<script>alert("1")<&\x1b[2J\u202e'
SAFE = '<script>alert("1")<&\\x1b[2J\\u202e'


@pytest.fixture
def runs(trained_before) -> Path:
    """A sweep of a pair that learns and one that does not, three seeds each."""
    line = ("-m", "head=sigmoid", "loss=se,bce", "model.bias=-10", "seed=0,1,2", "epochs=3")
    return trained_before("runs", *line)


def statuses(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(folder.rglob("status.json"))]


def shown(display) -> Parsed:
    html = display._repr_html_()
    assert len(html) < 40_000
    return Parsed(html)


def words(text: str) -> str:
    return " ".join(text.split())


def printed(print_it, *what) -> str:
    out = io.StringIO()
    print_it(Console(file=out, width=400, highlight=False), *what)
    return out.getvalue()


def test_a_run_shows_the_numbers_of_its_files(runs):
    folder = next(path.parent for path in runs.rglob("status.json") if "+se" in path.parent.name)
    status = json.loads((folder / "status.json").read_text())
    page = shown(notebook.run(folder))
    head, *rows = page.cells()
    assert head == ["", "train", "val", "test"]
    assert [row[0] for row in rows[:2]] == ["loss", "accuracy"]
    for name, *cells in rows[:2]:
        for split, cell in zip(head[1:], cells, strict=True):
            value = status["metrics"][f"{name}/{split}"]
            if name == "accuracy":
                assert cell == f"{100 * value:.2f} %"
            else:
                assert float(cell) == float(f"{value:.4g}")
    for label, tag in (("‖dL/dz‖ where wrong", "logit_grad/wrong"), ("right", "logit_grad/right")):
        (number,) = [text for text in page.text.split(" · ") if f"{label}:" in text]
        assert float(number.split(": ")[1]) == float(f"{status['metrics'][tag]:.4g}")
    assert f"stuck: {100 * status['metrics']['stuck/fraction']:.2f} %" in page.text
    assert {"head=sigmoid", "loss=se", "model.bias=-10"} <= {*status["overrides"]} & {*page.texts}
    assert page.texts[:2] == [folder.name, " "]
    assert "done" in page.texts
    assert len(page.of("svg")) == 2
    assert "saturated" in page.texts
    assert "loss=bce" in page.texts


def test_a_run_without_a_fault_is_reassured(runs):
    folder = next(path.parent for path in runs.rglob("status.json") if "+bce" in path.parent.name)
    display = notebook.run(folder)
    assert "No fault found: the training loss went from " in shown(display).text
    assert repr(display) == f"RunDisplay({folder.name}: sigmoid+bce, done)"


def test_a_comparison_is_that_of_the_terminal(runs, script):
    display = notebook.compare(runs)
    page = shown(display)
    terminal = script("compare.py", str(runs), folder=runs.parent).out
    _, *rows = page.cells()
    for row in page.cells():
        assert words(" ".join(row)) in words(terminal)
    for text in page.texts:
        assert words(text) in words(terminal)
    accuracies: dict[str, list[float]] = {}
    for status in statuses(runs):
        own = accuracies.setdefault(status["pair"], [])
        own.append(100 * status["metrics"]["accuracy/test"])
    order = sorted(accuracies, key=lambda pair: -fmean(accuracies[pair]))
    assert [f"{row[0]}+{row[1]}" for row in rows] == order
    for row, pair in zip(rows, order, strict=True):
        mean, spread = map(float, row[3].removesuffix(" %").split(" ± "))
        digits = 10.0 ** -len(row[3].split(" ")[0].partition(".")[2])
        assert mean == pytest.approx(fmean(accuracies[pair]), abs=0.51 * digits)
        assert spread == pytest.approx(stdev(accuracies[pair]), abs=0.51 * digits)
        assert row[2] == str(len(accuracies[pair]))
    assert repr(display) == "ComparisonDisplay(2 rows of 6 runs by head, loss)"


def test_a_diagnosis_is_that_of_the_terminal(runs, script):
    display = notebook.explain(runs)
    terminal = script("explain.py", str(runs), folder=runs.parent).out
    assert words(shown(display).text) == words(terminal)
    (one,) = display
    assert one.rule == "saturated"
    assert one.count == "3 of 3 runs"
    assert display[0] is one
    assert list(display[1:]) == []
    assert repr(display) == "DiagnosisDisplay(saturated in 3 of 3 runs)"


def test_a_single_run_has_a_line_to_paste(runs):
    folder = next(path.parent for path in runs.rglob("status.json") if "+se" in path.parent.name)
    display = notebook.explain(folder)
    page = shown(display)
    assert words(page.text) == words(printed(print_in_full, display.runs, display.diagnoses))
    (line,) = [text for text in page.texts if "train" in text and "loss=bce" in text]
    assert "loss=se" not in line
    assert "model.bias=-10" in line


def test_without_a_fault_there_is_a_reassurance(runs):
    folder = next(path.parent for path in runs.rglob("status.json") if "+bce" in path.parent.name)
    display = notebook.explain(folder)
    assert len(display) == 0
    assert shown(display).text.startswith("No fault found: ")
    assert repr(display) == "DiagnosisDisplay(no fault)"


@pytest.mark.parametrize("by", ["pair,model.bias", "pair,, model.bias", ["pair", "model.bias"]])
def test_keys_are_a_text_or_a_list(runs, by):
    display = notebook.compare(runs, by=by, metric="loss/val")
    assert display.result.by == ["pair", "model.bias"]
    assert [one.metric for one in display.result.rankings] == ["loss/val", "loss/val"]
    assert "values of different losses (bce, se) have different units" in shown(display).text


def test_several_folders_count_each_run_once(runs):
    (some, *_) = sorted(path.parent for path in runs.rglob("status.json"))
    assert notebook.compare(runs, some).result.runs == 6
    assert len(notebook.explain(runs, some).runs) == 6


def test_one_run_is_asked_for(runs):
    with pytest.raises(InputError, match=r"holds 6 runs; give the folder of one, for example .*, "):
        notebook.run(runs)
    with pytest.raises(InputError, match="is not a folder"):
        notebook.run(runs / "none")
    with pytest.raises(InputError, match="--by=cauchit"):
        notebook.compare(runs, by="cauchit")
    for none in ("", " , ", []):
        with pytest.raises(InputError, match="names no key; give some, as in --by=head,loss"):
            notebook.compare(runs, by=none)


def test_a_damaged_run_is_named_and_does_not_count(runs, capfd):
    folder = next(path.parent for path in runs.rglob("status.json") if "+se" in path.parent.name)
    with (folder / "metrics.csv").open("a") as file:
        file.write("\n")
    assert notebook.compare(runs).result.rows[1].seeds == 2
    assert "mlr: 1 of 6 runs is left out: " in capfd.readouterr().err
    notebook.explain(runs)
    assert "mlr: 1 of 6 runs is left out: " in capfd.readouterr().err


def test_the_best_row_and_the_verdicts_have_grounds():
    _, best, worse = shown(ComparisonDisplay(COMPARISON)).tables[0]
    assert [markup.GOOD in style for _, style in best] == [True] * len(best)
    assert [text for text, style in worse if "background" in style] == ["worse, p = 0.00012"]
    assert all(markup.BAD in style for text, style in worse if text.startswith("worse"))


def test_a_tie_has_the_ground_of_its_verdict():
    rows = [replace(ROW, verdict="first"), replace(OTHER, verdict="not significant", p=0.4)]
    ranking = replace(RANKING, rows=rows, p=np.array([[nan, 0.4], [0.4, nan]]))
    _, first, second = shown(ComparisonDisplay(replace(COMPARISON, rankings=[ranking]))).tables[0]
    assert not [text for text, style in first if "background" in style]
    assert [(text, markup.PLAIN in style) for text, style in second if "background" in style] == [
        ("not significant, p = 0.4", True)
    ]


def titled(result: CompareResult) -> Parsed:
    page = shown(ComparisonDisplay(result))
    assert words(page.text) == words(printed(print_comparison, result))
    return page


def test_every_ranking_has_its_title_and_a_legend_is_written_once():
    rankings = [replace(RANKING, data="digits"), replace(RANKING, data="xor")]
    page = titled(replace(COMPARISON, rankings=rankings))
    assert page.texts.count("mean ± std over seeds") == 1
    assert {"digits", "xor"} <= {*page.texts}
    assert page.text.endswith("different data are not compared with each other: digits, xor")


def test_mixed_rows_and_unended_runs_are_named():
    unended = [Recorded(Path("/x/lost"), {"status": "failed", "reason": "no memory"})]
    page = titled(replace(COMPARISON, mixed=["model"], unended=unended))
    assert "to keep them apart: --by head,loss,model" in page.text
    assert "1 of 24 runs have not finished and are not counted:" in page.text
    assert "failed /x/lost: no memory" in page.text
    assert not [text for text in page.texts if text.startswith("softmax+smoothed_ce is best")]


def test_texts_of_others_are_shown_and_not_obeyed():
    run = Recorded(
        Path("/runs", HOSTILE),
        {
            "status": HOSTILE,
            "pair": HOSTILE,
            "reason": HOSTILE,
            "overrides": [HOSTILE],
            "metrics": {f"{HOSTILE}/train": 1.0},
        },
    )
    page = shown(RunDisplay(run))
    assert page.text.count(SAFE) == 7
    keys = {"head": HOSTILE, "loss": HOSTILE}
    row = replace(ROW, keys=keys, members=[run])
    ranking = Ranking(HOSTILE, "", HOSTILE, None, None, [row], np.full((1, 1), nan))
    result = CompareResult(["head", "loss"], [ranking], [], [run], 1)
    assert shown(ComparisonDisplay(result)).text.count(SAFE) >= 6
    found = Diagnosis(HOSTILE, HOSTILE, HOSTILE, HOSTILE, [HOSTILE], cell=HOSTILE)
    page = shown(DiagnosisDisplay([run], [found]))
    assert page.text.count(SAFE) >= 5


def test_more_than_a_screenful_is_folded():
    found = [Diagnosis(f"rule_{at}", "It is.", "x 1", "", ["a"], "cell", 3) for at in range(15)]
    page = shown(DiagnosisDisplay([], found))
    assert page.texts.index("… and 3 more") == page.texts.index("rule_12") - 1
    assert "in 1 of 3 runs" in page.text


def test_a_run_that_failed_shows_why():
    run = Recorded(Path("x"), {"status": "failed", "pair": "sigmoid+se", "reason": "disk full"})
    page = shown(RunDisplay(run))
    assert page.texts[0] == "x"
    assert {"failed", "disk full"} <= {*page.texts}
    assert page.text.endswith(
        "There are no final numbers to judge (failed); train to an end first."
    )
    assert not page.tables
    assert not page.of("svg")
    (badge,) = [own["style"] for own in page.of("b") if own]
    assert markup.BAD in badge


def test_a_number_that_is_missing_or_infinite_is_written():
    metrics = {"loss/train": float("inf"), "loss/test": 1e39, "accuracy/test": 0.5}
    page = shown(RunDisplay(Recorded(Path("x"), {"status": "diverged", "metrics": metrics})))
    assert page.cells() == [
        ["", "train", "test"],
        ["loss", "inf", "1e+39"],
        ["accuracy", "–", "50.00 %"],
    ]
