from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from mlr.analysis.compare import command
from mlr.analysis.plots import matrix
from mlr.core.checks import InputError
from tests.analysis.plots.reading import assert_inside, final
from tests.analysis.report.making import add_run, config, small_sweep
from tests.records.written import write_run


def cells(axes) -> dict[tuple[str, str], tuple[str, tuple[float, ...]]]:
    """Text and colour of each cell, by head and loss."""
    heads, losses = (
        [one.get_text() for one in axis]
        for axis in (axes.get_yticklabels(), axes.get_xticklabels())
    )
    (mesh,) = axes.collections
    colours = mesh.get_array()
    texts = {tuple(np.floor(one.get_position()).astype(int)): one.get_text() for one in axes.texts}
    return {
        (head, loss): (texts[column, row], tuple(colours[row, column]))
        for row, head in enumerate(heads)
        for column, loss in enumerate(losses)
    }


def test_a_cell_has_mean_and_std_over_seeds_as_compare_prints_it(tmp_path, capfd):
    sweep = small_sweep(tmp_path / "sweep")
    (axes,) = matrix(sweep).axes
    found = cells(axes)
    runs = sorted(sweep.glob("sigmoid+bce,optimizer.lr=10.0,*"))
    values = np.array([final(run, "accuracy/test") for run in runs])
    assert (
        found["sigmoid", "BCE"][0]
        == f"{100 * values.mean():.2f} ± {100 * values.std(ddof=1):.2f} %"
    )
    assert command.main([str(sweep)], "head,loss") == 0
    printed = capfd.readouterr().out
    for pair in (("sigmoid", "SE"), ("sigmoid", "BCE"), ("softmax", "CE")):
        assert found[pair][0] in printed
    assert found["softmax", "SE"][0] == "not tried"
    assert axes.get_title() == "test accuracy, mean ± std"


def test_the_better_the_darker(tmp_path):
    for head, loss, accuracy in (
        ("sigmoid", "se", 0.2),
        ("sigmoid", "bce", 0.5),
        ("softmax", "ce", 0.9),
    ):
        add_run(tmp_path, head, loss, 0, accuracy)
    for metric, order in (("accuracy/test", 1), ("stuck/fraction", 0)):
        (axes,) = matrix(tmp_path, metric).axes
        found = cells(axes)
        light = [
            sum(found[pair][1])
            for pair in (("sigmoid", "SE"), ("sigmoid", "BCE"), ("softmax", "CE"))
        ]
        assert light == sorted(light, reverse=True) if order else len(set(light)) == 1
    assert found["softmax", "BCE"][1] == pytest.approx(to_rgb("#eeeeee"))


def test_text_can_be_read_on_every_colour(tmp_path):
    for place, (head, loss) in enumerate(
        (head, loss) for head in ("linear", "sigmoid", "softmax") for loss in ("se", "bce", "ce")
    ):
        add_run(tmp_path, head, loss, 0, place / 8)
    (axes,) = matrix(tmp_path).axes
    colours = dict(cells(axes).values())
    for one in axes.texts:
        background, ink = luminance(colours[one.get_text()]), luminance(to_rgb(one.get_color()))
        light, dark = max(background, ink) + 0.05, min(background, ink) + 0.05
        assert light / dark > 4.5  # WCAG AA


def luminance(colour) -> float:
    """Relative luminance of sRGB."""
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in colour]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_a_loss_is_coloured_within_its_column(tmp_path):
    for head, loss, accuracy in (
        *(("sigmoid", "se", 0.9), ("softmax", "se", 0.8)),
        *(("sigmoid", "bce", 0.2), ("softmax", "bce", 0.1)),
    ):
        add_run(tmp_path, head, loss, 0, accuracy)
    (axes,) = matrix(tmp_path, "loss/test").axes
    found = cells(axes)
    assert found["sigmoid", "SE"][0] == "0.1"
    assert found["sigmoid", "SE"][1] == found["sigmoid", "BCE"][1]
    assert found["softmax", "SE"][1] == found["softmax", "BCE"][1]


def test_a_pair_without_a_number_says_why(tmp_path):
    add_run(tmp_path, "sigmoid", "se", 0, 0.5)
    write_run(tmp_path / "b", "sigmoid+bce", status="diverged", config=config("sigmoid", "bce"))
    (axes,) = matrix(tmp_path).axes
    assert cells(axes)["sigmoid", "BCE"][0] == "diverged"


def test_each_other_setting_has_its_table(tmp_path):
    for width in (8, 16):
        for loss in ("se", "bce"):
            add_run(tmp_path, "sigmoid", loss, 0, 0.03 * width, model__widths=width)
    figure = matrix(tmp_path)
    assert [axes.get_title() for axes in figure.axes] == [
        *("widths=16: test accuracy", "widths=8: test accuracy")
    ]
    assert cells(figure.axes[1])["sigmoid", "SE"][0] == "24.00 %"


def test_a_table_has_only_what_was_tried_with_its_setting(tmp_path):
    for width, head, loss in ((8, "sigmoid", "se"), (8, "softmax", "ce"), (16, "sigmoid", "se")):
        add_run(tmp_path, head, loss, 0, 0.5 + width / 100, model__widths=width)
    first, second = matrix(tmp_path).axes
    assert list(cells(first)) == [("sigmoid", "SE")]
    assert set(cells(second)) == {(a, b) for a in ("sigmoid", "softmax") for b in ("SE", "CE")}


def test_nothing_is_cut_off(tmp_path):
    for width in (8, 16):
        more = {"model__widths": width, "model__a_setting_with_a_long_name": 1 / 3 * width}
        add_run(tmp_path, "clipped_linear", "matching", 0, 0.5, **more)
    figure = matrix(tmp_path, "accuracy/val")
    assert len(figure.axes) == 2
    assert_inside(figure)


def test_an_unknown_metric_is_refused(tmp_path):
    add_run(tmp_path, "sigmoid", "se", 0, 0.5)
    with pytest.raises(InputError, match="Unknown --metric=accuracy"):
        matrix(tmp_path, "accuracy")
