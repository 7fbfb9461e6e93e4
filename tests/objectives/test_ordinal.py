"""The likelihood of ordered classes against many digits, torch and statsmodels' formula."""

from __future__ import annotations

import math

import pytest
import torch
from mpmath import mp, mpf

from mlr.core.checks import InputError
from mlr.core.domains import LEVELS
from mlr.heads import Coral, Corn, Cumulative
from mlr.losses import OrdinalNll
from mlr.objectives import Objective

IN_ORDER = [Cumulative(), Corn()]
both = pytest.mark.parametrize("head", IN_ORDER, ids=lambda one: one.name)


def levels_of(head: str, z: list[mpf]) -> list[mpf]:
    """P(class ≥ k), by definition."""
    if head == "corn":
        return [mp.fprod(1 / (1 + mp.exp(-x)) for x in z[: k + 1]) for k in range(len(z))]
    steps = [mp.log(1 + mp.exp(z[0] - x)) for x in z[1:]]
    return [1 / (1 + mp.exp(-(z[0] - sum(steps[:k])))) for k in range(len(z))]


def cost(head: str, z: list[mpf], label: int) -> mpf:
    """−log of the difference of two levels."""
    y = [mpf(1), *levels_of(head, z), mpf(0)]
    return -mp.log(y[label] - y[label + 1])


def drawn(count: int, scale: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 4, generator=generator, dtype=torch.float64) * scale


@both
@pytest.mark.parametrize("scale", [1e-6, 1.0, 20.0, 300.0])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_values_and_gradients_by_many_digits(head, scale, dtype):
    """Within the rounding of the thresholds, sums of K numbers as large as the logits."""
    z = drawn(10, scale).to(dtype)
    labels = torch.arange(10) % 5
    objective = Objective(head, "ordinal_nll", outputs=4)
    targets = head.encode(labels, 4).to(dtype)
    values, slopes = objective.losses(z, targets), objective.gradient(z, targets)
    eps = torch.finfo(dtype).eps
    lost = 8 * eps * (1 + (4 * scale if head.name == "cumulative" else 0))
    mixed = head.name == "cumulative"  # terms of both signs, of size 1
    with mp.workdps(600):
        for row, label, value, slope in zip(
            z.tolist(), labels.tolist(), values.tolist(), slopes.tolist(), strict=True
        ):
            at = [mpf(x) for x in row]
            true = cost(head.name, at, label)
            assert abs(value - true) <= lost * true + mpf("1e-43")
            h = mpf(10) ** -150
            for k in range(4):
                up, down = ([x + s * h * (j == k) for j, x in enumerate(at)] for s in (1, -1))
                rise = (cost(head.name, up, label) - cost(head.name, down, label)) / (2 * h)
                assert abs(slope[k] - rise) <= lost * (abs(rise) + mixed) + mpf("1e-43")


@both
def test_the_tail_is_exact(head):
    """Of an example that is right by z = 100 value and gradient are e⁻¹⁰⁰, and by −1000 1000."""
    z = torch.tensor([[100.0, 0.0, -90.0], [-1000.0, -1000.0, -1000.0]], dtype=torch.float64)
    targets = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]], dtype=torch.float64)
    objective = Objective(head, "ordinal_nll")
    losses = objective.losses(-z, targets[:1].expand(2, 3))
    assert losses[0].item() == pytest.approx(math.exp(-100), rel=1e-12)
    gradient = objective.gradient(-z[:1], targets[:1])
    assert gradient.sum().item() == pytest.approx(math.exp(-100), rel=1e-12)
    lost = objective.losses(z[1:], targets[1:]).item()
    assert lost == pytest.approx({"corn": 3000, "cumulative": 1000 + 2 * math.log(2)}[head.name])


@both
@pytest.mark.parametrize("soft", [False, True])
def test_head_and_loss_composed_agree_with_the_kernel(head, soft):
    z = drawn(20, 2.0).requires_grad_()
    t = head.encode(torch.arange(20) % 5, 4).double()
    if soft:
        t = (t + t.flip(0)) / 2
    composed = OrdinalNll()(head(z), t)
    objective = Objective(head, "ordinal_nll")
    assert objective.exact
    torch.testing.assert_close(objective(z, t), composed)
    (expected,) = torch.autograd.grad(composed.sum(), z)
    torch.testing.assert_close(objective.gradient(z, t), expected)
    (attached,) = torch.autograd.grad(objective(z, t).sum(), z)
    torch.testing.assert_close(attached, expected)


@both
def test_the_classes_add_up_to_one(head):
    z = drawn(30, 3.0)
    objective = Objective(head, "ordinal_nll")
    each = [objective(z, head.encode(torch.full((30,), c), 4).double()) for c in range(5)]
    torch.testing.assert_close((-torch.stack(each)).exp().sum(0), torch.ones(30).double())
    shares = LEVELS.shares(head(z))
    torch.testing.assert_close((-torch.stack(each, -1)).exp(), shares, rtol=1e-9, atol=1e-13)


def test_corn_is_the_cross_entropy_of_the_questions_that_are_asked():
    """As the paper: of example i with class c those of the tasks k ≤ c + 1."""
    z, labels = drawn(15, 2.0), torch.arange(15) % 5
    expected = torch.zeros(15).double()
    for k in range(4):
        asked = labels >= k
        answers = (labels > k).double()
        costs = torch.nn.functional.binary_cross_entropy_with_logits(
            z[:, k], answers, reduction="none"
        )
        expected += torch.where(asked, costs, 0.0)
    got = Objective("corn", "ordinal_nll")(z, Corn().encode(labels, 4).double())
    torch.testing.assert_close(got, expected)


