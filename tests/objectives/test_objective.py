"""The objective's contract, over every pair: closed form, autograd, vmap, run axis, refusals."""

from __future__ import annotations

import pickle
import re
from functools import partial

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from mlr.core.checks import InputError
from mlr.core.domains import COUNTS, LEVELS, OPEN_UNIT, POSITIVE, UNIT
from mlr.heads import ClippedLinear, Head, Laplace, Linear, Quantiles, Sigmoid, Softmax
from mlr.losses import BetaNll, EvidentialSquaredError, Loss, Matching, SquaredError
from mlr.objectives import KERNELS, Objective
from mlr.objectives.kernels.table import on_predictions
from tests.looping import looped

CLASSIC = (Linear, ClippedLinear, Sigmoid, Softmax)
LEGAL = [
    (head, loss, k)
    for head, loss in KERNELS
    for k in ((1, 2, 3) if head in CLASSIC else (1, 3))
    if k >= head.range.least_outputs
]
WITH_SLOPES_IN_T = [
    pair
    for pair in KERNELS
    if pair[1] is not Matching and getattr(pair[0].range, "support", None) != COUNTS
]
"""All but counts, which are whole."""


# torch 2.13's own forward mode loads its decompositions by torch.jit.script
forward_mode = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")


CLOSE = {"rtol": 1e-12, "atol": 1e-14}


def made(head, loss, dtype=torch.float64) -> Objective:
    return Objective(head(), loss(), strict=False)


def drawn(outputs: int, *shape: int, dtype=torch.float64, soft=False, head: type[Head] = Sigmoid):
    """Logits inside (0, 1), where every head is smooth, and targets on the simplex or in [0, 1]."""
    generator = torch.Generator().manual_seed(outputs)
    width = outputs * head.range.per_target
    z = torch.rand(*shape, width, generator=generator, dtype=torch.float64) * 0.9 + 0.05
    if soft:
        t = torch.rand(*shape, outputs, generator=generator, dtype=torch.float64) * 0.8 + 0.1
        t = t / t.sum(-1, keepdim=True) if outputs > 1 else t
    elif outputs > 1:
        t = torch.eye(outputs)[torch.randint(outputs, shape, generator=generator)]
    else:
        t = torch.randint(2, (*shape, 1), generator=generator)
    return z.to(dtype), possible(head, t).to(dtype)


def possible(head: type[Head], t: torch.Tensor) -> torch.Tensor:
    """Targets that the density of the head, if it predicts one, can have; levels of an order."""
    if head.range == LEVELS and t.shape[-1] > 1:
        return t.flip(-1).cumsum(-1).flip(-1).clamp(max=1)
    support = getattr(head.range, "support", None)
    if support == OPEN_UNIT:
        return 0.1 + 0.8 * t
    if support == POSITIVE:
        return 0.2 + 1.4 * t
    return (5 * t).round() if support == COUNTS else t


@looped("head, loss, outputs", LEGAL)
def test_closed_form_is_autograd_of_the_composed_form(head, loss, outputs):
    for soft in (True, False):
        z, t = drawn(outputs, 2, 5, soft=soft, head=head)
        objective = made(head, loss)
        leaf = z.clone().requires_grad_()
        if loss is Matching:
            composed = head().potential(leaf) - (t * leaf).sum(-1)
        else:
            composed = on_predictions(head(), loss())(leaf if loss.on_logits else head()(leaf), t)
        expected = torch.autograd.grad(composed.sum(), leaf)[0]
        # torch's derivative of a digamma has nine digits
        close = {"rtol": 1e-9, "atol": 1e-9} if loss is EvidentialSquaredError else CLOSE
        attached = torch.autograd.grad(objective(leaf, t).sum(), leaf)[0]
        torch.testing.assert_close(objective.gradient(z, t), expected, **close)
        torch.testing.assert_close(attached, objective.gradient(z, t), rtol=1e-14, atol=1e-15)
        assert torch.equal(objective(z, t), objective.losses(z, t))
        if loss is not Matching:
            losses = objective.losses(z, t)
            torch.testing.assert_close(losses, composed.detach(), rtol=1e-12, atol=1e-14)


