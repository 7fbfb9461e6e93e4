"""Every loss's contract: shapes, types, likelihood, floors, and its configuration."""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import pytest
import torch
import yaml

from mlr.core.checks import InputError
from mlr.core.domains import LEVELS
from mlr.information import HALF_LOG_TAU
from mlr.losses import (
    LOSSES,
    AbsoluteError,
    Asymmetric,
    BinaryCrossEntropy,
    CrossEntropy,
    Focal,
    GaussianNll,
    GeneralisedCrossEntropy,
    Hinge,
    Matching,
    PartiallyHuberisedCrossEntropy,
    Poly1,
    SmoothedCrossEntropy,
    SquaredError,
    SymmetricCrossEntropy,
    Tversky,
)
from tests.looping import looped

CONFIGS = Path(__file__).parents[2] / "configs" / "loss"
ON_PREDICTIONS = [loss() for loss in LOSSES if not loss.matches_head and not loss.of_head]
every_loss = looped("loss", ON_PREDICTIONS)


def drawn(*shape: int, dtype=torch.float64) -> torch.Tensor:
    """Probability vectors."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).softmax(-1).to(dtype)


def predicted(loss, *shape: int, dtype=torch.float64) -> torch.Tensor:
    """Predictions of the loss's domain, of as many numbers a target as it takes."""
    y = drawn(*shape, dtype=dtype)
    if loss.domain == LEVELS:
        return 0.9 * y.cumsum(-1).flip(-1)
    return torch.cat([y.roll(place, 0) for place in range(loss.domain.per_target)], -1)


@every_loss
@looped("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_shapes_types_and_no_reduction(loss, dtype):
    y, t = predicted(loss, 2, 4, 3, dtype=dtype), torch.eye(3, dtype=dtype)[:2].expand(4, 2, 3)
    costs = loss(y, t.transpose(0, 1))
    assert costs.shape == (2, 4)
    assert costs.dtype == dtype
    if loss.domain.per_target == 1:  # a density may exceed 1
        assert (costs >= 0).all()


@looped(
    # the factor of beta_nll is held: its gradient is not the derivative of its number
    "loss",
    [one for one in ON_PREDICTIONS if one.name != "beta_nll"],
)
def test_gradcheck_and_vmap(loss):
    y, t = predicted(loss, 3, 4), drawn(3, 4).flip(0)
    assert torch.autograd.gradcheck(lambda x: loss(x, t), (y.clone().requires_grad_(),))
    looped = torch.stack([loss(a, b) for a, b in zip(y, t, strict=True)])
    assert torch.equal(torch.func.vmap(loss)(y, t), looped)


CONSTANTS = {
    "se": 1.5 * math.log(2 * math.pi),
    "mae": 3 * math.log(2),
    "huber": 3 * math.log(math.sqrt(2 * math.pi) * math.erf(0.5**0.5) + 2 * math.exp(-0.5)),
    "log_cosh": 3 * math.log(math.pi),
    "pinball": 3 * math.log(4),
    "expectile": 1.5 * math.log(2 * math.pi),
}
"""of three outputs, where it is not 0"""


@looped("loss", [loss() for loss in LOSSES])
def test_every_loss_is_minus_log_likelihood_plus_a_constant_or_says_why_not(loss):
    """For targets that are themselves drawn from the distribution."""
    y = predicted(loss, 50, 3)
    try:
        distribution = loss.likelihood(y)
    except TypeError as error:
        assert "likelihood" in str(error)  # noqa: PT017
        return
    torch.manual_seed(0)
    samples = distribution.sample()
    classes = distribution.event_shape == ()
    t = torch.eye(3, dtype=torch.float64)[samples] if classes and loss.name == "ce" else samples
    if loss.domain == LEVELS:
        t = (samples[:, None] >= torch.arange(1, 4)).double()
    assert t.shape == (50, 3)
    expected = -distribution.log_prob(samples) - CONSTANTS.get(loss.name, 0.0)
    torch.testing.assert_close(loss(y, t), expected, rtol=1e-13, atol=1e-14)


def test_a_gaussian_of_deviation_one_is_squared_error_and_a_constant():
    y, t = drawn(20, 3), drawn(20, 3).flip(0)
    wanted = SquaredError()(y, t) + 3 * HALF_LOG_TAU
    torch.testing.assert_close(GaussianNll()(y, t), wanted, rtol=1e-15, atol=0)
    alike = GaussianNll()(torch.cat([y, torch.ones_like(y)], -1), t)
    torch.testing.assert_close(alike, wanted, rtol=1e-14, atol=0)


@pytest.mark.parametrize("outputs", [1, 3])
def test_cross_entropy_is_minus_log_likelihood_of_the_class(outputs):
    y = drawn(2, 3, max(outputs, 2))[..., -outputs:]
    classes = torch.arange(6).view(2, 3) % max(outputs, 2)
    t = classes[..., None].double() if outputs == 1 else torch.eye(3).double()[classes]
    expected = -CrossEntropy().likelihood(y).log_prob(classes)
    torch.testing.assert_close(CrossEntropy()(y, t), expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), CrossEntropy()])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_output_as_torch_bce(loss, dtype):
    y = torch.tensor([[0.0], [1.0], [0.3], [1e-40], [0.0], [1.0], [1e-3]], dtype=dtype)
    t = torch.tensor([[0.0], [1.0], [0.6], [1.0], [1.0], [0.0], [0.0]], dtype=dtype)
    expected = torch.nn.functional.binary_cross_entropy(y, t, reduction="none")[..., 0]
    torch.testing.assert_close(loss(y, t), expected, rtol=1e-6, atol=0)
    assert loss(y, t)[4:6].tolist() == [100.0, 100.0]


