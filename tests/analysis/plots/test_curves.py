from __future__ import annotations

import numpy as np
import pytest

from mlr.analysis.plots import learning_curves, wrong_gradients
from mlr.analysis.plots.curves import lines
from mlr.core.checks import InputError
from mlr.records.reading import read_runs
from tests.analysis.plots.reading import assert_inside, band, curve, names, statistics, table
from tests.analysis.report.making import TARGETS, add_run, config, small_sweep
from tests.records.written import write_run


@pytest.fixture
def sweep(tmp_path):
    return small_sweep(tmp_path / "sweep")


CHOSEN = {"softmax + CE, lr=10": 10.0, "sigmoid + BCE, lr=10": 10.0, "sigmoid + SE, lr=0.1": 0.1}
"""By validation data; at the rate 10 squared error lost a run. The best pair first."""


def test_a_line_is_the_mean_over_seeds_and_its_band_holds_80_percent(sweep):
    figure = learning_curves(sweep, "accuracy/val")
    (axes,) = figure.axes
    assert names(figure) == list(CHOSEN)
    for place, (name, rate) in enumerate(CHOSEN.items()):
        pair = name.partition(",")[0].replace(" ", "").lower()
        told = statistics(sorted(sweep.glob(f"{pair},optimizer.lr={rate},*")), "accuracy/val")
        drawn = curve(axes, name)
        np.testing.assert_array_equal(drawn[:, 0], told["steps"])
        np.testing.assert_allclose(drawn[:, 1], told["mean"], rtol=1e-6)
        np.testing.assert_allclose(band(axes, place), [told["low"], told["high"]], rtol=1e-6)
        assert told["low"][-1] < told["mean"][-1] < told["high"][-1]
    assert axes.get_ylabel() == "validation accuracy"
    assert axes.get_xlabel() == "updates"
    assert axes.yaxis.get_major_formatter()(0.5) == "50%"


def test_runs_may_be_given_as_read(sweep):
    figures = [learning_curves(runs) for runs in (str(sweep), read_runs(sweep))]
    first, second = (curve(one.axes[0], "sigmoid + BCE, lr=10") for one in figures)
    np.testing.assert_array_equal(first, second)
    assert figures[0].axes[0].get_ylabel() == "training loss"


def test_a_single_run_has_no_band(tmp_path):
    run = add_run(tmp_path, "sigmoid", "se", 0, 0.5)
    (axes,) = learning_curves(run, "loss/train").axes
    told = table(run, "loss/train")
    np.testing.assert_allclose(curve(axes, "sigmoid + SE").T, [list(told), list(told.values())])
    assert not axes.collections


def test_a_pair_has_its_own_colour_whatever_else_is_drawn(tmp_path):
    for loss in ("se", "bce"):
        add_run(tmp_path, "sigmoid", loss, 0, 0.5)
    runs = read_runs(tmp_path)
    (together,) = lines(runs, "loss/train").values()
    assert {line.name: line.style for line in together} == {
        **{"sigmoid + SE": ("#d55e00", "--"), "sigmoid + BCE": ("#0072b2", "-")}
    }
    for run in runs:
        ((alone,),) = lines([run], "loss/train").values()
        assert alone.style in [line.style for line in together if line.name == alone.name]


def test_a_gradient_of_exactly_0_is_at_the_bottom(sweep):
    (axes,) = wrong_gradients(sweep).axes
    assert axes.get_yscale() == "symlog"
    assert curve(axes, "sigmoid + SE, lr=0.1")[-1, 1] == 0
    assert 0 in axes.get_yticks()
    assert axes.get_ylim()[0] < 0
    assert axes.get_ylabel() == "mean ‖dL/dz‖ where wrong"


def test_one_pair_has_a_line_for_each_setting(tmp_path):
    for rate in (0.1, 1.0):
        add_run(tmp_path, "sigmoid", "se", 0, rate, optimizer__lr=rate)
    figure = learning_curves(tmp_path, "accuracy/val")
    (axes,) = figure.axes
    assert sorted(names(figure)) == ["lr=0.1", "lr=1"]
    assert axes.get_title() == "sigmoid + SE"
    assert curve(axes, "lr=0.1")[-1, 1] == pytest.approx(0.1)
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 2