@looped("head, loss, outputs", LEGAL)
def test_shapes_and_types_with_a_run_axis(head, loss, outputs):
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        z, t = drawn(outputs, 2, 4, dtype=dtype, head=head)
        objective = made(head, loss)
        losses, gradient = objective.losses(z, t), objective.gradient(z, t)
        assert losses.shape == (2, 4)
        assert gradient.shape == z.shape
        assert losses.dtype == gradient.dtype == dtype
        for run in range(2):
            assert torch.equal(losses[run], objective.losses(z[run], t[run]))
            assert torch.equal(gradient[run], objective.gradient(z[run], t[run]))


@looped(
    "head, loss, outputs",
    # the factor of beta_nll is held: its gradient is not the derivative of its number
    [part for part in LEGAL if part[1] is not BetaNll],
)
def test_gradcheck_and_gradgradcheck(head, loss, outputs):
    z, t = drawn(outputs, soft=True, head=head)
    z.requires_grad_()
    objective = made(head, loss)
    assert gradcheck(lambda x: objective(x, t), (z,))
    assert gradgradcheck(lambda x: objective(x, t), (z,))


@looped("head, loss", WITH_SLOPES_IN_T)
def test_targets_have_a_gradient_too(head, loss):
    z, t = drawn(1 if head.range.least_outputs == 1 else 2, 3, soft=True, head=head)
    leaf = t.requires_grad_()
    of = z if loss.on_logits else head()(z)
    expected = torch.autograd.grad(on_predictions(head(), loss())(of, leaf).sum(), leaf)[0]
    got = torch.autograd.grad(made(head, loss)(z, leaf).sum(), leaf)[0]
    close = {"rtol": 1e-9, "atol": 1e-9} if loss is EvidentialSquaredError else CLOSE
    torch.testing.assert_close(got, expected, **close)


@looped(
    "head, loss, outputs",
    # |t − m| has no second derivative where t = m, and the levels of quantiles meet there
    [part for part in LEGAL if part[0] not in (ClippedLinear, Laplace, Quantiles)],
)
def test_second_derivatives_at_logit_zero(head, loss, outputs):
    """Fresh output layers have logits of exactly 0, where |z| has no derivative."""
    width = outputs * head.range.per_target
    z, t = torch.zeros(width, dtype=torch.float64), possible(head, torch.eye(outputs).double()[0])
    nearby = z + torch.linspace(1e-7, 2e-7, width, dtype=torch.float64)
    cost = partial(made(head, loss), targets=t)
    at, beside = (torch.autograd.functional.hessian(cost, one) for one in (z, nearby))
    torch.testing.assert_close(at, beside, rtol=0, atol=1e-5)


@looped("head, loss, outputs", LEGAL)
def test_vmap_is_the_loop(head, loss, outputs):
    objective = made(head, loss)
    for dtype in (torch.float64, *([torch.float32] if outputs == 3 else [])):
        z, t = drawn(outputs, 3, dtype=dtype, head=head)
        for function in (objective.losses, objective.gradient, objective):
            looped = torch.stack([function(a, b) for a, b in zip(z, t, strict=True)])
            torch.testing.assert_close(torch.func.vmap(function)(z, t), looped, rtol=0, atol=0)
        per_example = torch.func.vmap(torch.func.grad(objective))(z, t)
        assert torch.equal(per_example, objective.gradient(z, t))


@looped("head, loss, outputs", LEGAL)
def test_kernels_compute_in_the_type_of_the_logits(head, loss, outputs):
    z, t = drawn(outputs, 4, dtype=torch.float32, head=head)
    kernel = made(head, loss).kernel
    for function in (kernel.losses, kernel.gradient):
        assert function(z, t).dtype == torch.float32
        wide = function(z.double(), t.double())
        torch.testing.assert_close(function(z, t).double(), wide, rtol=1e-4, atol=1e-6)


@forward_mode
@looped("head, loss, outputs", LEGAL)
def test_forward_mode(head, loss, outputs):
    z, t = drawn(outputs, 4, soft=True, head=head)
    objective = made(head, loss)
    direction = torch.linspace(-1, 1, z.numel(), dtype=z.dtype).reshape(z.shape)
    _, tangent = torch.func.jvp(lambda x: objective(x, t), (z,), (direction,))
    expected = (objective.gradient(z, t) * direction).sum(-1)
    torch.testing.assert_close(tangent, expected, rtol=1e-12, atol=1e-14)
    _, tangent = torch.func.jvp(lambda x: objective.losses(x, t), (z,), (direction,))
    torch.testing.assert_close(tangent, expected, rtol=1e-12, atol=1e-14)


