"""TensorBoard shows the runs that scripts/train.py made, seen in a real browser."""

import csv
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from mlr.records.tensorboard.layout import PAGES, link

pytest.importorskip("selenium")
from tests.records.browser import chromium, tensorboard, wait

# one process makes the runs and starts the browser, for all tests that look at them
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dashboards")]

TRAIN = Path(__file__).parents[3] / "scripts" / "train.py"
HEADS, LOSSES, SEEDS = ("clipped_linear", "sigmoid", "softmax"), ("se", "bce", "ce"), (0, 1)
REFUSED = {("clipped_linear", "ce"), ("sigmoid", "ce")}  # ten classes
PAIRS = [(head, loss) for head in HEADS for loss in LOSSES if (head, loss) not in REFUSED]
JOBS = {
    # first by name: TensorBoard takes its columns and pages for all, and it has the fewest
    "a line": ["hydra.run.dir=runs/a line", "experiment=line", "epochs=10"],
    "sweep": [
        *("-m", "hydra.sweep.dir=runs/sweep", "epochs=10", "seed=0,1"),
        *(f"head={','.join(HEADS)}", f"loss={','.join(LOSSES)}"),
    ],
    "neuron": ["-m", "hydra.sweep.dir=runs/neuron", "experiment=neuron", "loss=se,bce"],
}
SWEEP = [f"sweep/{head}+{loss},seed={seed}" for head, loss in PAIRS for seed in SEEDS]
NEURONS = [f"neuron/sigmoid+{loss}" for loss in ("se", "bce")]
NAMES = ["a line", *SWEEP, *NEURONS]
COLUMNS = ("head", "loss", "lr", "model", "seed")
METRICS = {
    **{"accuracy (test)": "accuracy/test", "loss (test)": "loss/test"},
    **{"accuracy (val)": "accuracy/val", "logit_grad (wrong)": "logit_grad/wrong"},
    "logit_grad (right)": "logit_grad/right",
}
OF_A_NEURON = ("loss_curve", "course", "output", "fit", "most_wrong", "confusion", "reliability")
TAGS = ("logit_grad/wrong", "logit_grad/right", "stuck/fraction", "accuracy/val", "loss/val")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder `runs` of a person who tried three things."""
    where = tmp_path_factory.mktemp("person")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # three programs at once
    started = [
        subprocess.Popen(
            [sys.executable, TRAIN, *overrides],
            cwd=where,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for overrides in JOBS.values()
    ]
    for job in started:
        printed, _ = job.communicate(timeout=120)
        assert job.returncode == 0, printed
    return where / "runs"


@pytest.fixture(scope="module")
def metrics(folder):
    """Final numbers by run, as status.json has them."""
    found = {}
    for path in folder.rglob("status.json"):
        status = json.loads(path.read_text())
        assert status["status"] == "done"
        name = path.parent.relative_to(folder).as_posix()
        found[name] = {tag: float(value) for tag, value in status["metrics"].items()}
    assert sorted(found) == sorted(NAMES)
    return found


@pytest.fixture(scope="module")
def address(folder):
    with tensorboard(folder) as where:
        wait(lambda: set(ask(where, "runs")) == set(NAMES), "all runs")
        yield where


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as window:
        yield window


def ask(address: str, path: str, body: object = None):
    """Answers of TensorBoard's server to its own pages."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(f"{address}/data/{path}", data, {"Content-Type": "application/json"})
    with urlopen(request, timeout=30) as answer:
        return json.load(answer)


def recorded(run: Path) -> set[str]:
    """Tags that a run's table has a number for."""
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {tag for tag in rows[0] if any(row[tag] for row in rows)} - {"step", "epoch"}


def groups(address: str) -> list[dict]:
    """The rows of the HPARAMS page, sorted by seed."""
    experiment = ask(address, "plugin/hparams/experiment", {"experimentName": ""})
    columns = [{"hparam": info["name"]} for info in experiment["hparamInfos"]]
    columns += [{"metric": info["name"]} for info in experiment["metricInfos"]]
    for column in columns:
        column["includeInResult"] = True
        if column.get("hparam") == "seed":
            column["order"] = "ORDER_ASC"
    query = {
        "experimentName": "",
        "allowedStatuses": ["STATUS_SUCCESS"],
        "colParams": columns,
        "startIndex": 0,
        "sliceSize": 1000,
    }
    return ask(address, "plugin/hparams/session_groups", query)["sessionGroups"]


