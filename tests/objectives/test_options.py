"""Options of an objective beyond those of torch's losses, refusals, and torch's machinery."""

from __future__ import annotations

import math
import pickle
import re
import warnings
from functools import partial

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional as F

from mlr.core.checks import InputError
from mlr.objectives import Objective
from tests.objectives.exactness import limit
from tests.objectives.mp_reference import BITS, distance, mp, mpf, predictions, reference
from tests.objectives.oracle import term_sizes

K = 3
C = torch.tensor([0, 2, 1, 1, -100])
Z = torch.randn(5, K, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
HOT = F.one_hot(C.clamp(min=0), K).double()
close = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-15)


def slope(function, z):
    leaf = z.clone().requires_grad_()
    return torch.autograd.grad(function(leaf).sum(), leaf)[0]


# what class numbers are


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32, torch.int64])
@pytest.mark.parametrize(
    ("head", "loss"),
    [("softmax", "ce"), ("softmax", "se"), ("sigmoid", "bce"), ("linear", "se"),
     ("softmax", "focal"), ("sparsemax", "matching"), ("softmax", "smoothed_ce")],
)  # fmt: skip
def test_class_numbers_are_one_hot_rows(head, loss, kind):
    objective, c = Objective(head, loss), C[:4].to(kind)
    for function in (objective, objective.losses, objective.gradient):
        close(function(Z[:4], c), function(Z[:4], HOT[:4]))
    close(slope(lambda z: objective(z, c), Z[:4]), objective.gradient(Z[:4], HOT[:4]))


@pytest.mark.parametrize(
    ("head", "loss"), [("sigmoid", "bce"), ("sigmoid", "ce"), ("probit", "bce")]
)
def test_class_numbers_of_one_output_are_0_and_1(head, loss):
    objective, c = Objective(head, loss), torch.tensor([0, 1, 1, 0, 1])
    close(objective(Z[:, :1], c), objective(Z[:, :1], c[:, None].double()))
    close(objective.gradient(Z[:, :1], c), objective.gradient(Z[:, :1], c[:, None].double()))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("scale", [1.0, 12.0, 90.0])
@pytest.mark.parametrize("axis", [-1, 1])
def test_class_numbers_are_as_exact_as_the_oracle_asks(dtype, scale, axis):
    """By autograd, of logits within and beyond the reach of e^z."""
    bits = BITS[dtype][0]
    generator = torch.Generator().manual_seed(int(scale))
    # multiples of 1/64, whose differences are exact
    z = (torch.randn(40, 4, generator=generator) * scale * 64).round().div(64).to(dtype)
    c = torch.arange(40) % 4
    z[20:].scatter_(1, c[20:, None], 20 * scale)  # sure and right
    leaf = z.t().reshape(1, 4, 40) if axis == 1 else z
    leaf = leaf.clone().requires_grad_()
    losses = Objective("softmax", "ce", axis=axis)(leaf, c.reshape(losses_shape(axis)))
    losses.sum().backward()
    slopes = leaf.grad[0].t() if axis == 1 else leaf.grad
    for row in range(40):
        t = [float(k == c[row]) for k in range(4)]
        true, grads = reference("softmax", "ce", z[row].tolist(), t)
        terms = term_sizes("softmax", "ce", bits, z[row].tolist(), t)
        found = [losses.flatten()[row].item(), *slopes[row].tolist()]
        for got, exact, term in zip(found, [true, *grads], terms, strict=True):
            far = distance(got, exact, mpf(str(term)), dtype)
            if abs(exact) > 64 * torch.finfo(dtype).smallest_normal:
                assert far <= limit("softmax", "ce"), (z[row], got, exact)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_smoothed_class_numbers_are_as_exact_as_soft_rows(dtype):
    """By autograd, against 500 digits; the last weights are those that need rows."""
    generator = torch.Generator().manual_seed(3)
    for scale, axis, epsilon, weight in (
        (1.0, -1, 0.1, None),
        (12.0, 1, 0.5, [0.5, 2.0, 1.0]),
        (90.0, -1, 0.01, [0.01, 0.02, 5.0]),
        (12.0, 1, 0.9, [0.001, 1.0, 5.0]),
    ):
        # multiples of 1/64, whose differences are exact
        z = ((torch.randn(8, K, generator=generator) * scale * 64).round() / 64).to(dtype)
        c = torch.arange(8) % K
        z[4:].scatter_(1, c[4:, None], 20 * scale)  # sure and right
        leaf = (z.t()[None] if axis == 1 else z).clone().requires_grad_()
        w = None if weight is None else torch.tensor(weight, dtype=dtype)
        losses = Objective("softmax", "ce", axis=axis, weight=w, label_smoothing=epsilon)(
            leaf, c[None] if axis == 1 else c
        )
        losses.sum().backward()
        slopes = leaf.grad[0].t() if axis == 1 else leaf.grad
        w = [mpf(1)] * K if w is None else [mpf(one) for one in w.tolist()]
        for row in range(8):
            y = predictions("softmax", [mpf(one) for one in z[row].tolist()])
            q = [(epsilon / mpf(K) + (1 - mpf(epsilon)) * (k == int(c[row]))) * w[k]
                 for k in range(K)]  # fmt: skip
            value = -sum(a * mp.log(b) for a, b in zip(q, y, strict=True))
            # sums of K terms round by half an ulp each
            assert distance(losses.flatten()[row].item(), value, mpf(0), dtype) <= 4 + K / 2
            for j in range(K):
                parts = [q[k] * (y[j] if k != j else -rest(y, j)) for k in range(K)]
                largest = max(abs(part) for part in parts)
                far = distance(slopes[row, j].item(), sum(parts), largest, dtype)
                assert far <= 4 + K / 2, (scale, row, j)