def test_cumulative_with_one_slope_has_proportional_odds():
    """log-odds of P(class ≥ k) of two examples differ by the same number for every k."""
    scores, biases = torch.tensor([[0.3], [-1.7]]).double(), torch.tensor([0.2, 1.0, -2.0, 0.1])
    y = Cumulative()(scores + biases.double())
    odds = y.logit()
    torch.testing.assert_close(odds[0] - odds[1], torch.full((4,), 2.0).double())
    assert (y.diff() < 0).all()


def test_coral_is_bce_of_the_levels():
    z, labels = drawn(10, 2.0), torch.arange(10) % 5
    levels = Coral().encode(labels, 4).double()
    by_hand = [[float(c >= k) for k in range(1, 5)] for c in labels.tolist()]
    assert levels.tolist() == by_hand
    expected = torch.nn.functional.binary_cross_entropy_with_logits(z, levels, reduction="none")
    torch.testing.assert_close(Objective("coral", "bce")(z, levels), expected.sum(-1))


@pytest.mark.parametrize("head", [*IN_ORDER, Coral()], ids=lambda one: one.name)
def test_classes_of_ordered_heads(head):
    labels = torch.tensor([0, 1, 2, 3, 4])
    assert head.outputs(5) == 4
    assert head.outputs(2) == 1
    assert head.decode(head.encode(labels, 4)).tolist() == labels.tolist()
    z = drawn(50, 2.0)
    assert head.classify(z).tolist() == (head(z) >= 0.5).sum(-1).tolist()
    single = torch.tensor([[-0.1], [0.0], [3.0]])
    assert head.classify(single).tolist() == [0, 1, 1]


@both
def test_no_potential_is_said(head):
    with pytest.raises(TypeError, match=r"is no gradient of a potential. Use loss=ordinal_nll"):
        head.potential(drawn(2, 1.0))
    with pytest.raises(InputError, match="needs a head with a potential"):
        Objective(head, "matching")


def test_targets_that_are_no_levels_are_refused():
    objective = Objective("corn", "ordinal_nll")
    z = torch.zeros(2, 3)
    with pytest.raises(InputError, match="targets hold 2, but loss=ordinal_nll needs targets th"):
        objective(z, torch.full((2, 3), 2.0))
    sentence = "targets increase from 0 to 1 between two levels"
    with pytest.raises(InputError, match=sentence):
        objective(z, torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]]))
    objective(z, torch.tensor([[0.5, 0.25, 0.0], [1.0, 1.0, 0.0]]))


PAIRS = [("cumulative", "ordinal_nll"), ("corn", "ordinal_nll"), ("coral", "bce"), ("corn", "se")]
LEVELS_OF_FIVE = torch.tensor(
    [[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]], dtype=torch.float64
)


@pytest.mark.parametrize(("head", "loss"), PAIRS)
def test_class_numbers_are_levels(head, loss):
    z, objective = drawn(5, 2.0).requires_grad_(), Objective(head, loss)
    for function in (objective, objective.losses, objective.gradient):
        expected = function(z, LEVELS_OF_FIVE)
        torch.testing.assert_close(function(z, torch.arange(5)), expected, rtol=0, atol=0)
    (slopes,) = torch.autograd.grad(objective(z, torch.arange(5)).sum(), z)
    torch.testing.assert_close(slopes, objective.gradient(z, LEVELS_OF_FIVE))
    one, yes = torch.randn(2, 1).double(), torch.tensor([[0.0], [1.0]]).double()
    torch.testing.assert_close(objective(one, torch.tensor([0, 1])), objective(one, yes))


@pytest.mark.parametrize(("head", "loss"), PAIRS)
def test_class_numbers_without_a_label(head, loss):
    z, objective = drawn(6, 2.0), Objective(head, loss, reduction="plain_mean")
    numbers = torch.tensor([4, 0, 3, -100, 1, 2])
    expected = Objective(head, loss)(z[numbers >= 0], numbers[numbers >= 0]).mean()
    torch.testing.assert_close(objective(z, numbers), expected)
    assert objective.gradient(z, numbers)[3].tolist() == [0.0] * 4
    with pytest.raises(InputError, match="class 5, but 4 outputs have the classes 0 to 4;"):
        objective(z, torch.full((6,), 5))


@pytest.mark.parametrize(("head", "loss"), [pair for pair in PAIRS if pair[0] != "coral"])
def test_weights_are_those_of_the_classes(head, loss):
    weight, z = torch.tensor([2.0, 0.5, 0.0, 3.0, 1.0]).double(), drawn(5, 2.0)
    objective, plain = Objective(head, loss, weight=weight), Objective(head, loss)
    for t in (torch.arange(5), LEVELS_OF_FIVE):
        torch.testing.assert_close(objective(z, t), weight * plain(z, t))
        torch.testing.assert_close(objective.gradient(z, t), weight[:, None] * plain.gradient(z, t))
    mean = Objective(head, loss, weight=weight, reduction="mean")(z, torch.arange(5))
    expected = (weight * plain(z, torch.arange(5))).sum() / weight.sum()
    torch.testing.assert_close(mean, expected / (4 if loss == "se" else 1))
    with pytest.raises(InputError, match="weight has 4 numbers, but 4 outputs need 5"):
        Objective(head, loss, weight=weight[:4])(z, LEVELS_OF_FIVE)