@pytest.mark.parametrize(
    "loss",
    [BinaryCrossEntropy(), CrossEntropy(), SmoothedCrossEntropy(0.0)]
    + [Focal(gamma) for gamma in (0.0, 0.5, 2.0)]
    + [GeneralisedCrossEntropy(q) for q in (0.1, 0.7, 1.0)]
    + [Asymmetric(0, 0, 0), Poly1(0.0), PartiallyHuberisedCrossEntropy(3.0)],
    ids=lambda loss: f"{loss.name} {vars(loss)}",
)
def test_the_floor_has_no_gradient_and_no_nan(loss):
    """At 0 and 1 the floored logarithm gives none; the other has the derivative of log there."""
    y = torch.tensor([[0.0], [1.0], [0.0], [1.0]], requires_grad=True)
    t = torch.tensor([[1.0], [0.0], [0.0], [1.0]])
    gradient = torch.autograd.grad(loss(y, t).sum(), y)[0]
    # of focal, (1 − y)^γ takes the place of 1 at y = 1
    at_right = 0.0 if getattr(loss, "gamma", 0) else 1.0
    assert gradient[..., 0].tolist() == [0.0, 0.0, at_right, -at_right]


WRITTEN = {
    "se": lambda y, t: 0.5 * (y - t) ** 2,
    "bce": lambda y, t: -t * math.log(y) - (1 - t) * math.log(1 - y),
    "ce": lambda y, t: -t * math.log(y),
    # of a mean alone; with σ it has tests of its own
    "gaussian_nll": lambda y, t: 0.5 * (y - t) ** 2 + 0.5 * math.log(2 * math.pi),
    "beta_nll": lambda y, t: 0.5 * (y - t) ** 2 + 0.5 * math.log(2 * math.pi),
    "mae": lambda y, t: abs(y - t),
    "hinge": lambda y, t: t * max(0, 1 - (2 * y - 1)) + (1 - t) * max(0, 1 + (2 * y - 1)),
    "focal": lambda y, t: -t * (1 - y) ** 2 * math.log(y),
    "gce": lambda y, t: t * (1 - y**0.7) / 0.7,
    "smoothed_ce": lambda y, t: -(0.9 * t + 0.1 / 3) * math.log(y),
    "huber": lambda y, t: 0.5 * (y - t) ** 2 if abs(y - t) <= 1 else abs(y - t) - 0.5,
    "log_cosh": lambda y, t: math.log(math.cosh(y - t)),
    "pinball": lambda y, t: 0.5 * max(y - t, t - y),
    "expectile": lambda y, t: 0.5 * (y - t) ** 2,
    "symmetric_ce": lambda y, t: t * (-0.1 * math.log(y) + 4 * (1 - y)),
    "phuber_ce": lambda y, t: t * (-math.log(y) if y > 0.1 else 1 + math.log(10) - 10 * y),
    "poly1": lambda y, t: t * (-math.log(y) + 1 - y),
    "asymmetric": lambda y, t: (
        -t * math.log(y) - (1 - t) * max(0, y - 0.05) ** 4 * math.log(1 - max(0, y - 0.05))
    ),
}
"""The formulas of the docstrings, one of three outputs; what is no sum, or takes logits, has
tests of its own."""