def rest(y: list[mpf], own: int) -> mpf:
    return sum(one for k, one in enumerate(y) if k != own)


def losses_shape(axis: int) -> tuple[int, ...]:
    return (1, 40) if axis == 1 else (40,)


@pytest.mark.parametrize(
    ("z", "c", "loss", "gradient"),
    [
        ([0.0, -math.inf], 0, 0.0, [0.0, 0.0]),
        ([0.0, -math.inf], 1, math.inf, [1.0, -1.0]),
        ([0.0, 0.0, -math.inf], 0, math.log(2), [-0.5, 0.5, 0.0]),
        ([0.0, 0.0, -math.inf], 2, math.inf, [0.5, 0.5, -1.0]),
        ([math.inf, 0.0], 0, math.nan, [math.nan, math.nan]),
        ([-math.inf, -math.inf], 0, math.nan, [math.nan, math.nan]),
    ],
)
def test_infinite_logits_have_the_limit(z, c, loss, gradient):
    """As tests/objectives/test_infinite.py has it of rows; the next example is left alone."""
    z = torch.tensor([z, [0.0] * len(z)], requires_grad=True)
    losses = Objective("softmax", "ce")(z, torch.tensor([c, 0]))
    losses.backward(torch.ones(2))
    expected = torch.tensor([loss, math.log(z.shape[1])])
    torch.testing.assert_close(losses.detach(), expected, equal_nan=True)
    torch.testing.assert_close(z.grad[0], torch.tensor(gradient), equal_nan=True)
    assert z.grad[1].isfinite().all()


@pytest.mark.parametrize("options", [{}, {"weight": [1.0, 0.5, 2.0], "reduction": "mean"}])
def test_second_derivatives_of_class_numbers(options):
    objective, z = Objective("softmax", "ce", **options), Z.clone().requires_grad_()
    assert gradcheck(lambda x: objective(x, C), (z,))
    assert gradgradcheck(lambda x: objective(x, C), (z,))
    hot = Objective("softmax", "ce", weight=options.get("weight"))
    hessian = torch.autograd.functional.hessian(lambda x: objective.losses(x, C).sum(), Z)
    rows = torch.autograd.functional.hessian(lambda x: hot(x[:4], HOT[:4]).sum(), Z)
    close(hessian, rows)


# the averages


