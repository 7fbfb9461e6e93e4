"""Figures as a person reads them: words and their places, limits, curves, marks and colours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb

from mlr.figures import (
    canvas,
    confusion,
    course,
    fit,
    loss_curve,
    most_wrong,
    outputs,
    plane,
    record,
    reliability,
    weights,
)
from tests.figures.made import KINDS, moment


def words(on) -> dict:
    """Texts by what they say."""
    return {one.get_text(): one for one in on.texts}


def line(axes, colour, marker="None", nth=0):
    """The nth line of a colour and a marker."""
    lines = [one for one in axes.lines if one.get_color() == colour]
    return [one for one in lines if one.get_marker() == marker][nth]


def xy(one) -> np.ndarray:
    return np.stack(one.get_data()).astype(float)


def corners(collection) -> list[list[float]]:
    """Left, bottom, right and top of each bar."""
    return [path.get_extents().extents.tolist() for path in collection.get_paths()]


def test_title_and_keys_stand_at_the_top_left_and_apart():
    keys = [("one", canvas.BLUE), ("another", canvas.WRONG)]
    for height in (2.9, 3.3):
        figure = canvas.new_figure("title", keys, height)
        assert figure.bbox.size.tolist() == [350, pytest.approx(100 * height)]
        renderer = figure.canvas.get_renderer()
        title, one, another = (text.get_window_extent(renderer) for text in figure.texts)
        tops = [100 * height * (1 - text.get_position()[1]) for text in figure.texts]
        assert tops == pytest.approx([8, 30, 30])  # pixels
        assert title.x0 == pytest.approx(7, abs=1.5)
        assert another.x0 - one.x1 == pytest.approx(9, abs=1.5)
        assert [text.get_color() for text in figure.texts[1:]] == [canvas.BLUE, canvas.WRONG]


def test_axes_have_the_limits_labels_and_a_light_grid():
    figure = canvas.new_figure("title")
    axes = canvas.new_axes(
        figure, canvas.BODY, x=(0, 10), y=(-1, 1), labels=("x", "y"), ticks=(None, [0.5])
    )
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 10), (-1, 1))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "y")
    assert (axes.get_xticks().tolist(), axes.get_yticks().tolist()) == ([0, 5, 10], [0.5])
    assert axes.get_position().bounds == pytest.approx(canvas.BODY)
    (grid,) = axes.get_ygridlines()
    assert (grid.get_color(), grid.get_linewidth()) == ("#e4e4e4", 0.8)
    assert axes.get_axisbelow()


def test_limits_are_a_little_wider_than_the_numbers():
    assert canvas.padded(2.0, 4.0) == pytest.approx((1.9, 4.1))
    assert canvas.padded(0.0, 10.0, 0.1) == (-1, 11)
    assert canvas.padded(-8.0, -8.0) == (-16, 0)
    assert canvas.padded(0.5, 0.5) == (-0.5, 1.5)
    assert canvas.round_numbers((0.0, 1.0)) == pytest.approx([0, 0.5, 1])
    assert canvas.round_numbers((-3.0, 12.0)) == [0, 5, 10]


def test_the_confusion_is_a_share_of_each_row_with_the_counts_in_it():
    figure = confusion.draw(
        confusion.ConfusionMatrix(np.array([[3, 1], [5, 5]]), ("a", "long name")), ""
    )
    (axes,) = figure.axes
    (image,) = axes.images
    np.testing.assert_allclose(image.get_array(), [[0.75, 0.25], [0.5, 0.5]])
    assert (image.get_clim(), image.get_cmap().name) == ((0, 1), "Blues")
    counts = {one.get_position(): one for one in axes.texts if one.get_text().isdigit()}
    assert {place: one.get_text() for place, one in counts.items()} == {
        **{(0, 0): "3", (1, 0): "1"},
        **{(0, 1): "5", (1, 1): "5"},
    }
    colours = [counts[place].get_color() for place in ((0, 0), (1, 0), (0, 1))]
    assert colours == ["white", canvas.INK, canvas.INK]
    names = [(one.get_text(), one.get_position(), one.get_rotation()) for one in axes.texts[:4]]
    assert names == [
        *(("a", (0, 1.56), 0), ("a", (-0.56, 0), 0)),
        *(("long name", (1, 1.56), 0), ("long name", (-0.56, 1), 90)),
    ]
    said = words(figure)
    assert "validation: 8 of 14 right (57.1%)" in said
    assert said["true class"].get_rotation() == 90
    assert said["predicted class"].get_position()[1] < 0.1


def test_of_many_classes_every_fifth_is_named_and_none_is_counted():
    names = tuple(f"{number}" for number in range(13))
    figure = confusion.draw(confusion.ConfusionMatrix(np.eye(13, dtype=int), names), "")
    assert [one.get_text() for one in figure.axes[0].texts] == ["0", "0", "5", "5", "10", "10"]
    whole = confusion.draw(confusion.ConfusionMatrix(np.eye(12, dtype=int), names[:12]), "")
    assert len(whole.axes[0].texts) == 3 * 12


@pytest.mark.parametrize(
    ("count", "drawn", "names"), [(12, True, "12345678"), (14, True, "123"), (31, False, None)]
)
def test_names_get_shorter_with_more_classes_until_there_are_too_many(count, drawn, names):
    one = moment(classes=count, head="softmax", loss="ce")
    labels = tuple(f"{number}" * 9 for number in range(count))
    data = replace(one.experiment.data, labels=labels)
    found = confusion.collect(replace(one, experiment=replace(one.experiment, data=data)))
    assert (found is not None) == drawn
    assert names is None or len(found.names[1]) == len(names)


def test_shares_have_a_linear_axis_from_0_to_1():
    lines = [course.CourseLine("stuck", canvas.WRONG, np.array([0, 9]), np.array([0.2, 0.4]))]
    figure = course.draw(course.Course([course.CoursePanel("share", lines)], 9), "")
    (axes,) = figure.axes
    assert xy(line(axes, canvas.WRONG, "o")) == pytest.approx(np.array([[0, 1], [0.2, 0.4]]))
    assert [one.get_text() for one in axes.get_yticklabels()] == ["0", "½", "1"]
    assert axes.get_yticks().tolist() == [0, 0.5, 1]


def test_a_bands_label_and_names_stand_above_it_in_their_colours():
    steps = np.arange(50.0)
    one = course.CourseLine("train", canvas.INK, steps, steps + 1)
    other = course.CourseLine("val", canvas.GREEN, steps, steps + 2)
    panels = [course.CoursePanel("loss", [one, other]), course.CoursePanel("share", [one])]
    figure = course.draw(course.Course(panels, 49), "")
    (axes,) = figure.axes
    assert axes.get_ylim() == pytest.approx((-0.06, 2.51))
    low, height = axes.get_position().y0, axes.get_position().height
    said = words(figure)
    for label, base in (("loss", 1.45), ("share", 0.0)):
        y = low + height * (base + 1 + 2 * 0.06) / 2.57
        assert said[label].get_position() == pytest.approx((0.165, y))
        assert said[label].get_verticalalignment() == "bottom"
    names = [text for text in figure.texts if text.get_text().startswith("— ")]
    assert [(text.get_text(), text.get_color()) for text in names] == [
        *(("— val", canvas.GREEN), ("— train", canvas.INK), ("— train", canvas.INK))
    ]
    (right, top), (left, same) = (text.get_position() for text in names[:2])
    assert right == pytest.approx(0.95)
    assert (right - left, same) == (pytest.approx(0.03 + 0.0225 * 5), top)
    room = [patch.get_extents() for patch in axes.patches]
    (foot, head) = axes.transData.inverted().transform([[0, room[0].y0], [0, room[0].y1]])[:, 1]
    assert (foot, head) == pytest.approx((1.06, 1.39))
    assert line(axes, canvas.GREEN).get_linewidth() == 1.5  # of 40 points on none is marked
    assert axes.lines[0].get_color() == canvas.GREEN  # the first stands over the others


def test_the_fit_is_a_curve_over_points_with_two_deviations_about_it():
    found = fit.RegressionFit(
        ("feature x", "y"),
        np.array([0.0, 1.0]),
        np.array([1.0, 3.0]),
        np.array([0.5, 1.0]),
        np.array([0.2, 0.4]),
        np.array([-1.0, 5.0]),
    )
    figure = fit.draw(found, "")
    (axes,) = figure.axes
    assert xy(line(axes, canvas.SKY, "o")).tolist() == [[0.2, 0.4], [-1, 5]]
    assert xy(line(axes, canvas.WRONG)).tolist() == [[0, 1], [1, 3]]
    band = {tuple(vertex) for vertex in axes.collections[0].get_paths()[0].vertices.tolist()}
    assert band == {(0, 0), (0, 2), (1, 1), (1, 5)}
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 1), (-1.3, 5.3))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("feature x", "y")
    keys = [(one.get_text(), one.get_color()) for one in figure.texts[1:]]
    assert keys == [
        *(("● training", canvas.SKY), ("— prediction", canvas.WRONG)),
        ("▬ ± 2σ predicted", canvas.ORANGE),
    ]


def test_of_many_features_targets_stand_against_predictions_on_the_diagonal():
    one = moment(**KINDS["many features"])
    figure, own = fit.draw(fit.collect(one), ""), one.train
    (axes,) = figure.axes
    np.testing.assert_array_equal(
        xy(line(axes, canvas.SKY, "o")), [own.predictions[:, 0], own.targets[:, 0]]
    )
    across, up = xy(line(axes, canvas.WRONG))
    both = np.concatenate([own.predictions, own.targets])
    assert across.tolist() == up.tolist() == [both.min(), both.max()]
    assert [one.get_text() for one in figure.texts[1:]] == ["● training", "— y = t"]
    assert len(axes.collections) == 0


def curve(count: int = 3) -> loss_curve.LossCurve:
    grid = np.linspace(-2, 2, 5)
    lines = (
        loss_curve.LossLine("target 1", grid**2, grid),
        loss_curve.LossLine("target 0", grid, -grid),
    )
    right = np.arange(count) > 0
    x = np.append(np.full(count - 1, 1.0), 9.0)[::-1]
    return loss_curve.LossCurve("logit z", grid, lines, x, 7 * x, -x, right)


def test_loss_stands_above_its_derivative_with_the_marks_on_both():
    found = curve()
    figure = loss_curve.draw(found, "")
    above, below = figure.axes
    assert above.get_position().y0 > below.get_position().y1
    assert (above.get_ylabel(), below.get_ylabel()) == ("loss L", "dL/dz")
    assert (above.get_xlabel(), below.get_xlabel()) == ("", "logit z")
    assert above.get_xlim() == below.get_xlim() == (-2, 2)
    # the mark at x = 9 lies outside and widens nothing
    assert above.get_ylim() == pytest.approx((-2 - 0.45, 7 + 0.45))
    assert below.get_ylim() == pytest.approx((-2.2, 2.2))
    for axes, part, marks in ((above, "losses", [7, 7]), (below, "grads", [-1, -1])):
        for nth, style in enumerate(("-", "--")):
            one = line(axes, canvas.INK, nth=nth)
            assert one.get_linestyle() == style
            np.testing.assert_array_equal(one.get_ydata(), getattr(found.lines[nth], part))
        right, wrong = (line(axes, colour, "|") for colour in (canvas.RIGHT, canvas.WRONG))
        assert xy(right).tolist() == [[1, 1], marks]
        assert xy(wrong)[0].tolist() == [9]
        assert axes.lines[-1] is wrong  # on top
    keys = [one.get_text() for one in figure.texts[1:]]
    assert keys == ["— target 1", "– – target 0", "| right", "| wrong"]


def test_many_marks_let_each_other_through():
    for count, alpha in ((50, 1), (51, 0.55)):
        figure = loss_curve.draw(curve(count), "")
        assert line(figure.axes[0], canvas.RIGHT, "|").get_alpha() == alpha


def test_a_regression_has_marks_of_one_colour():
    found = loss_curve.collect(moment(**KINDS["a line"]))
    figure = loss_curve.draw(found, "")
    for axes, marks in zip(figure.axes, (found.losses, found.grads), strict=True):
        np.testing.assert_array_equal(xy(line(axes, canvas.BLUE, "|")), [found.x, marks])
    assert [one.get_text() for one in figure.texts[1:]] == ["— loss"]
    assert figure.axes[1].get_xlabel() == "error y − t"


def test_the_grid_covers_nearly_all_marks_and_at_least_4():
    one = moment(**KINDS["one output"])
    grid = loss_curve.collect(one).grid
    assert np.abs(one.train.logits).max() < 4
    assert (grid[0], grid[-1]) == pytest.approx((-4.24, 4.24))
    far = np.append(np.linspace(-10, 10, 2001), 1e6)
    ends = loss_curve._grid(far)[[0, -1]]
    assert ends == pytest.approx([-10.5, 10.5], abs=0.1)


def wrongs(features: np.ndarray, wrong: int | None) -> most_wrong.MostWrong:
    count = len(features)
    targets = [f"t{number}" for number in range(count)]
    predictions = [f"p{number} (50%)" for number in range(count)]
    sizes = np.arange(1.0, count + 1)
    return most_wrong.MostWrong(wrong, 40, features, targets, predictions, sizes, sizes / 4)


def test_the_most_wrong_images_stand_in_rows_of_four_with_their_words():
    images = np.arange(5.0)[:, None, None, None] * np.ones((5, 1, 2, 2))
    found = wrongs(images, 7)
    found = replace(found, targets=["a long name", *found.targets[1:]])
    figure = most_wrong.draw(found, "")
    said = words(figure)
    assert "7 of 40 training examples are wrong" in said
    first, second = figure.axes
    assert [axes.get_position().bounds for axes in (first, second)] == [
        pytest.approx((0.02, 0.58, 0.96, 0.25)),
        pytest.approx((0.02, 0.16, 0.96, 0.25)),
    ]
    assert first.images[0].get_array()[0, ::3].tolist() == [0, 1, 2, 3]
    assert second.images[0].get_array()[0, ::3].tolist() == [4, 0, 0, 0]
    for axes in (first, second):
        assert axes.images[0].get_clim() == (0, 4)
        assert axes.images[0].get_cmap().name == "gray_r"
    assert said["a long name → p0"].get_position() == pytest.approx((0.14, 0.545))
    assert said["t3 → p3 (50%)"].get_position() == pytest.approx((0.86, 0.545))
    assert said["t4 → p4 (50%)"].get_position() == pytest.approx((0.14, 0.125))
    assert said["t4 → p4 (50%)"].get_color() == canvas.WRONG
    assert said["‖dL/dz‖ 1.2"].get_position() == pytest.approx((0.14, 0.065))
    none = most_wrong.draw(wrongs(images, 0), "")
    assert "none of 40 training examples is wrong; largest losses" in words(none)
    assert words(none)["t0 → p0 (50%)"].get_color() == canvas.INK


@pytest.mark.parametrize(
    ("width", "features"), [(1, "0"), (2, "0, 1"), (3, "0, 1, …"), (4, "0, 1, …")]
)
def test_the_most_wrong_others_stand_in_a_table(width, features):
    figure = most_wrong.draw(wrongs(np.tile(np.arange(float(width)), (2, 1)), None), "")
    assert [one.get_text() for one in figure.texts[1:]] == [
        "largest losses of 40 training examples",
        *("features", f"{features}\n{features}", "target", "t0\nt1"),
        *("prediction", "p0 (50%)\np1 (50%)", "loss", "1\n2", "‖dL/dz‖", "0.25\n0.5"),
    ]
    places = [one.get_position()[0] for one in figure.texts[2:]]
    assert places == sorted(places)
    assert len(figure.axes) == 0


def test_images_of_several_channels_are_no_image():
    assert wrongs(np.zeros((2, 3, 4, 4)), 1).images is None
    assert wrongs(np.zeros((2, 4)), 1).images is None
    assert wrongs(np.zeros((2, 1, 4, 5)), 1).images.shape == (2, 4, 5)


def test_a_regressions_most_wrong_come_with_numbers():
    one = moment(**KINDS["a line with spread"])
    found = most_wrong.collect(one)
    largest = np.argmax(one.train.losses)
    assert (found.wrong, found.examples) == (None, 40)
    assert found.targets[0] == f"{one.train.targets[largest, 0]:.3g}"
    assert found.predictions[0] == f"{one.train.predictions[largest, 0]:.3g}"  # without spread
    assert found.losses[0] == one.train.losses.max()


def test_outputs_are_those_of_metrics_csv_and_the_end(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text(
        "step,epoch,prediction/target_0,loss/train,prediction/target_1\n"
        "0,0,0.5,9,0.25\n10,1,inf,9,0.75\n20,2,,9,0.5\n"
    )
    end = replace(moment(), step=30, metrics=path)
    one, zero = outputs.collect(end, {"prediction/target_0": 0.1})
    assert (one.tag, one.steps.tolist()) == ("prediction/target_1", [0, 10, 20])
    assert one.outputs.tolist() == [0.25, 0.75, 0.5]
    assert (zero.steps.tolist(), zero.outputs.tolist()) == ([0, 30], [0.5, pytest.approx(0.1)])
    (alone,) = outputs.collect(end, {})  # one point makes no curve
    assert alone.tag == "prediction/target_1"


def test_outputs_are_drawn_with_their_targets():
    steps = np.array([0.0, 40.0])
    found = [
        outputs.OutputCurve("prediction/target_1", steps, np.array([0.5, 0.9])),
        outputs.OutputCurve("prediction/target_0", np.array([0.0, 30.0]), np.array([0.5, -0.6])),
    ]
    figure = outputs.draw(found, "")
    (axes,) = figure.axes
    assert xy(line(axes, canvas.BLUE)).tolist() == [[0, 40], [0.5, 0.9]]
    assert xy(line(axes, canvas.VERMILLION)).tolist() == [[0, 30], [0.5, -0.6]]
    dashed = [one for one in axes.lines if one.get_linestyle() == "--"]
    assert [(one.get_color(), one.get_ydata()[0]) for one in dashed] == [
        *((canvas.GREY, 1), (canvas.GREY, 0))
    ]
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 40), pytest.approx((-0.68, 1.08)))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("updates", "output y")
    assert [one.get_text() for one in figure.texts[1:]] == [
        *("— target 1", "— target 0", "– – target")
    ]
    every = outputs.draw([outputs.OutputCurve("prediction/mean", steps, np.array([3.0, 5.0]))], "")
    assert every.axes[0].get_ylim() == pytest.approx((2.9, 5.1))
    assert len(every.axes[0].lines) == 1


def made_plane(names: tuple[str, ...] = ("0", "1")) -> plane.DecisionPlane:
    return plane.DecisionPlane(
        (0.0, 2.0),
        (10.0, 13.0),
        np.array([[0, 0, 1], [0, 0, 1]]),
        np.array([[1.0, 0.5, 0.5], [0.0, 0.5, 1.0]]),
        np.array([[[-0.5, -0.25, 0.75], [-0.5, -0.25, 0.25]]]),
        np.array([[0.1, 11], [0.2, 12], [0.3, 11], [0.4, 12]]),
        np.array([0, 0, 1, 1]),
        np.array([True, False, True, True]),
        names,
    )


def test_the_plane_has_the_colours_of_its_classes_the_stronger_the_surer():
    figure = plane.draw(made_plane(), "")
    (axes,) = figure.axes
    (image,) = axes.images
    assert (image.get_extent(), image.origin) == ([0, 2, 10, 13], "lower")
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 2), (10, 13))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("feature 0", "feature 1")
    shown = image.get_array()
    orange, blue = (np.array(to_rgb(colour)) for colour in (canvas.ORANGE, canvas.BLUE))
    np.testing.assert_allclose(shown[0, 0], 0.45 + 0.55 * orange)
    np.testing.assert_allclose(shown[1, 0], [1, 1, 1])
    np.testing.assert_allclose(shown[1, 2], 0.45 + 0.55 * blue)
    np.testing.assert_allclose(shown[0, 1], 0.725 + 0.275 * orange)
    (boundary,) = axes.collections
    # a quarter, and half, of the way between the middles of two cells
    ends = sorted(boundary.get_paths()[0].vertices.tolist())
    np.testing.assert_allclose(ends, [[1 + 2 / 12, 10.75], [1 + 2 / 6, 12.25]])
    right = [xy(line(axes, colour, "o")).T.tolist() for colour in (canvas.ORANGE, canvas.BLUE)]
    assert right == [[[0.1, 11]], [[0.3, 11], [0.4, 12]]]
    edge, cross = line(axes, canvas.INK, "x"), line(axes, canvas.ORANGE, "x")
    assert xy(edge).T.tolist() == xy(cross).T.tolist() == [[0.2, 12]]
    assert (edge.get_markeredgewidth(), cross.get_markeredgewidth()) == (2.8, 1.4)
    assert [(one.get_text(), one.get_color()) for one in figure.texts[1:]] == [
        *(("● class 0", canvas.ORANGE), ("● class 1", canvas.BLUE), ("✕ 1 wrong", canvas.INK))
    ]


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (("a", "b"), "● a"),
        (tuple("0123"), "● class 0"),
        (tuple("01234"), "● 0"),
        (tuple("10"), "● 1"),
    ],
)
def test_classes_without_names_are_called_such_where_there_is_room(names, first):
    assert plane.draw(made_plane(names), "").texts[1].get_text() == first


def test_the_plane_is_a_little_larger_than_the_points():
    one = moment()
    found, (x, y) = plane.collect(one), one.train.features.T
    for ends, own in ((found.x, x), (found.y, y)):
        room = 0.08 * (own.max() - own.min())
        assert ends == pytest.approx((own.min() - room, own.max() + room))


def test_a_plane_of_more_classes_than_colours_is_not_drawn():
    assert len(canvas.CLASSES) == len(set(canvas.CLASSES)) == 7
    assert plane.collect(moment(classes=7, head="softmax", loss="ce")) is not None
    assert plane.collect(moment(classes=8, head="softmax", loss="ce")) is None


def test_the_bars_of_the_reliability_stand_between_accuracy_and_confidence():
    confidence = np.array([0.9, 0.9, 0.5, 0.5])
    found = reliability.in_bins(confidence, np.array([True, False, True, True]))
    figure = reliability.draw(found, "title")
    above, below = figure.axes
    assert [one.get_text() for one in figure.texts] == [
        *("title: ECE 45.0%", "■ right", "■ right, too unsure", "■ too sure")
    ]
    colours = [one.get_color() for one in figure.texts[1:]]
    assert colours == [canvas.BLUE, canvas.SKY, canvas.WRONG]
    assert [to_hex(one.get_facecolor()[0]) for one in above.collections] == colours
    both, unsure, sure = (np.array(corners(one)) for one in above.collections)
    low, high = 7 / 15, 13 / 15
    np.testing.assert_allclose(both, [[low, 0, 8 / 15, 0.5], [high, 0, 14 / 15, 0.5]])
    np.testing.assert_allclose(unsure[:, [1, 3]], [[0.5, 1], [0.5, 0.5]])
    np.testing.assert_allclose(sure[:, [1, 3]], [[0.5, 0.5], [0.5, 0.9]])
    assert xy(line(above, canvas.INK)).tolist() == [[0, 1], [0, 1]]
    assert (above.get_xlim(), above.get_ylim()) == ((0, 1), (0, 1))
    counts = corners(below.collections[0])
    assert [counts[place][3] for place in (6, 7, 13)] == [0, 2, 2]
    assert (below.get_ylim(), below.get_yticks().tolist()) == (pytest.approx((0, 2.16)), [0, 2])
    assert (above.get_ylabel(), below.get_ylabel()) == ("share right", "count")
    assert below.get_xlabel() == "confidence"
    assert above.get_position().y0 > below.get_position().y1


def test_a_single_example_has_its_bar():
    found = reliability.in_bins(np.array([0.5, 0.9, 0.9]), np.array([True, True, True]))
    both, unsure, _ = reliability.draw(found, "").axes[0].collections
    assert [corner[3] for corner in corners(both)] == [0.5, 0.9]
    assert [corner[3] for corner in corners(unsure)] == [1, 1]


def test_weights_have_one_scale_that_is_told():
    images = np.array([[[1.0, -0.5]], [[0.0, 0.25]], [[0.5, 0.5]]])
    figure = weights.draw(weights.WeightImages("hidden", images, 30, ("a", "b", "c")), "")
    sheet, bar = figure.axes
    assert sheet.images[0].get_clim() == (-1, 1)
    assert sheet.images[0].get_cmap().name == bar.images[0].get_cmap().name == "RdBu_r"
    names = {one.get_text(): one.get_position() for one in sheet.texts}
    assert names == {"a": (-0.3, -0.3), "b": (2.7, -0.3), "c": (-0.3, 1.7)}
    assert bar.images[0].get_array()[0, [0, -1]].tolist() == [-1, 1]
    said = words(figure)
    assert "layer hidden, 3 of 30 units" in said
    assert bar.get_aspect() == "auto"
    place = bar.get_position()
    middle = (place.y0 + place.y1) / 2
    assert said["-1"].get_position() == (pytest.approx(place.x0 - 0.01), pytest.approx(middle))
    assert said["+1"].get_position() == (pytest.approx(place.x1 + 0.01), pytest.approx(middle))
    whole = weights.draw(weights.WeightImages("output", images, 3, ()), "")
    assert "layer output" in words(whole)
    assert weights.WeightImages("output", 0 * images, 3, ()).largest == 1


def test_filters_are_images_of_one_channel_only():
    one = moment((1, 4, 4), 3, head="softmax", loss="ce")

    def of(shape, **parameters):
        other = moment(shape, 3, head="softmax", loss="ce") if shape != (1, 4, 4) else one
        return weights.collect(replace(other, parameters=parameters))

    filters = torch.arange(18.0).view(2, 1, 3, 3)
    found = of((1, 4, 4), **{"conv.weight": filters, "output.weight": torch.zeros(3, 8)})
    np.testing.assert_array_equal(found.images, filters[:, 0])
    assert (found.layer, found.classes) == ("conv", ())
    assert of((2, 4, 4), **{"conv.weight": filters}) is None  # each looks at one of two channels
    assert of((1, 4, 4), **{"conv.weight": torch.zeros(2, 1, 2, 2)}).images.shape == (2, 2, 2)
    assert of((1, 4, 4), **{"conv.weight": torch.zeros(2, 1, 1, 1)}) is None
    assert of((1, 4, 4), **{"output.weight": torch.full((3, 16), torch.inf)}) is None
    assert of((1, 4, 4), scale=torch.zeros(3, 16)).layer == "scale"


def test_the_one_output_of_two_classes_is_the_image_of_class_1():
    assert weights.collect(moment((1, 4, 4))).classes == ("class 1",)


def test_titles_say_which_moment_and_how_many_examples_are_left_out(monkeypatch):
    monkeypatch.setattr(record, "PICTURES", record.PICTURES[:1])
    monkeypatch.setattr(record.pr_curves, "collect", lambda one: {})
    one = replace(moment(**KINDS["one output"]), step=7)
    entries = [*record.entries_of(one)]
    broken = replace(one)
    for split, row in ((broken.experiment.data.train, 3), (broken.experiment.data.val, 5)):
        split.features[row] = torch.nan
    entries += record.entries_of(broken)
    titles = [entry.content.title for entry in entries]
    assert titles == [*("sigmoid + se, step 7", "sigmoid + se, step 7, 2 examples not finite")]
    assert [(entry.name, entry.step) for entry in entries] == [("loss_curve", 7)] * 2


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        *((loss_curve, kind) for kind in ("one output", "own outputs", "linear", "a line")),
        (loss_curve, "unbounded"),
        (plane, "one output"),
        *((fit, kind) for kind in ("a line", "a line with spread", "many features")),
    ],
)
def test_frames_have_the_axes_that_hold_all_of_them(part, kind):
    made = {**KINDS, "unbounded": {"classes": 4, "head": "softmax", "loss": "bce"}}[kind]
    first = moment(**made)
    last = replace(first, step=9, parameters={k: 9 * v for k, v in first.parameters.items()})
    alone = [part.draw(part.collect(one), "") for one in (first, last)]
    together = part.frames([first, last], ["a", "b"])
    assert [one.texts[0].get_text() for one in together] == ["a", "b"]
    for place, axes in enumerate(together[0].axes):
        for limits in ("get_xlim", "get_ylim"):
            own = [getattr(one.axes[place], limits)() for one in alone]
            held = min(low for low, _ in own), max(high for _, high in own)
            assert getattr(axes, limits)() == pytest.approx(held, rel=0.05, abs=0.02)
            assert getattr(axes, limits)() == getattr(together[1].axes[place], limits)()


def test_a_figure_that_does_not_suit_a_run_has_no_frames():
    for part, kind in ((loss_curve, "a line with spread"), (plane, "a line"), (fit, "softmax")):
        assert part.frames([moment(**KINDS[kind])], ["a"]) == []