@pytest.mark.parametrize(
    "loss",
    [
        one
        for one in ON_PREDICTIONS
        if one.name not in ("tversky", "ordinal_nll") and not one.on_logits
    ],
    ids=lambda loss: loss.name,
)
@pytest.mark.parametrize("soft", [True, False])
def test_the_formula_of_the_docstring(loss, soft):
    y = drawn(6, 3)
    if loss.domain.per_target > 1:
        y = torch.cat([y, torch.ones_like(y)], -1)
    t = drawn(6, 3).flip(0) if soft else torch.eye(3).double()[torch.arange(6) % 3]
    rows = zip(y.tolist(), t.tolist(), strict=True)
    expected = [sum(WRITTEN[loss.name](*pair) for pair in zip(*row, strict=False)) for row in rows]
    torch.testing.assert_close(loss(y, t), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize(
    "name", ["ce", "focal", "gce", "smoothed_ce", "symmetric_ce", "phuber_ce", "poly1"]
)
@pytest.mark.parametrize("soft", [True, False])
def test_one_output_stands_for_the_pair(name, soft):
    (loss,) = [one for one in ON_PREDICTIONS if one.name == name]
    y = drawn(8, 2)
    t = drawn(8, 2).flip(0) if soft else torch.eye(2).double()[torch.arange(8) % 2]
    torch.testing.assert_close(loss(y[:, 1:], t[:, 1:]), loss(y, t), rtol=1e-13, atol=1e-15)


def test_linear_scores_pass_the_margin_and_pay_nothing():
    y = torch.tensor([[-1.0], [0.0], [0.5], [1.0], [4.0]])
    assert Hinge()(y, torch.ones(5, 1)).tolist() == [4.0, 2.0, 1.0, 0.0, 0.0]
    assert Hinge()(y, torch.zeros(5, 1)).tolist() == [0.0, 0.0, 1.0, 2.0, 8.0]


def test_hinge_is_that_of_the_support_vector_machine():
    from sklearn.metrics import hinge_loss

    y = torch.linspace(-2, 3, 21, dtype=torch.float64)
    t = (torch.arange(21) % 3 == 0).double()
    mine = Hinge()(y.unsqueeze(1), t.unsqueeze(1)).mean().item()
    assert mine == pytest.approx(hinge_loss(t.numpy(), (2 * y - 1).numpy()))


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_ends_of_focal_smoothed_and_generalised(outputs):
    y = drawn(9, 3)[:, -outputs:]
    t = torch.eye(3).double()[torch.arange(9) % 3][:, -outputs:]
    ce, close = CrossEntropy()(y, t), {"rtol": 1e-13, "atol": 1e-15}
    torch.testing.assert_close(Focal(0)(y, t), ce, **close)
    torch.testing.assert_close(SmoothedCrossEntropy(0)(y, t), ce, **close)
    torch.testing.assert_close(GeneralisedCrossEntropy(1e-9)(y, t), ce, rtol=1e-7, atol=0)
    half = 1 if outputs == 1 else 0.5
    absolute = half * AbsoluteError()(y, t)
    torch.testing.assert_close(GeneralisedCrossEntropy(1)(y, t), absolute, **close)


@pytest.mark.parametrize("outputs", [1, 3])
def test_scalars_of_the_robust_losses_lead_to_known_ones(outputs):
    y = drawn(9, 3)[:, -outputs:]
    t = torch.eye(3).double()[torch.arange(9) % 3][:, -outputs:]
    half = 1 if outputs == 1 else 0.5
    ce, absolute, bce = CrossEntropy()(y, t), half * AbsoluteError()(y, t), BinaryCrossEntropy()
    close = {"rtol": 1e-13, "atol": 1e-15}
    torch.testing.assert_close(SymmetricCrossEntropy(1, 0)(y, t), ce, **close)
    torch.testing.assert_close(SymmetricCrossEntropy(0, 0.5, -6.0)(y, t), 3 * absolute, **close)
    torch.testing.assert_close(PartiallyHuberisedCrossEntropy(1e6)(y, t), ce, **close)
    line = PartiallyHuberisedCrossEntropy(1 + 1e-12)(y, t)  # 1 − y at any y
    torch.testing.assert_close(line, absolute, rtol=0, atol=1e-11)
    torch.testing.assert_close(Poly1(0)(y, t), ce, **close)
    torch.testing.assert_close(Poly1(2)(y, t), ce + 2 * absolute, **close)
    torch.testing.assert_close(Asymmetric(0, 0, 0)(y, t), bce(y, t), **close)


def test_reverse_cross_entropy_is_cross_entropy_with_the_distributions_exchanged():
    y, t = drawn(9, 4), torch.eye(4).double()[torch.arange(9) % 4]
    log_t = torch.where(t > 0, t.log(), -6.0)
    reverse = SymmetricCrossEntropy(0.0, 1.0, -6.0)(y, t)
    torch.testing.assert_close(reverse, -(y * log_t).sum(-1))


def test_the_partial_huber_bounds_value_and_slope_and_is_smooth():
    loss, one = PartiallyHuberisedCrossEntropy(4.0), torch.ones(3, 1).double()
    y = torch.tensor([[0.25 - 1e-9], [0.25 + 1e-9], [1e-12]]).double().requires_grad_()
    cost = loss(y, one)
    slopes = torch.autograd.grad(cost.sum(), y)[0]
    assert slopes[:, 0].tolist() == pytest.approx([-4, -4, -4], rel=1e-7)
    assert cost.tolist() == pytest.approx([math.log(4), math.log(4), 1 + math.log(4)])


def test_an_absent_label_within_the_margin_costs_nothing():
    y = torch.tensor([[0.01], [0.2], [0.21]]).requires_grad_()
    cost = Asymmetric(0.0, 1.0, 0.2)(y, torch.zeros(3, 1))
    slopes = torch.autograd.grad(cost.sum(), y)[0]
    assert cost[:2].tolist() == slopes[:2, 0].tolist() == [0, 0]
    assert cost[2].item() == pytest.approx(-0.01 * math.log(0.99), rel=1e-4)


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (1.0, 1.0), (0.3, 0.7)])
def test_tversky_counts_sets(alpha, beta):
    """Of hard predictions: by hand, and Dice and Jaccard by scikit-learn."""
    from sklearn.metrics import f1_score, jaccard_score

    y = torch.tensor([[1, 1, 0, 0, 1, 0], [0, 0, 0, 1, 0, 0]]).double()
    t = torch.tensor([[1, 0, 1, 0, 1, 1], [0, 0, 0, 1, 0, 0]]).double()
    got = Tversky(alpha, beta, 1e-9)(y, t)
    index = 2 / (2 + alpha + 2 * beta)
    torch.testing.assert_close(got, torch.tensor([1 - index, 0]).double(), rtol=1e-7, atol=1e-8)
    theirs = {0.5: f1_score, 1.0: jaccard_score}.get(alpha)
    if theirs:
        assert got[0].item() == pytest.approx(1 - theirs(t[0].numpy(), y[0].numpy()))