@pytest.mark.parametrize("targets", [C, HOT], ids=["numbers", "rows"])
@pytest.mark.parametrize("weight", [None, [1.0, 0.5, 2.0]])
def test_sample_weights_multiply_the_examples(targets, weight):
    s = torch.tensor([1.0, 3.0, 0.0, 0.5, 2.0], dtype=torch.float64)
    given = None if weight is None else torch.tensor(weight).double()
    of = partial(Objective, "softmax", "ce", weight=given)
    alone = of()(Z, targets)
    known = (C >= 0).double() if targets is C else torch.ones(5)
    class_weight = torch.ones(5) if weight is None or targets is HOT else given[C.clamp(min=0)]
    totals = {"none": 1, "sum": 1, "mean": (s * class_weight * known).sum(),
              "plain_mean": known.sum()}  # fmt: skip
    for reduction, total in totals.items():
        objective = of(reduction=reduction)
        expected = alone * s if reduction == "none" else (alone * s).sum() / total
        close(objective(Z, targets, sample_weight=s), expected)
        close(objective.losses(Z, targets, s), alone * s)
        close(
            objective.gradient(Z, targets, s),
            slope(lambda z, own=objective: own(z, targets, s), Z),
        )


def test_a_plain_mean_is_that_of_the_examples_with_a_label():
    objective = Objective("softmax", "ce", weight=[1.0, 0.5, 2.0], reduction="plain_mean")
    close(objective(Z, C), objective.losses(Z, C).sum() / 4)
    assert objective(Z, torch.full((5,), -100)).item() == 0
    assert objective(Z[:0], C[:0]).item() == 0
    outputs = Objective("sigmoid", "bce", reduction="plain_mean")
    close(outputs(Z, HOT), F.binary_cross_entropy_with_logits(Z, HOT) * K)


@pytest.mark.parametrize("weight", [None, [1.0, 0.5, 2.0]])
def test_a_mean_without_labels_is_nan_with_gradient_0(weight):
    objective, z = Objective("softmax", "ce", reduction="mean", weight=weight), Z.clone()
    loss = objective(z.requires_grad_(), torch.full((5,), -100))
    loss.backward()
    assert loss.isnan()
    assert not z.grad.any()
    assert not objective.gradient(Z, torch.full((5,), -100)).any()


@pytest.mark.parametrize(
    ("pair", "targets"),
    [("softmax+ce", C), ("softmax+ce", HOT), ("sigmoid+bce", HOT), ("softmax+focal", C)],
)
def test_a_mean_of_no_examples_is_nan_with_an_empty_gradient(pair, targets):
    objective, z = Objective(*pair.split("+"), reduction="mean"), Z[:0].clone().requires_grad_()
    loss = objective(z, targets[:0])
    loss.backward()
    assert loss.isnan()
    assert z.grad.shape == objective.gradient(Z[:0], targets[:0]).shape == (0, K)


@pytest.mark.parametrize(
    ("loss", "options"), [("ce", {}), ("ce", {"label_smoothing": 0.1}), ("focal", {})]
)
def test_a_mean_of_examples_that_weigh_nothing_is_nan_with_gradient_0(loss, options):
    objective = Objective("softmax", loss, weight=[0.0, 1.0, 1.0], reduction="mean", **options)
    z, c = Z.clone().requires_grad_(), torch.tensor([0, 0, -100, 0, -100])
    value = objective(z, c)
    value.backward()
    assert value.isnan()
    assert not z.grad.any()
    assert not objective.gradient(Z, c).any()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_an_example_without_a_label_may_be_no_number(smoothing):
    objective = Objective("softmax", "ce", reduction="mean", label_smoothing=smoothing)
    z, c = torch.tensor([[math.nan] * K, [0.0] * K], requires_grad=True), torch.tensor([-100, 1])
    loss = objective(z, c)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(K))
    assert z.grad[0].tolist() == [0.0] * K
    assert z.grad[1, 1].item() == pytest.approx(1 / 3 - (1 - smoothing) - smoothing / 3)


def test_many_classes_far_apart_are_no_infinity():
    """Within the reach of e^z one by one, but not added up in float32."""
    z = torch.full((1, 50_000), 39.0)
    z[0, 0] = -39.0
    expected = 78 + math.log(49_999)
    for targets in (torch.tensor([0]), F.one_hot(torch.tensor([0]), 50_000).float()):
        leaf = z.clone().requires_grad_()
        loss = Objective("softmax", "ce")(leaf, targets)
        loss.sum().backward()
        assert loss.item() == pytest.approx(expected, rel=1e-6)
        assert leaf.grad.isfinite().all()


