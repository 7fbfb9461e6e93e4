"""Every combination of options gives the values and gradients of torch's own losses.

torch's are computed in float64: in float32 its own tails have fewer digits than are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mlr.objectives import Objective

CLOSE = {torch.float32: 1e-6, torch.float64: 1e-12}
K = 4
SHAPES = {  # of logits and the axis of the outputs
    "rows": ((6, K), 1),
    "one example": ((K,), 0),
    "sequence": ((3, K, 5), 1),
    "images": ((2, K, 3, 2), 1),
}
DRAWN = [
    *(("rows", dtype) for dtype in CLOSE),
    *(("one example", torch.float64), ("sequence", torch.float32), ("images", torch.float64)),
]
REDUCTIONS = ("none", "mean", "sum")
NO_LABELS = ("none", "some", "all")


def drawn(*shape: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) * 3


def assert_same(
    own: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor], z: Tensor
) -> None:
    """Compare values, and gradients with respect to logits of a sum with unequal parts."""
    found = []
    for function, leaf in ((own, z.clone()), (theirs, z.double())):
        losses = function(leaf.requires_grad_())
        parts = torch.arange(1.0, losses.numel() + 1).reshape(losses.shape).to(leaf)
        slopes = torch.autograd.grad(losses, leaf, parts)[0]
        found.append((losses.detach().double(), slopes.double()))
    for ours, torchs in zip(*found, strict=True):
        assert_close(ours, torchs, z.dtype)


def assert_close(ours: Tensor, torchs: Tensor, dtype: torch.dtype) -> None:
    """Compare relatively, numbers that terms cancel in with the largest."""
    size = torchs.nan_to_num().abs().max().item()
    torch.testing.assert_close(
        ours, torchs, rtol=CLOSE[dtype], atol=CLOSE[dtype] * size, equal_nan=True
    )


def wide(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.double()


def assert_gradient(objective: Objective, z: Tensor, *rest: Tensor) -> None:
    """Compare `gradient` with autograd of what the objective returns."""
    leaf = z.clone().requires_grad_()
    expected = torch.autograd.grad(objective(leaf, *rest).sum(), leaf)[0]
    found = objective.gradient(z, *rest)
    assert_close(found, expected, z.dtype)


@pytest.mark.parametrize(("shape", "dtype"), DRAWN)
@pytest.mark.parametrize("missing", NO_LABELS)
def test_cross_entropy_of_class_numbers(shape, missing, dtype):
    sizes, axis = SHAPES[shape]
    z = drawn(*sizes, dtype=dtype)
    c = torch.arange(z.numel() // K).reshape(sizes[:axis] + sizes[axis + 1 :]) % K
    for ignored in (-100, 2) if missing == "some" else (255,):
        own = {"none": c, "some": c.where(c % 2 == 0, ignored), "all": torch.full_like(c, ignored)}
        c_own = own[missing]
        for weight, smoothing, reduction in product(
            (None, torch.tensor([0.5, 2.0, 0.0, 3.0], dtype=dtype)), (0.0, 0.1), REDUCTIONS
        ):
            options = {"label_smoothing": smoothing, "ignore_index": ignored}
            objective = Objective(
                "softmax", "ce", axis=axis, weight=weight, reduction=reduction, **options
            )
            theirs = partial(
                F.cross_entropy, target=c_own, weight=wide(weight), reduction=reduction, **options
            )
            assert_same(partial(objective, targets=c_own), theirs, z)
            assert_gradient(objective, z, c_own)


@pytest.mark.parametrize(("shape", "dtype"), DRAWN)
@pytest.mark.parametrize("soft", [False, True])
def test_cross_entropy_of_rows(shape, soft, dtype):
    sizes, axis = SHAPES[shape]
    z = drawn(*sizes, dtype=dtype)
    t = (drawn(*sizes, dtype=dtype, seed=1) * (1 if soft else 1e4)).softmax(axis)
    for weight, smoothing, reduction in product(
        (None, torch.tensor([0.5, 2.0, 0.0, 3.0], dtype=dtype)), (0.0, 0.1), REDUCTIONS
    ):
        objective = Objective(
            "softmax", "ce", axis=axis, weight=weight, label_smoothing=smoothing,
            reduction=reduction,
        )  # fmt: skip
        theirs = partial(
            F.cross_entropy, target=wide(t), weight=wide(weight), label_smoothing=smoothing,
            reduction=reduction,
        )  # fmt: skip
        if shape == "one example" and reduction == "mean":
            # torch divides by the number of outputs there, and by 1 of (1, K)
            theirs = lambda z, own=theirs: own(z[None], target=wide(t)[None])  # noqa: E731
        assert_same(partial(objective, targets=t), theirs, z)
        assert_gradient(objective, z, t)


def of_outputs(function: Callable[..., Tensor], axis: int, factor: float, reduction: str, **more):
    """torch's loss of separate outputs, added up over these where it is not reduced."""

    def losses(z: Tensor) -> Tensor:
        found = factor * function(z, reduction=reduction, **more)
        return found.sum(axis) if reduction == "none" else found

    return losses