def test_dice_is_the_usual_formula_and_its_empty_set_costs_nothing():
    y, t = drawn(6, 5), torch.eye(5).double()[torch.arange(6) % 5]
    usual = 1 - (2 * (y * t).sum(-1) + 2) / (y.sum(-1) + t.sum(-1) + 2)
    torch.testing.assert_close(Tversky()(y, t), usual)
    assert Tversky()(torch.zeros(1, 3), torch.zeros(1, 3)).item() == 0
    maps, truth = drawn(2, 3, 4, 5), (drawn(2, 3, 4, 5) > 0.2).double()
    each = [Tversky()(a.flatten(), b.flatten()) for a, b in zip(maps[0], truth[0], strict=True)]
    assert torch.allclose(Tversky()(maps.flatten(-2), truth.flatten(-2))[0], torch.stack(each))


def test_mae_of_all_classes_adds_up_to_a_constant():
    y, classes = drawn(7, 4), torch.eye(4).double().unsqueeze(1).expand(4, 7, 4)
    total = AbsoluteError()(y.expand(4, 7, 4), classes).sum(0)
    torch.testing.assert_close(total, torch.full((7,), 6.0).double())


def test_smoothed_is_torchs():
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    classes = torch.arange(6) % 4
    expected = torch.nn.functional.cross_entropy(
        logits, classes, reduction="none", label_smoothing=0.1
    )
    mine = SmoothedCrossEntropy()(logits.softmax(-1), torch.eye(4)[classes])
    torch.testing.assert_close(mine, expected)


@pytest.mark.parametrize("loss", [Hinge(), Focal(), GeneralisedCrossEntropy(),
                                  SmoothedCrossEntropy(), SymmetricCrossEntropy(),
                                  PartiallyHuberisedCrossEntropy(2.0), Poly1(), Asymmetric(),
                                  Tversky()], ids=lambda one: one.name)  # fmt: skip
def test_what_is_no_likelihood_says_so(loss):
    """e^−L over all classes is a constant for every likelihood, whatever is predicted."""

    def mass(of):
        classes = torch.eye(3).double().unsqueeze(1).expand(3, 50, 3)
        return (-of(drawn(50, 3).expand(3, 50, 3), classes)).exp().sum(0)

    torch.testing.assert_close(mass(CrossEntropy()), torch.ones(50).double())
    assert mass(loss).std() > 0.01
    with pytest.raises(TypeError, match=f"loss={loss.name} gives no likelihood: e"):
        loss.likelihood(drawn(2, 3))


