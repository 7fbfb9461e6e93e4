"""Trials of heads and losses of one's own: each fault has its sentence."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from mlr.core.checks import InputError
from mlr.core.domains import OPEN_UNIT, REALS, SIMPLEX, UNIT
from mlr.heads import HEADS, Head, Linear, Sigmoid
from mlr.losses import LOSSES, Loss
from mlr.objectives import Objective
from mlr.objectives.compatibility import check_pair
from mlr.objectives.trial import EXAMPLES, FIRST, SECOND, try_head, try_loss

K = 3


def batch(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(EXAMPLES, K, generator=generator, dtype=dtype)
    return z, F.one_hot(torch.arange(EXAMPLES) % K, K).to(dtype)


def loss_of(function, **declared):
    """A loss on logits that computes `function`."""

    class Own(Loss):
        name, target_domain, on_logits = "own", UNIT, True

        def __call__(self, predictions, targets):
            return function(predictions, targets)

    for name, value in declared.items():
        setattr(Own, name, value)
    return Own()


def tried(loss, head="linear", dtype=torch.float64):
    try_loss(Objective(head, loss), *batch(dtype))


def square(z, t):
    return (z - t).square().sum(-1)


def in_place(z, t):
    t.sub_(0.5)
    return square(z, t)


def fails(z, t):
    raise ZeroDivisionError("no luck")


REFUSED = {
    "mean": (lambda z, t: square(z, t).mean(), "one number for the whole batch; return the cost"),
    "outputs": (lambda z, t: (z - t).square(), r"each output, shape \(7, 3\).*\.sum\(-1\)"),
    "shape": (lambda z, t: square(z, t)[1:], r"returns shape \(6,\) for logits of shape \(7, 3\)"),
    "float": (lambda z, t: square(z, t).mean().item(), "returns a float; return a tensor"),
    "nan": (lambda z, t: z.log().sum(-1), r"loss=own is NaN for logits \(.*\) and targets \("),
    "nan slope": (
        lambda z, t: (z - z.detach()).square().sum(-1).sqrt() + square(z, t),
        r"has the gradient NaN at logits \(",
    ),
    "statistic": (lambda z, t: square(z - z.mean(0), t), "couples examples: with others in the"),
    "by values": (lambda z, t: square(z, t) / z.detach().abs().max(), "couples examples"),
    "count": (lambda z, t: square(z, t) / len(z), "couples examples"),
    "targets": (lambda z, t: square(z, t) * t.mean(0).sum(-1) / t[:, 0].mean(), "couples examples"),
    "detached": (
        lambda z, t: square(z.detach(), t),
        "not depend on the logits in a way that torch",
    ),
    "threshold": (lambda z, t: (z.argmax(-1) != t.argmax(-1)).double(), "torch can differentiate"),
    "random": (lambda z, t: square(z, t) * torch.rand(len(z)), "differs from one call to the next"),
    "axis": (lambda z, t: (z - t).square().sum(1), r"logits \(2, 7, 3\), is not what it is of one"),
    "in place": (in_place, "changes its targets in place"),
    "error": (
        fails,
        r"fails on numbers of shape \(7, 3\) and \(7, 3\): ZeroDivisionError: no luck",
    ),
}


@pytest.mark.parametrize(("function", "message"), REFUSED.values(), ids=REFUSED)
def test_a_faulty_loss_is_refused(function, message):
    with pytest.raises(InputError, match=message):
        tried(loss_of(function))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_sound_losses_pass(dtype):
    tried(loss_of(square), dtype=dtype)
    tried(
        loss_of(
            lambda z, t: (
                F.multi_margin_loss(z, t.argmax(-1), reduction="none")
                if z.dim() == 2
                else square(z, t) * 0 + _margins(z, t)
            )
        ),
        dtype=dtype,
    )
    tried(loss_of(lambda z, t: square(z, t) + torch.inf), dtype=dtype)  # infinite is no NaN


def _margins(z, t):
    own = (z * t).sum(-1, keepdim=True)
    return ((1 - own + z).relu() * (1 - t)).sum(-1) / z.shape[-1]


def test_every_pair_of_mlr_passes():
    """So the trial refuses nothing sound."""
    z, t = batch()
    passed = 0
    for head in HEADS:
        for loss in LOSSES:
            try:
                objective = Objective(head(), loss())
                check_pair(head(), loss(), K)
            except InputError:
                continue
            if objective.head.range.per_target == 1:
                ordered = objective.head.ordered
                try_loss(
                    objective, z, objective.head.encode(t.argmax(-1), K).to(t) if ordered else t
                )
                passed += 1
    assert passed > 20
    for kind in HEADS:
        own = kind()
        if own.range.per_target == 1:
            try_head(own, z, matched=own.has_potential)


def head_of(**changes):
    class Own(Head):
        name, range = "own", OPEN_UNIT

        def __call__(self, logits):
            return torch.sigmoid(logits)

        def potential(self, logits):
            return F.softplus(logits).sum(-1)

        def slope(self, logits):
            return torch.sigmoid(logits) * torch.sigmoid(-logits)

    for name, value in changes.items():
        setattr(Own, name, value)
    return Own()


HEADS_REFUSED = {
    "coupled": ({"__call__": lambda self, z: z.softmax(0)}, "head=own couples examples"),
    "shape": ({"__call__": lambda self, z: z.sum(-1)}, r"predictions of shape \(7,\) for logits"),
    "detached": ({"__call__": lambda self, z: (z > 0).double()}, "torch can differentiate"),
    "nan": ({"__call__": lambda self, z: z.sqrt()}, r"head=own is NaN for logits \("),
    "range": (
        {"__call__": lambda self, z: 2 * torch.sigmoid(z)},
        r"gives 1\.\d+, but declares predictions in \(0, 1\) as its range",
    ),
    "sum": ({"range": SIMPLEX}, "predictions that sum to .*, but declares probabilities that sum"),
    "slope": ({"slope": lambda self, z: z * 0 + 1}, "the slope of head=own is 1 where ∂y_k/∂z_k"),
    "slope's shape": ({"slope": lambda self, z: z.sum(-1)}, r"has shape \(7,\), and must have \(7"),
    "potential": (
        {"potential": lambda self, z: 2 * F.softplus(z).sum(-1)},
        "gradient of the potential of head=own is",
    ),
    "sum of potential": ({"potential": lambda self, z: F.softplus(z)}, "sum it over the last axis"),
}


@pytest.mark.parametrize(("changes", "message"), HEADS_REFUSED.values(), ids=HEADS_REFUSED)
def test_a_faulty_head_is_refused(changes, message):
    try_head(head_of(), batch()[0], matched=True)
    with pytest.raises(InputError, match=message):
        try_head(head_of(**changes), batch()[0], matched=True)


def test_a_potential_counts_only_for_the_matching_loss():
    def none(self, logits):
        raise NotImplementedError

    try_head(head_of(potential=none), batch()[0], matched=False)


def test_both_batches_have_other_companions():
    assert (FIRST, SECOND, EXAMPLES) == (7, 5, 9)


@pytest.mark.parametrize(
    ("part", "missing", "message"),
    [
        ("loss", "target_domain", "loss=own declares no target_domain; write target_domain = …"),
        ("loss", "domain", "loss=own declares no domain; write domain = … in class Own"),
        ("loss", "name", 'loss Own has no name; write name = "own" in the class'),
        ("head", "range", "head=own declares no range"),
    ],
)
def test_parts_say_where_their_numbers_lie(part, missing, message):
    class Own(Linear if part == "head" else Loss):
        name, domain, target_domain = "own", REALS, UNIT

        def __call__(self, *values):
            return values[0].sum(-1)

    setattr(Own, missing, None)
    pair = (Own(), "se") if part == "head" else (Sigmoid(), Own())
    with pytest.raises(InputError, match=message):
        Objective(*pair)
    setattr(Own, missing, "reals" if missing != "name" else 3)
    with pytest.raises(InputError, match=r"declares 'reals' as its|has no name"):
        Objective(*pair)


@pytest.mark.parametrize("head", ["linear", "sigmoid", "softmax", "clipped_linear", "probit"])
def test_a_loss_on_logits_goes_with_every_head_and_is_that_of_the_logits(head):
    own = loss_of(lambda z, t: F.softplus((1 - 2 * t) * z).sum(-1))
    z, t = batch()
    objective = Objective(head, own)
    expected = F.binary_cross_entropy_with_logits(z, t, reduction="none").sum(-1)
    torch.testing.assert_close(objective(z, t), expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(objective.gradient(z, t), z.sigmoid() - t, rtol=1e-9, atol=1e-12)
    assert own.domain == REALS


def test_a_loss_on_logits_has_one_number_a_target_unless_it_says_otherwise():
    with pytest.raises(InputError, match="needs one prediction for each target"):
        Objective("gaussian", loss_of(square))