def along(values: Tensor | None, axis: int, dims: int) -> Tensor | None:
    """Values (K,) in a shape that torch broadcasts along the axis."""
    return None if values is None else values.view([-1 if d == axis else 1 for d in range(dims)])


@pytest.mark.parametrize(("shape", "dtype"), DRAWN)
@pytest.mark.parametrize("loss", ["bce", "matching"])
@pytest.mark.parametrize("soft", [False, True])
def test_binary_cross_entropy(shape, loss, soft, dtype):
    sizes, axis = SHAPES[shape]
    z, t = drawn(*sizes, dtype=dtype), drawn(*sizes, dtype=dtype, seed=1).sigmoid()
    t = t if soft else t.round()
    weights = (None, torch.tensor([0.5, 2.0, 0.0, 3.0], dtype=dtype))
    for weight, yes, reduction in product(weights, weights, REDUCTIONS):
        objective = Objective(
            "sigmoid", loss, axis=axis, weight=weight, pos_weight=yes, reduction=reduction
        )
        theirs = of_outputs(
            F.binary_cross_entropy_with_logits, axis, 1.0, reduction, target=wide(t),
            weight=along(wide(weight), axis, z.dim()), pos_weight=along(wide(yes), axis, z.dim()),
        )  # fmt: skip
        assert_same(partial(objective, targets=t), theirs, z)
        assert_gradient(objective, z, t)


@pytest.mark.parametrize(("shape", "dtype"), DRAWN)
@pytest.mark.parametrize("loss", ["se", "matching"])
def test_mean_squared_error(shape, loss, dtype):
    sizes, axis = SHAPES[shape]
    z, t = drawn(*sizes, dtype=dtype), drawn(*sizes, dtype=dtype, seed=1) - 1
    for weight, reduction in product(
        (None, torch.tensor([0.5, 2.0, 0.0, 3.0], dtype=dtype)), REDUCTIONS
    ):
        objective = Objective("linear", loss, axis=axis, weight=weight, reduction=reduction)
        each = along(wide(weight), axis, z.dim())
        theirs = of_outputs(
            F.mse_loss, axis, 0.5, reduction, target=wide(t),
            weight=None if each is None else each.expand_as(z).contiguous(),
        )  # fmt: skip
        assert_same(partial(objective, targets=t), theirs, z)
        assert_gradient(objective, z, t)


@pytest.mark.parametrize(("shape", "dtype"), DRAWN)
def test_absolute_error_of_probabilities(shape, dtype):
    sizes, axis = SHAPES[shape]
    z, t = drawn(*sizes, dtype=dtype), drawn(*sizes, dtype=dtype, seed=1).sigmoid().round()
    for weight, reduction in product(
        (None, torch.tensor([0.5, 2.0, 0.0, 3.0], dtype=dtype)), REDUCTIONS
    ):
        objective = Objective("sigmoid", "mae", axis=axis, weight=weight, reduction=reduction)
        each = along(wide(weight), axis, z.dim())

        def theirs(z, each=each, reduction=reduction):
            weight = None if each is None else each.expand_as(z).contiguous()
            found = F.l1_loss(z.sigmoid(), wide(t), weight=weight, reduction=reduction)
            return found.sum(axis) if reduction == "none" else found

        assert_same(partial(objective, targets=t), theirs, z)
        assert_gradient(objective, z, t)


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
def test_logits_without_an_output_axis(dtype):
    z = drawn(7, dtype=dtype)
    t = torch.tensor([0.0, 1, 1, 0, 1, 0.25, 0.5], dtype=dtype)
    for yes, reduction in product((None, torch.tensor([3.0], dtype=dtype)), REDUCTIONS):
        objective = Objective("sigmoid", "bce", axis=None, pos_weight=yes, reduction=reduction)
        theirs = partial(
            F.binary_cross_entropy_with_logits,
            target=wide(t),
            pos_weight=wide(yes),
            reduction=reduction,
        )
        assert_same(partial(objective, targets=t), theirs, z)
        assert_gradient(objective, z, t)
    for reduction in REDUCTIONS:
        objective = Objective("linear", "se", axis=None, reduction=reduction)
        theirs = lambda z, how=reduction: F.mse_loss(z, wide(t), reduction=how) / 2  # noqa: E731
        assert_same(partial(objective, targets=t), theirs, z)