def test_the_best_prediction_of_focal_is_not_the_frequency():
    """Of smoothed ce it is t', of ce the frequency itself."""
    y = torch.linspace(0.001, 0.999, 999, dtype=torch.float64).unsqueeze(1)
    t = torch.full_like(y, 0.8)
    losses = [one for one in ON_PREDICTIONS if one.name in ("ce", "bce", "smoothed_ce", "focal")]
    best = {loss.name: y[loss(y, t).argmin()].item() for loss in losses}
    assert best["ce"] == best["bce"] == pytest.approx(0.8)
    assert best["smoothed_ce"] == pytest.approx(0.77)
    assert best["focal"] < 0.75


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: Focal(-0.5), "loss.gamma=-0.5 must be a finite number, 0 or above"),
        (lambda: Focal(math.inf), "loss.gamma=inf must be"),
        (lambda: GeneralisedCrossEntropy(0), "loss.q=0 must be a finite number above 0"),
        (lambda: GeneralisedCrossEntropy(1.5), r"loss.q=1.5 must lie in \(0, 1\]"),
        (lambda: SmoothedCrossEntropy(1), r"loss.epsilon=1 must lie in \[0, 1\)"),
        (lambda: SmoothedCrossEntropy("x"), "loss.epsilon=x must lie in"),
        (lambda: SymmetricCrossEntropy(-1), "loss.alpha=-1 must be a finite number, 0 or above"),
        (lambda: SymmetricCrossEntropy(1, -1), "loss.beta=-1 must be a finite number, 0 or"),
        (lambda: SymmetricCrossEntropy(log_zero=4), "loss.log_zero=4 stands for log 0 and must"),
        (lambda: PartiallyHuberisedCrossEntropy(1), "loss.tau=1 must be above 1"),
        (lambda: Poly1(-1.5), "loss.epsilon=-1.5 must be −1 or above"),
        (lambda: Asymmetric(-1), "loss.gamma_present=-1 must be a finite number, 0 or above"),
        (lambda: Asymmetric(0, math.nan), "loss.gamma_absent=nan must be"),
        (lambda: Asymmetric(margin=1), r"loss.margin=1 must lie in \[0, 1\)"),
        (lambda: Tversky(alpha=-1), "loss.alpha=-1 must be"),
        (lambda: Tversky(beta=-1), "loss.beta=-1 must be"),
        (lambda: Tversky(smooth=0), "loss.smooth=0 must be a finite number above 0"),
    ],
)
def test_scalars_are_checked(made, sentence):
    with pytest.raises(InputError, match=sentence):
        made()


@every_loss
def test_nan_predictions_cost_nan(loss):
    y = torch.full((1, 2 * loss.domain.per_target), torch.nan)
    assert loss(y, torch.eye(2)[:1]).isnan().all()


def test_squared_error_has_the_half_and_does_not_overflow_early():
    y = torch.tensor([[3.0, 1.0], [2.0e19, 0.0]])
    costs = SquaredError()(y, torch.zeros(2, 2))
    assert costs.tolist() == [5.0, pytest.approx(2e38, rel=1e-6)]


def test_cross_entropy_counts_the_asked_class_only():
    y = torch.tensor([[0.25, 0.75]])
    assert CrossEntropy()(y, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(math.log(4))
    assert CrossEntropy()(y.flip(0) * 0, torch.tensor([[0.0, 0.0]])).item() == 0


def test_matching_says_where_it_lives():
    with pytest.raises(TypeError, match=r'Use Objective\(head, "matching"\)'):
        Matching()(torch.zeros(1, 1), torch.zeros(1, 1))
    with pytest.raises(TypeError, match="take se for linear, bce for sigmoid, ce for softmax"):
        Matching().likelihood(torch.zeros(1, 1))


def test_the_config_folder_is_the_tuple():
    files = {path.stem: path.read_text() for path in CONFIGS.glob("*.yaml")}
    assert set(files) == {loss.name for loss in LOSSES}
    for loss in LOSSES:
        assert files[loss.name].startswith("# ")
        settings = yaml.safe_load(files[loss.name])
        module, _, name = settings.pop("_target_").rpartition(".")
        assert getattr(importlib.import_module(module), name) is loss
        assert vars(loss()) == settings  # the YAML says what is used when nothing is said