def test_several_pairs_have_a_panel_for_each_other_setting(tmp_path):
    for width in (8, 16):
        for loss in ("se", "bce"):
            add_run(tmp_path, "sigmoid", loss, 0, 0.03 * width, model__widths=width)
    figure = learning_curves(tmp_path, "accuracy/val")
    assert [axes.get_title() for axes in figure.axes] == ["widths=16", "widths=8"]
    assert len(names(figure)) == 2
    for axes, end in zip(figure.axes, (0.48, 0.24), strict=True):
        assert curve(axes, "sigmoid + BCE")[-1, 1] == pytest.approx(end)


def test_a_rate_is_named_where_lines_have_different_ones(tmp_path):
    for loss, best in (("se", 1.0), ("bce", 0.1)):
        for rate in (0.1, 1.0):
            add_run(tmp_path, "sigmoid", loss, 0, 0.9 if rate == best else 0.5, optimizer__lr=rate)
    assert set(names(learning_curves(tmp_path))) == {"sigmoid + SE, lr=1", "sigmoid + BCE, lr=0.1"}


def test_a_rate_that_a_panel_shares_is_in_its_title(tmp_path):
    for width, best in ((8, 0.1), (16, 1.0)):
        for loss in ("se", "bce"):
            for rate in (0.1, 1.0):
                more = {"optimizer__lr": rate, "model__widths": width}
                add_run(tmp_path, "sigmoid", loss, 0, 0.9 if rate == best else 0.5, **more)
    add_run(tmp_path, "sigmoid", "se", 0, 0.5, model__widths=4)
    figure = learning_curves(tmp_path)
    titles = {axes.get_title() for axes in figure.axes if axes.get_visible()}
    assert titles == {"widths=8, lr=0.1", "widths=16, lr=1", "widths=4"}
    figure.draw_without_rendering()
    below = [axes.get_xlabel() for axes in figure.axes]
    assert below == ["", "updates", "updates", ""]
    shown = [any(one.get_visible() for one in axes.get_xticklabels()) for axes in figure.axes]
    assert shown[:3] == [False, True, True]
    assert_inside(figure)
    assert set(names(figure)) == {"sigmoid + SE", "sigmoid + BCE"}


def test_a_loss_over_decades_has_a_logarithmic_axis_and_one_below_0_a_linear(tmp_path):
    for name, values in (
        ("a", [1.0, 0.1, 0.001]),
        ("b", [1.0, 0.5, 0.4]),
        ("c", [1.0, -0.5, -3.0]),
    ):
        write_run(tmp_path / name, series={"loss/train": values}, config=config("sigmoid", "se"))
    scales = [learning_curves(tmp_path / name).axes[0].get_yscale() for name in "abc"]
    assert scales == ["log", "linear", "linear"]
    (ticks,) = {tuple(learning_curves(tmp_path / "a").axes[0].get_yticks())}
    assert {0.001, 0.01, 0.1, 1.0} <= set(np.round(ticks, 9))


def test_what_was_not_recorded_is_refused(tmp_path, sweep):
    with pytest.raises(InputError, match="Unknown tag=loss/vol"):
        learning_curves(sweep, "loss/vol")
    empty = write_run(tmp_path / "empty", series=None)
    with pytest.raises(InputError, match="No run has recorded anything yet"):
        learning_curves(empty)
    lost = write_run(tmp_path / "lost", series={"loss/train": [float("inf"), float("inf")]})
    with pytest.raises(InputError, match="No run has a finite number of loss/train"):
        learning_curves(lost)
    with pytest.raises(InputError, match="There is no run to draw"):
        learning_curves([])


def test_too_many_panels_are_refused(tmp_path):
    for width in range(13):
        for loss in ("se", "bce"):
            add_run(tmp_path, "sigmoid", loss, 0, 0.5, model__widths=width)
    with pytest.raises(InputError, match="13 panels do not fit into a figure"):
        learning_curves(tmp_path)


def test_the_legend_hides_no_curve_and_nothing_is_cut_off(tmp_path):
    pairs = [(head, loss) for head in list(TARGETS)[:4] for loss in ("se", "bce", "ce")]
    for count in (1, 2, len(pairs)):
        folder = tmp_path / str(count)
        folder.mkdir()
        for head, loss in pairs[:count]:
            add_run(folder, head, loss, 0, 0.5)
        figure = learning_curves(folder)
        assert_inside(figure)