def test_what_weighs_nothing_costs_nothing_however_wrong_it_is():
    z, c = torch.tensor([[0.0, -math.inf], [0.0, 0.0]]), torch.tensor([1, 0])
    s = torch.tensor([0.0, 1.0])
    assert Objective("softmax", "ce")(z, c, s).tolist() == [0.0, pytest.approx(math.log(2))]
    weighted = Objective("softmax", "ce", weight=[1.0, 0.0])
    assert weighted(z, c).tolist() == [0.0, pytest.approx(math.log(2))]
    assert weighted(z, F.one_hot(c).float())[0] == 0


# weights of pairs that torch has not


@pytest.mark.parametrize(
    ("head", "loss"),
    [("softmax", "se"), ("softmax", "mae"), ("sparsemax", "matching"), ("softmax", "bce"),
     ("softmax", "focal"), ("softmax", "gce"), ("sigmoid", "focal"), ("sigmoid", "ce")],
)  # fmt: skip
def test_weights_of_classes_multiply_the_loss_of_an_example_by_its_class(head, loss):
    z, c = (Z, C) if head != "sigmoid" else (Z[:, :1], torch.tensor([0, 1, 1, 0, -100]))
    weight = torch.tensor([1.0, 0.5, 2.0][: max(z.shape[-1], 2)]).double()
    weighted, plain = Objective(head, loss, weight=weight), Objective(head, loss)
    expected = plain(z, c) * weight[c.clamp(min=0)]
    close(weighted(z, c), expected)
    close(weighted.gradient(z, c), slope(lambda z: weighted(z, c), z))
    close(weighted.gradient(z, c), plain.gradient(z, c) * weight[c.clamp(min=0)][:, None])


def test_two_weights_of_one_output_are_those_of_its_classes():
    z, t = Z[:, :1], torch.tensor([0.0, 1.0, 0.25, 1.0, 0.5])[:, None].double()
    objective = Objective("sigmoid", "bce", weight=[0.5, 3.0])
    expected = -3 * t * F.logsigmoid(z) - 0.5 * (1 - t) * F.logsigmoid(-z)
    close(objective(z, t), expected[:, 0])
    close(objective.gradient(z, t), slope(lambda z: objective(z, t), z))


def test_weights_of_smoothed_ce_are_those_of_torch():
    weight = torch.tensor([1.0, 0.5, 2.0]).double()
    objective = Objective("softmax", "smoothed_ce", weight=weight, reduction="mean")
    close(objective(Z, C), F.cross_entropy(Z, C, weight, label_smoothing=0.1))


# temperature and prior


@pytest.mark.parametrize("targets", [C, HOT], ids=["numbers", "rows"])
def test_temperature_and_prior_change_the_logits(targets):
    prior = torch.tensor([80.0, 15.0, 5.0]).double()
    objective = Objective("softmax", "ce", temperature=2.0, prior=prior)
    theirs = lambda z: F.cross_entropy(z / 2 + (prior / 100).log(), targets, reduction="none")  # noqa: E731
    close(objective(Z, targets), theirs(Z))
    close(slope(lambda z: objective(z, targets), Z), slope(theirs, Z))
    close(objective.gradient(Z, targets), slope(theirs, Z))


def test_the_frequencies_themselves_are_the_prediction_that_a_prior_makes_of_nothing():
    """Menon et al. 2021: logits of 0 fit labels that are drawn by the prior."""
    objective = Objective("softmax", "ce", prior=[8, 2], reduction="mean")
    c = torch.tensor([0] * 8 + [1] * 2)
    assert objective.gradient(torch.zeros(10, 2), c).sum(0).abs().max() < 1e-7


# axes


def test_no_output_axis():
    objective, t = Objective("sigmoid", "bce", axis=None), torch.tensor([0.0, 1.0, 1.0, 0.0, 0.5])
    assert objective(Z[:, 0], t.double()).shape == (5,)
    assert objective.gradient(Z[:, 0], t.double()).shape == (5,)
    close(objective(Z[:, 0], C.clamp(0, 1)), objective(Z[:, 0], C.clamp(0, 1).double()))
    with pytest.raises(InputError, match="one output is the constant 1"):
        Objective("softmax", "ce", axis=None)(Z[:, 0], C)


