"""Random numbers of one's own on every thread: those of torch after `manual_seed`."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import torch
from torch import nn

from mlr.training.drawing import OwnDraws


def draws(meet=lambda: None):
    """Numbers of several operations that draw, two without an argument for a generator."""
    found = []
    for call in (
        lambda: nn.functional.dropout(torch.ones(50), 0.4),
        lambda: torch.randn_like(torch.ones(20)),
        lambda: torch.randperm(30).float(),
        lambda: nn.functional.rrelu(torch.linspace(-1, 1, 40), training=True),
    ):
        meet()
        found.append(call())
    return torch.cat(found)


def after(seed):
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return draws()


def test_they_are_those_after_a_seed():
    with OwnDraws(3):
        found = draws()
    assert torch.equal(found, after(3))
    assert not torch.equal(found, after(4))


def test_threads_do_not_disturb_each_other():
    barrier = Barrier(3)

    def drawn(seed):
        with OwnDraws(seed):
            return draws(barrier.wait)

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(drawn, range(3)))
    for seed, own in enumerate(found):  # once nobody else draws
        assert torch.equal(own, after(seed))


def test_gradients_are_those_of_the_same_mask():
    x = torch.ones(64, requires_grad=True)
    with OwnDraws(0):
        dropped = nn.functional.dropout(x, 0.5)
    (gradient,) = torch.autograd.grad(dropped.sum(), x)
    assert torch.equal(gradient, dropped.detach())
    assert 0 < dropped.count_nonzero() < 64
