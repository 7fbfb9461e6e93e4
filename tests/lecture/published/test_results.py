from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace

import pytest
import torch

from mlr.lecture.lab import Lab
from mlr.lecture.page.answer import PublishedNumber
from mlr.lecture.published import glorot, hidden, lecun, neuron, squares
from mlr.objectives import Objective
from tests.lecture.published.support import images, need_mnist


@pytest.mark.parametrize(
    ("published", "ours", "digits", "difference"),
    [
        (12.0, 13.9712, 2, "+1.97"),
        (0.2013, 0.20126, 4, "−4×10⁻⁵"),
        (9650, 9650, 0, "0"),
        (95.42, 94.9, 2, "−0.52"),
        ("worse", 1.0, 2, ""),
        (1.0, "3 of 16", 2, ""),
    ],
)
def test_a_difference_is_ours_less_theirs(published, ours, digits, difference):
    assert PublishedNumber("it", published, ours, digits, "a book").difference == difference


def test_numbers_of_a_comparison_keep_their_unit():
    row = PublishedNumber("error", 12.0, 13.9712, 2, "a table", " %")
    assert (row.theirs, row.measured) == ("12.00 %", "13.97 %")


@pytest.mark.parametrize(("start", "shown"), [((0.6, 0.9), 0.03996), ((2.0, 2.0), 0.0474)])
def test_the_animation_is_stepped_as_it_is_coded(start, shown):
    assert neuron.as_animated(start) == pytest.approx(shown, abs=5e-5)


@pytest.mark.slow
def test_the_neuron_is_where_the_book_says(tmp_path):
    answer = neuron.nielsen_neuron(Lab(tmp_path))
    assert answer.holds
    for row in answer.rows:
        slip = "along dC/dz" in row.what  # what the animation should have shown
        assert (abs(row.ours - row.published) < 0.5 * 10.0**-row.digits) != slip, row


def test_least_squares_leaves_residuals_that_no_pixel_explains():
    training = images(900)
    residuals = lecun.scores(training, lecun.least_squares(training)) - training.one_hot
    against = training.pixels.double().T @ residuals
    assert against.abs().max() < 1e-6 * training.pixels.sum(0).max()
    assert residuals.sum(0).abs().max() < 1e-8  # the bias


def test_percent_wrong_counts_images():
    logits = torch.eye(4)[:, :3]
    assert lecun.percent_wrong(logits, torch.tensor([0, 1, 1, 2])) == 50.0


@pytest.mark.slow
def test_the_linear_classifier_and_the_darkness_of_mnist(monkeypatch):
    need_mnist(monkeypatch)
    splits = lecun.mnist()
    wrong = lecun.percent_wrong(
        lecun.scores(splits["test"], lecun.least_squares(splits["train"])), splits["test"].labels
    )
    assert len(splits["train"].labels) == 60_000
    assert wrong == pytest.approx(13.97, abs=0.02)
    assert lecun.right_by_darkness() == 2225


@pytest.mark.parametrize("loss", glorot.LOSSES)
def test_the_slope_of_a_surface_is_that_of_its_losses(loss):
    drawn = glorot.surface(loss, 4, seed=3)
    first, second = torch.gradient(drawn.losses, spacing=(drawn.weights, drawn.weights))
    inside = slice(1, -1)
    numeric = first.hypot(second)[inside, inside]
    assert (drawn.slopes[inside, inside] - numeric).abs().max() < 0.02 * drawn.slopes.max()


def test_squared_error_has_the_larger_plateaus(tmp_path):
    answer = glorot.glorot_plateaus(Lab(tmp_path))
    assert answer.holds
    assert len(answer.pictures) == 2


def test_the_best_of_three_is_a_mean_over_all_threes():
    values = [3.0, 1.0, 4.0, 1.5, 5.0]
    threes = [max(three) for three in combinations(values, 3)]
    assert hidden.best_of_three(values) == pytest.approx(sum(threes) / len(threes))


def trained(dead: int):
    """A network of two hidden units whose output `dead` is far below all others."""
    bias = torch.zeros(10)
    bias[dead] = -20.0
    parameters = {
        "hidden1.weight": torch.zeros(2, 784),
        "hidden1.bias": torch.zeros(2),
        "output.weight": torch.zeros(10, 2),
        "output.bias": bias,
    }
    return SimpleNamespace(parameters=parameters, metrics={"accuracy/test": 0.25})


@pytest.mark.parametrize("loss", hidden.LOSSES)
def test_a_dead_output_unit_is_found_with_its_gradient(loss):
    judged = hidden.digit_results(trained(dead=3), loss, images(200))
    assert judged.accuracy == 25.0
    assert judged.found[0] == 100.0  # all others tie, and the first is called
    assert 3 in judged.dead
    z = torch.full((1, 1), -20.0, dtype=torch.float64)
    alone = Objective("sigmoid", loss, outputs=1).gradient(z, torch.ones_like(z))
    assert judged.gradients[3] == pytest.approx(-float(alone), rel=1e-6)


def test_the_best_rate_is_chosen_on_validation_not_on_the_test():
    runs = [
        {"accuracy/val": val, "accuracy/test": test}
        for val, test in ((0.9, 0.5), (0.8, 0.7), (0.6, 0.9), (0.7, 0.9))
    ]
    assert squares._best(runs, 2) == pytest.approx(60.0)


def test_a_mixture_is_drawn_by_its_seed():
    one, again, other = (squares.mixture(5, seed) for seed in (0, 0, 1))
    assert torch.equal(one.train.features, again.train.features)
    assert not torch.equal(one.train.features, other.train.features)
    assert one.train.features.shape == (5 * squares.EACH, squares.FEATURES)