@forward_mode
def test_forward_mode_in_targets():
    z, t = drawn(1, 4, soft=True)
    objective = Objective("sigmoid", "bce")
    _, tangent = torch.func.jvp(lambda x: objective(z, x), (t,), (torch.ones_like(t),))
    torch.testing.assert_close(tangent, -z[..., 0], rtol=1e-12, atol=1e-14)


# torch 2.13's own compiler makes an instance of the Function it traces
@pytest.mark.filterwarnings("ignore:.*autograd.function.Function.*should not be instantiated")
def test_compiles_without_a_break():
    objective = Objective("softmax", "ce")
    z, t = drawn(3, 4, dtype=torch.float32)
    compiled = torch.compile(objective.gradient, backend="eager", fullgraph=True)
    assert torch.equal(compiled(z, t), objective.gradient(z, t))
    attached = torch.compile(objective, backend="aot_eager", fullgraph=True)
    leaf = z.requires_grad_()
    slope = torch.autograd.grad(attached(leaf, t).sum(), leaf)[0]
    assert torch.equal(slope, objective.gradient(z, t))


class Tanh(Head):
    """A user's head: y = ½ + ½ tanh z, the sigmoid of 2z."""

    name = "tanh"
    range = UNIT

    def __call__(self, logits):
        return logits.tanh() * 0.5 + 0.5

    def potential(self, logits):
        return ((logits.cosh().log() + logits) * 0.5).sum(-1)

    def slope(self, logits):
        return 0.5 / logits.cosh() ** 2


class Quartic(Loss):
    """A user's loss."""

    name = "quartic"
    domain = SquaredError.domain
    target_domain = SquaredError.target_domain

    def __call__(self, predictions, targets):
        return ((predictions - targets) ** 4).sum(-1)


@pytest.mark.parametrize(
    ("head", "loss"),
    [(Tanh(), "se"), (Tanh(), "bce"), (Tanh(), "matching"), ("sigmoid", Quartic())],
)
def test_users_parts_are_composed(head, loss):
    objective = Objective(head, loss)
    assert not objective.exact
    z, t = drawn(2, 3, soft=True)
    assert gradcheck(lambda x: objective(x, t), (z.requires_grad_(),))
    assert gradgradcheck(lambda x: objective(x, t), (z,))
    z = z.detach()
    looped = torch.stack([objective.gradient(a, b) for a, b in zip(z, t, strict=True)])
    assert torch.equal(torch.func.vmap(objective.gradient)(z, t), looped)


class Skewed(Quartic):
    """A loss that is another with predictions and targets exchanged."""

    def __call__(self, predictions, targets):
        return super().__call__(predictions, targets) * (1 + predictions[..., 0])


def test_the_value_of_a_composed_pair():
    found = Objective("sigmoid", Skewed()).losses(torch.zeros(1, 1), torch.ones(1, 1))
    assert found.item() == 0.5**4 * 1.5


def test_a_users_matching_loss_has_the_error_for_gradient():
    z, t = drawn(2, 3, soft=True)
    assert torch.equal(Objective(Tanh(), "matching").gradient(z, t), Tanh()(z) - t)


def test_names_and_instances_are_the_same_objective():
    named, given = Objective("sigmoid", "bce"), Objective(Sigmoid(), "bce")
    assert named.kernel is given.kernel
    assert named.exact
    assert repr(named) == "Objective(head=sigmoid, loss=bce, exact=True)"


@pytest.mark.parametrize("method", ["losses", "gradient", "forward"])
@pytest.mark.parametrize(
    ("logits", "targets", "sentence"),
    [
        (torch.zeros(4, 1), torch.zeros(4), "targets of shape (4,) do not fit logits of shape "
         "(4, 1): the output axis is missing, (…) against (…, 1); nothing is broadcast."),
        (torch.zeros(4, 3), torch.zeros(5, 3), "targets of shape (5, 3) do not fit logits of shape "
         "(4, 3): the shapes must be equal, nothing is broadcast."),
        (torch.zeros(4, 3), torch.zeros(4, 1), "targets of shape (4, 1) do not fit logits of"),
        (torch.zeros(4, 1), torch.zeros(4, 1).long(), "targets of type torch.int64"),
        (torch.zeros(()), torch.zeros(()), "logits of shape () have no output axis"),
        (torch.zeros(1), torch.zeros(()), "targets of shape () do not fit logits of shape (1,): "),
        (torch.zeros(4, 2), torch.zeros(4, 2), "logits of shape (4, 2) have 2 outputs, but this "
         "objective was made for outputs=1."),
    ],
)  # fmt: skip
def test_bad_shapes_and_types_are_refused(method, logits, targets, sentence):
    objective = Objective("sigmoid", "bce", outputs=1)
    with pytest.raises(InputError, match=re.escape(sentence)):
        getattr(objective, method)(logits, targets)