def test_a_batch_without_an_output_axis_is_warned_of_once():
    z, t = torch.linspace(-3, 3, 64), torch.ones(64)
    objective = Objective("sigmoid", "bce")
    with pytest.warns(UserWarning, match=r"shape \(64,\) are taken as one example with 64 outputs"):
        objective(z, t)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            objective(z, t)
        Objective("sigmoid", "bce", outputs=64)(z, t)
        Objective("softmax", "ce")(z, torch.eye(64)[0])
        Objective("sigmoid", "bce")(z[:31], t[:31])


@pytest.mark.parametrize("axis", [1, -3, 2])
def test_gradients_lie_as_the_logits_do(axis):
    z = torch.randn(2, 3, 3, 5, dtype=torch.float64)
    c = torch.randint(3, (2, 3, 5))
    for objective in (Objective("softmax", "ce", axis=axis), Objective("softmax", "se", axis=axis)):
        close(objective.gradient(z, c), slope(lambda z, own=objective: own(z, c), z))


def test_the_gaussian_has_means_and_deviations_along_the_axis():
    z, t = torch.randn(2, 6, 4, dtype=torch.float64), torch.randn(2, 3, 4, dtype=torch.float64)
    first, last = (
        Objective("gaussian", "gaussian_nll", axis=1),
        Objective("gaussian", "gaussian_nll"),
    )
    close(first(z, t), last(z.mT.contiguous(), t.mT.contiguous()))
    mean = Objective("gaussian", "gaussian_nll", axis=1, reduction="mean")
    scale = z[:, 3:].exp()
    expected = F.gaussian_nll_loss(z[:, :3], t, scale.square(), full=True)
    close(mean(z, t), expected)


# refusals


