"""A person who swept 2,000 runs sees the answer at first sight, in a real browser."""

import pytest

from mlr.app.board.view import View
from mlr.records.summary import write_summary
from tests.records.sweeps import PAIRS, RATES, write_sweep

pytest.importorskip("selenium")
from tests.records.browser import chromium, tensorboard, wait

# one process makes the runs and starts the browser, for all tests that look at them
pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.xdist_group("summary")]

SEEDS = 64
BEST = [f"best/{pair},lr=0.3" for pair in PAIRS]
CURVES = "path[d*='L']"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sweep")


@pytest.fixture(scope="module")
def summary(folder):
    pairs = write_sweep(folder, SEEDS)
    assert sum(len(group.runs) for groups in pairs.values() for group in groups) == 2048
    return write_summary(folder, list(pairs.values()))


@pytest.fixture(scope="module")
def address(summary):
    with tensorboard(summary) as where:
        yield where


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as window:
        yield window


def test_time_series_draw_the_best_of_each_pair(page, address, summary):
    page.open(f"{address}/{View(summary).link()}")
    wait(lambda: page.shows(*BEST, "5 cards", "logit_grad/wrong"), "names and pinned charts")
    # TensorBoard has seven colours, and one is nearly grey
    wait(lambda: page.colours("line-chart") >= 6, "a colour a pair")
    assert not page.shows("all/")
    page.picture("summary_time_series")


def test_custom_scalars_draw_means_with_bands(page, address, summary):
    page.open(f"{address}/{View(summary).link()}".replace("#timeseries", "#custom_scalars"))
    wait(lambda: page.shows(*BEST, "Who gets gradient?", "Matches (8)"), "runs and charts")
    assert not page.shows("Missing Tags")
    wait(lambda: page.count(CURVES, "vz-line-chart2") >= len(PAIRS), "curves")
    # mean and band have a shape each, the band with its own fill
    wait(lambda: page.colours("vz-line-chart2") >= 6, "colours")
    page.picture("summary_custom_scalars")


def test_hparams_list_every_cell(page, address):
    page.open(f"{address}/#hparams")
    wait(lambda: len(page.table()) >= 20, "rows in view")
    wait(lambda: all(row.get("head") for row in page.table()[:10]), "cells of the table")
    assert page.shows("accuracy (test)", "lr")
    assert len(PAIRS) * len(RATES) == 32
    page.picture("summary_hparams")


def test_the_sweep_itself_is_blank(page, folder, summary):
    """Why the summary is there; and the colours above are not found in an empty chart."""
    with tensorboard(folder) as address:
        plain = View(summary).link().partition("&runFilter")[0] + "#timeseries"
        page.open(f"{address}/{plain}")
        wait(lambda: page.shows("5 cards", "logit_grad/wrong"), "pinned charts")
        assert page.colours("line-chart") == 0
        page.picture("sweep_time_series")