def test_widths_are_judged_when_they_come():
    pair = torch.zeros(4, 3), torch.eye(3)[[0, 1, 2, 0]]
    with pytest.raises(InputError, match="gives 3 separate values"):
        Objective("sigmoid", "ce").losses(*pair)
    Objective("sigmoid", "ce", strict=False).losses(*pair)
    with pytest.raises(InputError, match="one output is the constant 1"):
        Objective("softmax", "ce").losses(torch.zeros(4, 1), torch.zeros(4, 1))


@pytest.mark.parametrize(("head", "loss"), [("softmax", "ce"), ("sigmoid", "bce")])
def test_hard_targets_and_moderate_logits_have_a_form_of_their_own(head, loss):
    """Both forms of the losses are the same to rounding, and so are their derivatives."""
    objective = Objective(head, loss)
    assert objective.kernel.hard_losses is not None
    for scale in (1, 8, 1000):  # the last is beyond its reach
        z, t = drawn(3, 50)
        z = ((z - 0.5) * 2 * scale).requires_grad_()
        losses = objective(z, t)
        slopes = torch.autograd.grad(losses.sum(), z)[0]
        torch.testing.assert_close(losses, objective.losses(z.detach(), t), rtol=1e-14, atol=0)
        torch.testing.assert_close(slopes, objective.gradient(z, t), rtol=1e-13, atol=0)


def test_targets_seen_first_in_inference_mode_may_be_differentiated_later():
    z, t = torch.zeros(2, 23), torch.eye(23)[:2]
    objective = Objective("softmax", "ce")
    with torch.inference_mode():
        expected = objective(z, t).tolist()
    losses = objective(z.requires_grad_(), t.requires_grad_())
    losses.sum().backward()
    assert losses.tolist() == expected
    torch.testing.assert_close(z.grad, torch.full((2, 23), 1 / 23) - t.detach())
    assert t.grad is not None


@pytest.mark.parametrize(("row", "total"), [((0.0, 0.0, 0.0), 0), ((1.0, 0.0, 1.0), 2)])
def test_rows_of_zeros_and_ones_that_are_not_one_hot_are_refused(row, total):
    z, t = torch.zeros(3, 3), torch.tensor([(1.0, 0.0, 0.0), row, (0.0, 1.0, 0.0)])
    with pytest.raises(InputError, match=f"targets sum to {total} over the 3 outputs"):
        Objective("softmax", "ce")(z, t)
    assert Objective("sigmoid", "bce")(z, t).shape == (3,)


@pytest.mark.parametrize(
    "row",
    [(1, 1e-9, 0), (1 - 2**-24, 0, 2**-24), (1, 0, 2**-149), (0.5, 0.5, 0)],
    ids=["nearly hard", "one ulp", "the smallest number", "soft"],
)
def test_soft_targets_next_to_hard_ones_take_the_general_form(row):
    objective = Objective("softmax", "ce")
    z = torch.tensor([[0.3, -2.0, 5.0]] * 2, requires_grad=True)
    t = torch.tensor([(1.0, 0.0, 0.0), row])
    losses = objective(z, t)
    assert losses.tolist() == objective.kernel.losses(z, t).tolist()
    assert losses.grad_fn.name() == "_AttachedBackward"
    assert objective(z, t[[0, 0]]).grad_fn.name() == "Log1PBackward0"


@pytest.mark.parametrize("pair", [("linear", "bce"), ("linear", "ce")])
def test_undefined_pairs_are_refused_at_construction(pair):
    with pytest.raises(InputError, match="but head=linear gives any real number"):
        Objective(*pair, strict=False)


@looped("head, loss", KERNELS)
def test_objectives_are_pickled(head, loss):
    """As a part of a module that is saved whole, or sent to another process."""
    z, t = drawn(2, 3, head=head)
    objective = made(head, loss)
    again = pickle.loads(pickle.dumps(objective))
    assert torch.equal(again(z, t), objective(z, t))