@pytest.mark.parametrize(
    ("pair", "options", "sentence"),
    [
        ("linear+se", {"pos_weight": [2.0]}, "pos_weight is that of target 1 of separate"),
        ("softmax+ce", {"pos_weight": [2.0, 1.0]}, "head=softmax loss=ce is not; use weight."),
        ("gaussian+gaussian_nll", {"weight": [1.0]}, "has no classes; weigh examples by sample_w"),
        ("gaussian+gaussian_nll", {"pos_weight": [1.0]}, "is not; use sample_weight in the call."),
        ("softmax+smoothed_ce", {"label_smoothing": 0.1}, "would smooth twice"),
        ("sigmoid+bce", {"label_smoothing": 0.1}, "needs a loss of one choice among classes"),
        ("softmax+se", {"label_smoothing": 0.1}, "pass soft targets instead."),
        ("softmax+ce", {"label_smoothing": 1.0}, "label_smoothing=1.0 must lie in [0, 1)."),
        ("sigmoid+bce", {"prior": [0.5]}, "prior is added to the logits of head=softmax"),
        ("softmax+ce", {"prior": [0.5, 0.0]}, "must hold finite numbers above 0."),
        ("softmax+ce", {"weight": [1.0, -1.0]}, "weight=[1.0, -1.0] must hold finite numbers of"),
        ("softmax+ce", {"weight": [1.0, math.nan]}, "must hold finite numbers of at least 0."),
        ("softmax+ce", {"weight": 2.0}, "weight of shape () must be a list: one number for each"),
        ("softmax+ce", {"weight": "balanced"}, "weight='balanced' must be a list of numbers."),
        ("softmax+ce", {"weight": [1.0, 2.0], "outputs": 3}, "weight has 2 numbers, but 3 outputs"),
        ("softmax+ce", {"prior": [1.0, 2.0], "outputs": 3}, "prior has 2 numbers, but 3 outputs"),
        ("sigmoid+bce", {"pos_weight": [1.0] * 2, "outputs": 1}, "pos_weight has 2 numbers, but 1"),
        ("sigmoid+ce", {"weight": [1.0], "outputs": 1}, "output needs 2 (of the classes 0 and 1)."),
        ("linear+se", {"weight": [1.0, 2.0], "outputs": 1}, "but 1 output needs 1."),
        ("softmax+ce", {"temperature": 0.0}, "temperature=0.0 must be a finite number above 0."),
        ("softmax+ce", {"reduction": "average"}, "Unknown reduction=average."),
    ],
)  # fmt: skip
def test_options_that_suit_no_pair_are_refused(pair, options, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        Objective(*pair.split("+"), **options)


@pytest.mark.parametrize(
    ("options", "z", "t", "sentence"),
    [
        ({"weight": [1.0, 2.0]}, Z, C, "weight has 2 numbers, but 3 outputs need 3."),
        ({"ignore_index": 255}, Z, HOT, "ignore_index=255 needs class numbers as targets, but"),
        ({"axis": 3}, Z, C, "axis=3 must be an axis of the logits, which have shape (5, 3)."),
        ({"axis": 1}, torch.zeros(2, 3, 4), torch.zeros(2, 3).long(), "with axis=1: class numbers "
         "must have shape (2, 4), and other targets that of the logits."),
        ({"outputs": 4}, Z, C, "have 3 outputs, but this objective was made for outputs=4."),
    ],
)  # fmt: skip
def test_calls_that_do_not_fit_are_refused(options, z, t, sentence):
    objective = Objective("softmax", "ce", **options)
    for function in (objective, objective.losses, objective.gradient):
        with pytest.raises(InputError, match=re.escape(sentence)):
            function(z, t)


@pytest.mark.parametrize(
    ("ignored", "numbers", "found"),
    [
        (-100, [0, -100, -1, 2], -1), (-100, [0, -100, 1, 3], 3), (-100, [-101, -100, 1, 2], -101),
        (255, [0, 255, -100, 2], -100), (2, [0, 2, 3, 2], 3), (2, [0, 2, -100, 2], -100),
        (1, [0, -1, 1, 2], -1),
    ],
)  # fmt: skip
def test_numbers_that_are_no_class_are_found_among_the_ignored(ignored, numbers, found):
    for pair in (("softmax", "ce"), ("softmax", "se")):
        objective = Objective(*pair, ignore_index=ignored)
        with pytest.raises(InputError, match=f"targets hold the class {found}, but 3 outputs have"):
            objective(Z[:4], torch.tensor(numbers))
        numbers_of_classes = torch.tensor([n if n != found else ignored for n in numbers])
        assert objective(Z[:4], numbers_of_classes).isfinite().all()


def test_sample_weights_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"sample_weight of shape \(5, 1\) must have one number"):
        Objective("softmax", "ce")(Z, C, torch.ones(5, 1))


# torch's machinery


OPTIONS = [
    {}, {"weight": [1.0, 0.5, 2.0], "reduction": "mean"}, {"label_smoothing": 0.2},
    {"prior": [1.0, 2.0, 3.0], "temperature": 3.0, "reduction": "plain_mean"},
]  # fmt: skip


# torch 2.13's own forward mode loads its decompositions by torch.jit.script
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
@pytest.mark.parametrize("options", OPTIONS)
def test_vmap_and_grad(options):
    objective = Objective("softmax", "ce", **{**options, "reduction": "none"})
    losses = torch.func.vmap(objective)(Z, C)
    close(losses, objective(Z, C))
    close(torch.func.vmap(torch.func.grad(objective))(Z, C), objective.gradient(Z, C))
    _, tangent = torch.func.jvp(lambda z: objective(z, C), (Z,), (torch.ones_like(Z).cumsum(-1),))
    close(tangent, (objective.gradient(Z, C) * torch.tensor([1.0, 2, 3])).sum(-1))


# torch 2.13's own compiler makes an instance of the Function it traces
@pytest.mark.filterwarnings("ignore:.*autograd.function.Function.*should not be instantiated")
@pytest.mark.parametrize(
    "options",
    [
        OPTIONS[1],
        *(pytest.param(OPTIONS[place], marks=pytest.mark.slow) for place in (0, 2, 3)),
    ],
)
def test_compiles_without_a_break(options):
    objective = Objective("softmax", "ce", axis=1, **options)
    z = Z.clone().requires_grad_()
    compiled = torch.compile(objective, backend="aot_eager", fullgraph=True)
    loss = compiled(z, C)
    close(loss, objective(Z, C))
    close(torch.autograd.grad(loss.sum(), z)[0], objective.gradient(Z, C))


