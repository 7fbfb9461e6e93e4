"""Kernels for targets of 0 and 1 alone give the numbers of the kernels for all targets."""

from __future__ import annotations

import pytest
import torch

from mlr.objectives.kernels.kernel import Kernel
from mlr.objectives.kernels.table import KERNELS

HARD = {
    f"{head.name}+{loss.name}": kernel
    for (head, loss), kernel in KERNELS.items()
    if isinstance(kernel, Kernel) and kernel.hard is not None
}
SPECIAL = [torch.inf, -torch.inf, torch.nan, 0.0, -0.0, 20.0, 20.001, -20.0, 40.0, -40.0, 104.0]


def test_some_pairs_have_one():
    assert {"sigmoid+bce", "sigmoid+se", "sigmoid+matching"} <= set(HARD)


@pytest.mark.parametrize("count", [1, 31, 64, 3000])  # with and without a remainder of a register
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("pair", HARD)
def test_numbers_are_equal_to_the_bit(pair, dtype, count):
    kernel, generator = HARD[pair], torch.Generator().manual_seed(count)
    scales = 10 ** torch.randint(-20, 4, (count,), generator=generator).to(dtype)
    drawn = torch.randn(count, generator=generator, dtype=dtype) * scales
    z = torch.cat((drawn, torch.tensor(SPECIAL, dtype=dtype)))[-max(count, 11) :, None]
    for t in (torch.zeros_like(z), torch.ones_like(z)):
        for every, hard in (
            (kernel.losses, kernel.hard.losses),
            (kernel.gradient, kernel.hard.gradient),
        ):
            found, expected = hard(z, t), every(z, t)
            assert found.shape == expected.shape
            assert torch.equal(found.nan_to_num(-1.0), expected.nan_to_num(-1.0))


@pytest.mark.parametrize("pair", HARD)
def test_several_outputs_are_summed(pair):
    z = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    t = torch.eye(3).repeat(17, 1)[:50]
    kernel = HARD[pair]
    assert torch.equal(kernel.hard.losses(z, t), kernel.losses(z, t))
    assert torch.equal(kernel.hard.gradient(z, t), kernel.gradient(z, t))
