"""One rule: the terminal, compare, report and the summary order the same runs in the same way.

The orders are written by hand, from the table below.
"""

from __future__ import annotations

import io
from math import nan

import pytest
from rich.console import Console

from mlr.analysis.compare.comparison import compare
from mlr.analysis.compare.table import print_comparison
from mlr.analysis.report import content, tables
from mlr.app.sweep import summary as ranking
from mlr.records.outcome import Outcome
from mlr.records.reading import read_runs
from mlr.records.summary import write_summary
from tests.records.reading import names
from tests.records.written import write_run

# pair, learning rate: test accuracy, validation accuracy, how many of ten runs diverge
CELLS = {
    ("softmax+ce", "0.5"): (0.93, 0.90, 0),
    ("softmax+ce", "0.1"): (0.90, 0.95, 0),
    ("sigmoid+bce", "0.1"): (0.92, 0.92, 0),
    ("sigmoid+bce", "0.5"): (0.99, 0.99, 2),
    ("sigmoid+se", "0.1"): (0.90, 0.50, 0),
    ("sigmoid+se", "0.5"): (0.20, 0.20, 1),
    ("linear+se", "0.1"): (nan, nan, 10),
    ("linear+se", "0.5"): (nan, nan, 10),
}
ALL = [
    ("softmax+ce", "0.5"),
    ("sigmoid+bce", "0.1"),
    ("sigmoid+se", "0.1"),  # equal to the next, and before it in the alphabet
    ("softmax+ce", "0.1"),
    ("sigmoid+se", "0.5"),  # one of ten runs lost
    ("sigmoid+bce", "0.5"),  # the highest, but two of ten runs are lost
    ("linear+se", "0.1"),
    ("linear+se", "0.5"),
]
PLACES = [1, 2, 3, 3, 5, 6, 7, 7]
CHOSEN = [
    ("sigmoid+bce", "0.1"),
    ("sigmoid+se", "0.1"),
    ("softmax+ce", "0.1"),  # by validation; the test would choose 0.5
    ("linear+se", "0.1"),
]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder, outcomes = tmp_path_factory.mktemp("sweep"), []
    for (pair, rate), (test, val, lost) in CELLS.items():
        for seed in range(10):
            status = "diverged" if seed < lost else "done"
            numbers = {"accuracy/test": test, "accuracy/val": val, "loss/test": 0.5}
            metrics = numbers if status == "done" else dict.fromkeys(numbers, nan)
            typed = [f"optimizer.lr={rate}", f"seed={seed}"]
            place = folder / f"{pair},lr={rate},seed={seed}"
            curve = {"loss/train": [1.0, 0.5], "accuracy/val": [0.1, val if val == val else 0]}
            write_run(place, pair, seed, typed, status, metrics, curve)
            outcomes.append(Outcome(place.name, typed, status, None, place, metrics, pair=pair))
    return folder, outcomes


def lines(draw) -> list[list[str]]:
    """Words of the printed output."""
    out = io.StringIO()
    draw(Console(file=out, width=250, highlight=False))
    return [line.split() for line in out.getvalue().splitlines()]


def cells_of(words: list[list[str]]) -> list[tuple[str, str]]:
    """The rows that begin with a pair and a learning rate."""
    rates = {rate for _, rate in CELLS}
    return [(line[0], line[1]) for line in words if line[1:2] and line[1] in rates]


def test_the_terminal(sweep):
    _, outcomes = sweep
    ended = [ranking._recorded(one, len(outcomes)) for one in outcomes]
    printed = lines(lambda out: ranking._print_rankings(out, ended))
    assert cells_of(printed) == ALL
    said = [" ".join(line) for line in printed]
    assert "23 of 80 runs diverged" in said
    (headline,) = [line for line in said if line.startswith("sigmoid+bce is best")]
    assert headline.endswith(
        "Every run of linear+se diverged. Each is ranked at its learning rate of the best "
        "validation accuracy."
    )


def test_compare(sweep):
    runs = read_runs(sweep[0])
    found = compare(runs, ["pair", "lr"])
    assert cells_of(lines(lambda out: print_comparison(out, found))) == ALL
    assert [row.place for row in found.rows] == PLACES
    best = compare(runs)
    assert [(f"{r.keys['head']}+{r.keys['loss']}", str(r.lr)) for r in best.rows] == CHOSEN


def test_report(sweep):
    found = content.read(sweep[0])
    order = [(group.panel.pair, str(group.chosen["optimizer.lr"])) for group in found.groups]
    assert order == ALL
    best = [(pair, str(one.chosen["optimizer.lr"])) for (_, pair), one in found.best.items()]
    assert sorted(best) == sorted(CHOSEN)
    table = tables.rankings(found)
    places = [int(row.partition('data-value="')[2].partition('"')[0]) for row in rows(table)]
    assert places == PLACES


def rows(html: str) -> list[str]:
    return html.split("<tbody>")[1].split("<tr>")[1:]


def test_summary(sweep):
    folder, outcomes = sweep
    ended = [ranking._recorded(one, len(outcomes)) for one in outcomes]
    summary = write_summary(folder, ranking.summary_lines(ended))
    assert names(summary / "best") == sorted(f"{pair},lr={rate}" for pair, rate in CHOSEN)


def test_runs_too_many_to_read_are_ranked_the_same(sweep, monkeypatch):
    monkeypatch.setattr(ranking, "MOST_EXPLAINED", 10)
    ended = [ranking._recorded(one, len(sweep[1])) for one in sweep[1]]
    assert all("command" not in run.entries for run in ended)
    printed = lines(lambda out: ranking._print_rankings(out, ended))
    assert cells_of(printed) == ALL
    assert "updates" not in printed[0]