def test_lists_are_buffers_that_move_and_are_saved():
    objective = Objective("softmax", "ce", weight=[1.0, 2.0, 3.0], prior=[1.0, 1.0, 2.0])
    assert set(objective.state_dict()) == {"weight", "log_prior"}
    assert objective.double().weight.dtype == torch.float64
    assert objective.to("meta").weight.device.type == "meta"
    assert Objective("softmax", "ce").state_dict() == {}
    other = Objective("softmax", "ce", weight=[0.0, 0.0, 1.0], prior=[1.0, 2.0, 3.0])
    other.load_state_dict(Objective("softmax", "ce", weight=[1.0, 2.0, 3.0],
                                    prior=[1.0, 1.0, 2.0]).state_dict())  # fmt: skip
    assert other.weight.tolist() == [1.0, 2.0, 3.0]
    given = torch.ones(3)
    kept = Objective("softmax", "ce", weight=given)
    given.zero_()
    assert kept.weight.tolist() == [1.0, 1.0, 1.0]


def test_objectives_with_options_are_pickled_and_shown():
    objective = Objective("softmax", "ce", weight=[1.0, 2.0, 3.0], axis=1, reduction="mean")
    again = pickle.loads(pickle.dumps(objective))
    assert torch.equal(again(Z, C), objective(Z, C))
    assert repr(again) == (
        "Objective(head=softmax, loss=ce, exact=True, axis=1, reduction='mean', weight=(3,))"
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("options", OPTIONS)
def test_halves_are_computed_in_float32(dtype, options):
    objective, z = Objective("softmax", "ce", **options), Z.to(dtype)
    for function in (objective, objective.gradient):
        found = function(z, C)
        assert found.dtype == dtype
        torch.testing.assert_close(found, function(z.float(), C).to(dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert objective(Z.bfloat16(), C).dtype == torch.float32


def test_probabilities_are_warned_of_where_targets_are_class_numbers():
    z = torch.rand(40, 3, generator=torch.Generator().manual_seed(0)).softmax(-1)
    with pytest.warns(UserWarning, match="are probabilities that sum to 1: are they predictions"):
        Objective("softmax", "ce", axis=1)(z, torch.zeros(40).long())


@pytest.mark.parametrize("autocast", [False, True])
def test_many_examples_are_as_exact_as_few(autocast):
    """Many are added up by a product, which autocast would round."""
    z = torch.randn(3000, 3, generator=torch.Generator().manual_seed(0))
    c = torch.arange(3000) % 3
    objective = Objective("softmax", "ce")
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        losses = objective(z, c)
    expected = F.cross_entropy(z.double(), c, reduction="none")
    torch.testing.assert_close(losses.double(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("loss", ["symmetric_ce", "phuber_ce", "poly1"])
def test_weights_of_further_losses_of_a_choice(loss):
    weight, c = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64), C[:4]
    objective, plain = Objective("softmax", loss, weight=weight), Objective("softmax", loss)
    close(objective(Z[:4], c), weight[c] * plain(Z[:4], c))
    shares = torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64).expand(4, 3)
    parts = [plain(Z[:4], torch.full((4,), k)) for k in range(3)]
    mixed = sum(w * share * part for w, share, part in zip(weight, shares[0], parts, strict=True))
    close(objective(Z[:4], shares), mixed)


def test_a_set_has_no_weights_of_its_outputs():
    sentence = "weight has one number for each class, and head=sigmoid loss=tversky has no classes"
    with pytest.raises(InputError, match=sentence):
        Objective("sigmoid", "tversky", weight=[1.0, 2.0, 3.0])
    weight = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64)
    objective = Objective("softmax", "tversky", weight=weight)
    close(objective(Z[:4], C[:4]), weight[C[:4]] * Objective("softmax", "tversky")(Z[:4], C[:4]))
    one = Objective("sigmoid", "tversky", reduction="mean")(Z[:4], HOT[:4])
    close(one, Objective("sigmoid", "tversky")(Z[:4], HOT[:4]).mean())
