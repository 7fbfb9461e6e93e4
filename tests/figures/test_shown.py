"""Numbers that figures show; nothing is drawn here."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest
import torch

from mlr.data.base import Dataset, Split
from mlr.figures import (
    canvas,
    confusion,
    fit,
    loss_curve,
    most_wrong,
    plane,
    pr_curves,
    reliability,
    seen,
    weights,
)
from mlr.heads import MixtureOfGaussians, Quantiles
from mlr.models import Mlp
from mlr.objectives import Objective
from tests.figures.made import KINDS, moment
from tests.training.conftest import experiment

CLASSIFICATIONS = [name for name, kind in KINDS.items() if kind.get("classes", 2)]


@pytest.mark.parametrize("name", KINDS)
def test_what_is_seen_is_what_autograd_computes(name):
    one = moment(**KINDS[name])
    found = one.train
    objective, split = one.experiment.objective, one.experiment.data.train
    z = one.experiment.module(split.features).detach().requires_grad_()
    t = torch.from_numpy(found.targets)
    losses = Objective(objective.head, objective.loss, outputs=z.shape[1]).losses(z, t)
    (grads,) = torch.autograd.grad(losses.sum(), z)
    np.testing.assert_allclose(found.logits, z.detach(), rtol=1e-12)
    np.testing.assert_allclose(found.losses, losses.detach(), rtol=1e-12)
    np.testing.assert_allclose(found.logit_grads, grads, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found.grad_sizes, grads.norm(dim=1), rtol=1e-12, atol=1e-15)
    if found.right is not None:
        decided = objective.head.classify(z.detach())
        np.testing.assert_array_equal(found.right, decided == split.targets)


def test_a_large_split_is_thinned_and_what_is_not_finite_left_out(monkeypatch):
    monkeypatch.setitem(seen.MOST_EXAMPLES, "train", 10)
    one = moment()
    assert len(one.train.losses) == 10
    assert len(one.val.losses) == 40
    broken = moment()
    broken.experiment.data.val.features[3] = torch.nan
    assert (len(broken.val.losses), broken.val.lost) == (39, 1)
    assert np.isfinite(broken.val.logit_grads).all()


def test_the_same_examples_are_looked_at_in_every_run(monkeypatch):
    monkeypatch.setitem(seen.MOST_EXAMPLES, "train", 10)
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        found.append(moment(seed=seed).train.features)
    np.testing.assert_array_equal(*found)
    assert len({tuple(row) for row in found[0].tolist()}) == 10


def test_the_runs_module_and_random_numbers_are_left_alone():
    one = moment(model=Mlp(widths=[3]))
    one.experiment.module.train()
    state = torch.get_rng_state()
    assert one.train is one.train
    assert one.experiment.module.training
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", ["one output", "own outputs", "clipped", "linear", "a line"])
def test_marks_stand_on_the_curves_with_the_samples_own_gradients(name):
    one = moment(**KINDS[name])
    found = loss_curve.collect(one)
    own, count = one.train, len(one.train.losses)
    if name == "a line":
        z, grads = (own.logits - own.targets)[:, 0], own.logit_grads[:, 0]
    elif own.logits.shape[1] == 1:
        order = np.argsort(-own.labels, kind="stable")  # target 1 first
        z, grads = own.logits[order, 0], own.logit_grads[order, 0]
        np.testing.assert_allclose(found.losses, own.losses[order], rtol=1e-12)
    else:
        rows = np.arange(count)
        others = np.where(np.eye(own.logits.shape[1])[own.labels] > 0, -np.inf, own.logits)
        rival = others.argmax(1)
        columns = np.concatenate([own.labels, rival])
        z = own.logits[np.tile(rows, 2), columns]
        grads = own.logit_grads[np.tile(rows, 2), columns]
    np.testing.assert_allclose(found.x, z, rtol=1e-12)
    np.testing.assert_allclose(found.grads, grads, rtol=1e-9, atol=1e-12)
    inside = (found.x > found.grid[0]) & (found.x < found.grid[-1])
    on = [np.interp(found.x, found.grid, line.losses) for line in found.lines]
    nearest = np.abs(np.stack(on) - found.losses).min(0)
    assert nearest[inside].max() < 0.02


def test_each_outputs_losses_add_up_to_the_examples():
    one = moment(classes=3, head="sigmoid", loss="se")
    own = one.train
    total = 0
    for k in range(3):
        for target in (0.0, 1.0):
            chosen = own.targets[:, k] == target
            losses, _ = loss_curve.of_one_output(one, own.logits[:, k], target, 3)
            total = total + losses * chosen
    np.testing.assert_allclose(total, own.losses, rtol=1e-12)


def test_the_margin_tells_right_from_wrong_and_its_curves_are_the_formulas():
    one = moment(classes=4, head="softmax", loss="ce")
    found = loss_curve.collect(one)
    np.testing.assert_array_equal(found.x > 0, found.right)
    level, alone = found.lines
    m = found.grid
    np.testing.assert_allclose(level.losses, np.log1p(3 * np.exp(-m)), rtol=1e-9)
    np.testing.assert_allclose(alone.losses, np.log1p(np.exp(-m)), rtol=1e-9)
    np.testing.assert_allclose(alone.grads, -1 / (1 + np.exp(m)), rtol=1e-9)
    between = np.interp(found.x, m, level.losses) + 1e-2 >= found.losses
    assert between.all()
    (single,) = loss_curve.collect(moment(**KINDS["softmax of two"])).lines
    zero = np.abs(single.losses - log(2)).argmin()
    assert len(single.losses) // 2 == pytest.approx(zero, abs=len(m) / 4)


def test_a_gaussian_has_no_curve_of_one_logit():
    assert loss_curve.collect(moment(**KINDS["a line with spread"])) is None


def test_the_plane_asks_the_network():
    one = moment(classes=3, head="softmax", loss="ce")
    found = plane.collect(one)
    half_x, half_y = ((ends[1] - ends[0]) / plane.CELLS / 2 for ends in (found.x, found.y))
    for row, column in ((0, 0), (17, 90), (plane.CELLS - 1, 3)):
        x = found.x[0] + (2 * column + 1) * half_x
        y = found.y[0] + (2 * row + 1) * half_y
        z = one.network(torch.tensor([[x, y]], dtype=torch.float64))
        assert found.classes[row, column] == z.argmax()
        assert found.leads[:, row, column].argmax() == z.argmax()
        assert found.sureness[row, column] == pytest.approx(
            (z.softmax(1).max().item() - 1 / 3) * 1.5
        )
    assert found.right.sum() == one.train.right.sum()
    np.testing.assert_array_equal(found.points, one.train.features)


def test_sureness_and_boundary():
    y = np.array([[0.5], [0.0], [1.0], [0.9], [1.7]])
    np.testing.assert_allclose(plane.sureness(y), [0, 1, 1, 0.8, 1])
    np.testing.assert_allclose(plane.leads(y), [[0], [-0.5], [0.5], [0.4], [1.2]])
    y = np.array([[0.2, 0.5, 0.3], [0.6, 0.4, 0.0]])
    np.testing.assert_allclose(plane.leads(y), [[-0.3, 0.2, -0.2], [0.2, -0.2, -0.6]])


@pytest.mark.parametrize("shape", [(1,), (3,), (1, 2, 2)])
def test_only_two_features_make_a_plane(shape):
    assert plane.collect(moment(shape)) is None


@pytest.mark.parametrize("kind", ["a line", "a line with spread", "many features"])
def test_scaled_targets_are_shown_in_the_unit_of_the_data(kind):
    one = moment(**KINDS[kind])
    raw = one.experiment.data
    far = {
        name: replace(own, targets=100 + 7 * own.targets)
        for name, own in ((name, getattr(raw, name)) for name in ("train", "val", "test"))
    }
    data = replace(raw, **far).standardized
    scaled = replace(one, experiment=replace(one.experiment, data=data))
    found, wrong = fit.collect(scaled), most_wrong.collect(scaled)
    np.testing.assert_allclose(found.y, far["train"].targets[:, 0], rtol=1e-5)
    offset, divisor = data.target_scaling.offset[0], data.target_scaling.divisor[0]
    before = fit.collect(one)
    if kind == "many features":
        np.testing.assert_allclose(found.x, before.x * divisor + offset)
    else:
        np.testing.assert_allclose(found.mean, before.mean * divisor + offset)
    if before.spread is not None:
        np.testing.assert_allclose(found.spread, before.spread * divisor)
    worst = int(np.argmax(scaled.train.losses))
    assert float(wrong.targets[0]) == pytest.approx(found.y[worst], rel=1e-2)


def test_the_most_wrong_of_a_regression_are_told_by_their_points():
    """Means of densities, e^(m + ½σ²) of a lognormal one, and the middle quantile."""
    for head, loss, bias, told in (
        ("log_normal", "nll", [0.0, 0.0], "1.65"),
        (MixtureOfGaussians(2), "nll", [0.0, 0.0, 1.0, 4.0, 0.0, 0.0], "2.5"),
        (Quantiles([0.1, 0.5, 0.9]), "quantile_score", [0.0, 7.0, 0.0], "7"),
    ):
        part = Split(torch.ones(9, 1).double(), torch.arange(1.0, 10).double()[:, None])
        data = Dataset("m", part, part, part, None)
        own = experiment(data=data, head=head, loss=loss, batch_size=9)
        values = {
            "output.weight": torch.zeros(len(bias), 1, dtype=torch.float64),
            "output.bias": torch.tensor(bias, dtype=torch.float64),
        }
        assert most_wrong.collect(seen.Moment(own, 0, values)).predictions == [told] * 8


def test_there_is_no_fit_of_several_labels():
    one = moment(shape=(1,), classes=None, head="sigmoid", loss="bce")
    labels = replace(one.experiment.data, multilabel=True)
    ones = {
        name: replace(getattr(labels, name), targets=(getattr(labels, name).targets > 0).double())
        for name in ("train", "val", "test")
    }
    several = replace(one.experiment, data=replace(labels, **ones))
    assert fit.collect(replace(one, experiment=several)) is None


def test_the_fit_is_the_prediction_over_the_data():
    one = moment(**KINDS["a line with spread"])
    found = fit.collect(one)
    mean, log_spread = one.network(torch.from_numpy(found.grid)[:, None]).T.numpy()
    np.testing.assert_allclose(found.mean, mean)
    np.testing.assert_allclose(found.spread, np.exp(log_spread))
    assert fit.collect(moment(**KINDS["a line"])).spread is None
    many = fit.collect(moment(**KINDS["many features"]))
    assert many.labels == ("prediction y", "target t")
    assert fit.collect(moment()) is None


def test_weights_of_a_class_are_its_image():
    one = moment(**KINDS["images"])
    found = weights.collect(one)
    matrix = one.parameters["output.weight"]
    np.testing.assert_array_equal(found.images, matrix.view(3, 4, 4))
    assert (found.classes, found.count) == (("0", "1", "2"), 3)
    assert found.largest == matrix.abs().max()
    flat = weights.collect(moment((4, 5), 3, head="softmax", loss="ce"))  # without a channel
    assert flat.images.shape == (3, 4, 5)
    assert weights.collect(moment()) is None


def test_of_many_units_the_first_are_shown():
    found = weights.collect(moment((1, 4, 4), 3, head="softmax", loss="ce", model=Mlp(widths=[30])))
    assert found.images.shape == (weights.MOST, 4, 4)
    assert (found.classes, found.count) == ((), 30)


def test_tiles_lie_in_rows():
    images = np.arange(1, 4)[:, None, None] * np.ones((3, 2, 2))
    expected = [
        *([[1, 1, 0, 2, 2]] * 2),
        [0, 0, 0, 0, 0],
        *([[3, 3, 0, 0, 0]] * 2),
    ]
    np.testing.assert_array_equal(weights.tiled(images, 2, gap=0), expected)


def test_the_most_wrong_have_the_largest_losses_of_the_wrong():
    losses = np.array([3.0, 5.0, 1.0, 5.0, 9.0])
    right = np.array([False, False, False, False, True])
    assert most_wrong.most_wrong(losses, right).tolist() == [1, 3, 0, 2]
    assert most_wrong.most_wrong(losses, np.ones(5, bool)).tolist() == [4, 1, 3, 0, 2]
    assert most_wrong.most_wrong(losses, None).tolist() == [4, 1, 3, 0, 2]
    assert len(most_wrong.most_wrong(np.arange(99.0), None)) == most_wrong.MOST


def test_the_most_wrong_come_with_their_numbers():
    one = moment(**KINDS["images"])
    found, own = most_wrong.collect(one), one.train
    chosen = most_wrong.most_wrong(own.losses, own.right)
    np.testing.assert_array_equal(found.images, own.features[chosen, 0])
    np.testing.assert_array_equal(found.grads, own.grad_sizes[chosen])
    assert found.wrong == (~own.right).sum()
    first = chosen[0]
    share = own.predictions[first].max()
    assert found.predictions[0] == f"{own.decided[first]} ({share:.0%})"
    assert found.targets[0] == str(own.labels[first])


@pytest.mark.parametrize("name", CLASSIFICATIONS)
def test_confusion_counts_every_validation_example(name):
    one = moment(**KINDS[name])
    counts, own = confusion.collect(one).counts, one.val
    for row in range(len(counts)):
        for column in range(len(counts)):
            expected = ((own.labels == row) & (own.decided == column)).sum()
            assert counts[row, column] == expected
    assert counts.sum() == 40


def test_bins_and_error_of_the_reliability():
    confidence = np.array([1.0, 0.95, 0.94, 0.5, 0.52, 0.0])
    right = np.array([True, True, False, True, False, False])
    found = reliability.in_bins(confidence, right)
    # ((b − 1)/15, b/15]: 14/15 = 0.933, 7/15 = 0.467, 8/15 = 0.533
    assert {b: n for b, n in enumerate(found.counts) if n} == {0: 1, 7: 2, 14: 3}
    assert found.accuracy[[7, 14]].tolist() == [0.5, pytest.approx(2 / 3)]
    assert np.isnan(found.accuracy[3])
    gaps = 3 / 6 * abs(2 / 3 - (1 + 0.95 + 0.94) / 3) + 2 / 6 * abs(0.5 - 0.51)
    assert found.error == pytest.approx(gaps)


def test_a_calibrated_run_has_no_error_and_an_edge_belongs_to_the_bin_below():
    confidence = np.repeat(np.arange(1, 16) / 15, 15)
    right = np.concatenate([np.arange(15) < share for share in range(1, 16)])
    found = reliability.in_bins(confidence, right)
    assert found.counts.tolist() == [15] * 15
    assert found.error == pytest.approx(0, abs=1e-12)


def test_only_shares_can_be_relied_on():
    assert reliability.collect(moment(**KINDS["linear"])) is None
    one = moment(**KINDS["one output"])
    y = one.val.predictions[:, 0]
    found = reliability.collect(one)
    mean = (found.counts * np.nan_to_num(found.confidence)).sum() / found.counts.sum()
    assert mean == pytest.approx(np.maximum(y, 1 - y).mean())


def test_precision_and_recall_are_those_of_each_threshold():
    generator = np.random.default_rng(0)
    scores = np.concatenate([generator.random(50), [0.0, 1.0, 0.5, 0.5]])
    positive = generator.random(54) < 0.4
    columns = pr_curves.curve(scores, positive)
    for index, threshold in enumerate(np.linspace(0, 1, pr_curves.THRESHOLDS)):
        called = scores >= threshold
        true_positives, called_count = (called & positive).sum(), called.sum()
        expected = [
            *(true_positives, (called & ~positive).sum()),
            *((~called & ~positive).sum(), (~called & positive).sum()),
            *(true_positives / called_count, true_positives / positive.sum()),
        ]
        np.testing.assert_allclose(columns[:, index], expected)


def test_at_a_threshold_that_nothing_reaches_precision_is_1():
    columns = pr_curves.curve(np.array([0.2, 0.3]), np.array([True, False]))
    assert columns.shape == (6, 101)  # 0, 0.01, …, 1
    assert columns[4:, -1].tolist() == [1, 0]
    assert columns[4, 25] == 0  # one example is called, and wrongly
    assert np.isfinite(columns).all()


def test_a_class_without_examples_has_no_curve():
    one = moment(**KINDS["own outputs"])
    one.val.labels[one.val.labels == 2] = 0
    assert list(pr_curves.collect(one)) == [0, 1]


def test_two_classes_have_one_curve_more_have_one_each():
    assert list(pr_curves.collect(moment())) == [1]
    assert list(pr_curves.collect(moment(**KINDS["softmax of two"]))) == [1]
    assert list(pr_curves.collect(moment(**KINDS["own outputs"]))) == [0, 1, 2]
    assert pr_curves.collect(moment(**KINDS["a line"])) == {}
    assert len(pr_curves.collect(moment(classes=10, head="softmax", loss="ce"))) > 5
    assert pr_curves.collect(moment(classes=11, head="softmax", loss="ce")) == {}
    one = moment(**KINDS["clipped"])
    y = one.val.predictions[:, 0]
    np.testing.assert_array_equal(
        pr_curves.collect(one)[1], pr_curves.curve(y.clip(0, 1), one.val.labels == 1)
    )


def named(labels: tuple[str, ...], shape: tuple[int, ...] = (2,), **changes):
    """A moment whose classes have names."""
    one = moment(shape, len(labels), head="softmax", loss="ce", **changes)
    data = replace(one.experiment.data, labels=labels)
    return replace(one, experiment=replace(one.experiment, data=data))


def test_classes_are_named_as_their_data_name_them():
    one = named(("setosa", "a name that is long", "$x$"))
    assert one.class_names(8) == ["setosa", "a name …", r"\$x\$"]
    assert confusion.collect(one).names == ("setosa", "a name …", r"\$x\$")
    assert plane.collect(one).names == ("setosa", "a name th…", r"\$x\$")
    found = most_wrong.collect(one)
    assert set(found.targets) <= set(one.class_names(6))
    assert found.predictions[0].partition(" (")[0] in one.class_names(6)
    flowers = named(("Iris-setosa", "Iris-versicolor", "Iris-virginica"))
    assert flowers.class_names(8) == ["setosa", "versico…", "virgini…"]
    assert flowers.class_names(20)[0] == "Iris-setosa"
    assert weights.collect(named(("x", "y", "z"), (1, 4, 4))).classes == ("x", "y", "z")
    for part in (confusion, plane, most_wrong):
        assert canvas.png(part.draw(part.collect(one), "title"))
    curves = pr_curves.summary(pr_curves.collect(one), one.experiment.data.labels)
    assert curves.value[0].metadata.display_name == "class setosa"
    assert curves.value[0].tag == "pr_curve/0"


@pytest.mark.parametrize("name", CLASSIFICATIONS)
def test_without_validation_nothing_of_it_is_drawn(name):
    one = moment(**KINDS[name])
    data = one.experiment.data
    data = replace(data, val=Split(data.val.features[:0], data.val.targets[:0]))
    one = replace(one, experiment=replace(one.experiment, data=data))
    assert one.val is None
    assert confusion.collect(one) is reliability.collect(one) is None
    assert pr_curves.collect(one) == {}