@pytest.mark.parametrize("fast", ["true", pytest.param("false", marks=pytest.mark.long)])
def test_both_data_servers_read_what_the_runs_recorded(folder, metrics, fast):
    with tensorboard(folder, "--load_fast", fast) as address:
        names = {name: recorded(folder / name) for name in NAMES}

        def tags():
            return {run: set(of) for run, of in ask(address, "plugin/scalars/tags").items()}

        wait(lambda: tags() == names, "every run once, no other run, all tags")
        runs = ask(address, "runs")
        assert sorted(runs) == sorted(NAMES)
        for run in (SWEEP[0], NEURONS[0]):
            where = f"run={quote(run)}&tag=loss/train"
            points = ask(address, f"plugin/scalars/scalars?{where}")
            assert points[-1][2] == pytest.approx(metrics[run]["loss/train"], rel=1e-6)
        layout = ask(address, "plugin/custom_scalars/layout")
        assert [category["title"] for category in layout["category"]] == list(PAGES)
        rows = groups(address)
        assert len(rows) == len(NAMES)
        assert [row["hparams"]["seed"].strip() for row in rows] == ["0"] * 10 + ["1"] * 7
        for row in rows:
            (session,) = row["sessions"]
            shown = {value["name"]["tag"]: float(value["value"]) for value in row["metricValues"]}
            final = metrics[session["name"]]
            final = {tag: final[tag] for tag in METRICS.values() if tag in final}
            last = {tag: shown[tag] for tag in final}
            assert last == pytest.approx(final, rel=1e-6, nan_ok=True)


# a path with a line in it, of a chart that is in view: what is scrolled out is not drawn
CURVES = "path[d*='L']"


def test_time_series_pin_the_questions(page, address):
    page.open(f"{address}/{link(TAGS)}")
    wait(lambda: page.shows(*NAMES[:8], "5 cards", *TAGS[:4]), "names of runs and tags")
    wait(lambda: page.colours("line-chart") >= 6, "a colour for each pair")
    page.picture("time_series")


def test_scalars_draw_every_run(page, address):
    page.open(f"{address}/#scalars")
    wait(lambda: page.shows(*NAMES, "accuracy/train", "grad_norm/output"), "names")
    wait(lambda: page.count(CURVES, "vz-line-chart2") >= len(NAMES), "curves")
    page.picture("scalars")


def test_custom_scalars_answer_the_questions(page, address):
    page.open(f"{address}/#custom_scalars")
    wait(lambda: page.shows(*NAMES, *PAGES), "questions")
    text = page.text()
    assert [text.index(question) for question in PAGES] == sorted(map(text.index, PAGES))
    charts = ("wrong examples: mean ‖dL/dz‖", "Matches (16)", "all examples: mean ‖dL/dz‖")
    wait(lambda: page.shows(*charts, "Matches (17)"), "charts of a classification, of all")
    wait(lambda: page.count(CURVES, "vz-line-chart2") >= len(NAMES), "curves")
    page.picture("custom_scalars")
    page.show_element("Which layer starves?")
    wait(lambda: page.shows("output: gradient norm"), "a chart a layer")
    wait(lambda: page.count(CURVES, "vz-line-chart2") >= 3 * len(NAMES), "curves")
    page.picture("custom_scalars_below")


def test_hparams_list_every_run_with_its_final_numbers(page, address, metrics):
    page.open(f"{address}/#hparams")
    wait(lambda: len(page.table()) == len(NAMES), "rows")
    wait(lambda: all(row.get("head") for row in page.table()), "cells")
    rows = page.table()
    assert list(rows[0])[2:] == [*COLUMNS, *METRICS]
    shown = {}
    for row in rows:
        if row["lr"] == "0.10000":
            name = "a line"
        elif row["lr"] == "0.15000":
            name = f"neuron/sigmoid+{row['loss']}"
        else:
            name = f"sweep/{row['head']}+{row['loss']},seed={row['seed']}"
        shown[name] = {tag: float(row[head] or "inf") for head, tag in METRICS.items()}
    assert sorted(shown) == sorted(NAMES)
    for name, numbers in shown.items():
        expected = {tag: metrics[name].get(tag, math.inf) for tag in METRICS.values()}
        assert numbers == pytest.approx(expected, rel=1e-4, nan_ok=True)
    page.picture("hparams")


def test_histograms_are_drawn(page, address):
    page.open(f"{address}/#histograms")
    wait(lambda: page.shows(*NAMES, "histogram/logit_grad"), "names of runs and tags")
    wait(lambda: page.count(CURVES, "vz-histogram-timeseries") >= 6 * 25, "histograms")
    page.picture("histograms")


def test_images_stand_pixel_by_pixel(page, address):
    page.open(f"{address}/#images")
    wait(lambda: page.shows("figure/confusion", "sigmoid+bce"), "names of runs and tags")
    sizes = """return found.filter(e => e.localName === 'img' && e.naturalWidth
      && e.getClientRects().length).map(e => [e.naturalWidth, e.clientWidth])"""
    wait(lambda: len(page.run(sizes)) >= 6, "images")
    assert all(natural == shown for natural, shown in page.run(sizes))
    page.picture("images")
    drawn = ask(address, "plugin/images/tags")
    assert set(drawn[NEURONS[0]]) == {f"figure/{name}" for name in OF_A_NEURON}
    first = {name for name in NAMES if name in NEURONS or name.endswith(("seed=0", "a line"))}
    assert {run for run, tags in drawn.items() if tags} == first


def test_pr_curves_are_drawn(page, address):
    page.open(f"{address}/#pr_curves")
    wait(lambda: page.shows("class 0", "pr_curve/0", "class 1"), "classes")
    wait(lambda: page.count(CURVES, "vz-line-chart2") >= 8, "curves")
    page.picture("pr_curves")
