"""Schedules against factors worked out by hand, and against torch.optim.lr_scheduler."""

from __future__ import annotations

import pytest
import torch
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    SequentialLR,
    StepLR,
)

from mlr.core.checks import InputError
from mlr.training import Constant, Cosine, Exponential, Step

# ½(1 + cos(πs/8)), s = 0 … 7
EIGHTHS = [
    *(1, 0.9619397662556434, 0.8535533905932737, 0.6913417161825449),
    *(0.5, 0.3086582838174551, 0.1464466094067263, 0.0380602337443566),
]
BY_HAND = [
    (Constant(), [1, 1, 1]),
    # the first of n updates of warm-up has 1/n, the last of them n/n
    (Constant(warmup_steps=4), [1 / 4, 2 / 4, 3 / 4, 1, 1, 1]),
    (Constant(warmup_steps=1), [1, 1]),
    # 4 of 12 rise, and the other 8 fall along the whole half of the cosine
    (Cosine(warmup_steps=4), [1 / 4, 2 / 4, 3 / 4, 1, *EIGHTHS]),
    (Cosine(), EIGHTHS),
    # 0.2 + 0.8·½(1 + cos(πs/4))
    (Cosine(final_factor=0.2), [1, 0.2 + 0.8 * EIGHTHS[2], 0.6, 0.2 + 0.8 * EIGHTHS[6]]),
    (Cosine(), [1]),
    # a run that ends while it warms up
    (Cosine(warmup_steps=8), [1 / 8, 2 / 8, 3 / 8]),
    (Step(warmup_steps=2), [1 / 2, 1]),
    # 3 drops: 4 plateaus
    (Step(), [1, 1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]),
    (Step(drops=1, factor=0.5), [1, 1, 0.5, 0.5]),
    # 10 updates: borders at 2.5, 5 and 7.5
    (Step(factor=0.5), [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125]),
    (Step(drops=2, warmup_steps=3), [1 / 3, 2 / 3, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]),
    (Exponential(gamma=0.5), [1, 0.5, 0.25, 0.125]),
    (Exponential(gamma=0.5, every=2, warmup_steps=1), [1, 1, 1, 0.5, 0.5, 0.25]),
    (Exponential(gamma=0.5, warmup_steps=2), [1 / 2, 1, 1, 0.5]),
    # fewer updates than plateaus: ⌊4·0/2⌋ and ⌊4·1/2⌋ drops
    (Step(factor=0.5), [1, 0.25]),
]


@pytest.mark.parametrize(("schedule", "expected"), BY_HAND, ids=repr)
def test_every_factor_is_that_worked_out_by_hand(schedule, expected):
    assert schedule.factors(len(expected), 0.1) == pytest.approx(expected, rel=1e-14)


def rates(make, steps):
    """The rates of a torch scheduler, of an optimizer of rate 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, found = make(optimizer), []
    for _ in range(steps):
        found.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return found


def after_rising(warmup, then):
    """`warmup` updates that rise from 1/warmup to 1, and then another scheduler."""

    def make(optimizer):
        # its factor is 1 one update before the other takes over
        rising = LinearLR(optimizer, start_factor=1 / warmup, total_iters=warmup - 1)
        return SequentialLR(optimizer, [rising, then(optimizer)], milestones=[warmup])

    return make


TORCH = [
    (Cosine(), lambda o: CosineAnnealingLR(o, T_max=60)),
    (Cosine(final_factor=0.1), lambda o: CosineAnnealingLR(o, T_max=60, eta_min=0.1)),
    (Step(), lambda o: StepLR(o, step_size=15)),
    (Step(drops=5, factor=0.3), lambda o: StepLR(o, step_size=10, gamma=0.3)),
    # 60/7 = 8.57: the first whole update from each border on
    (
        Step(drops=6, factor=0.5),
        lambda o: MultiStepLR(o, milestones=[9, 18, 26, 35, 43, 52], gamma=0.5),
    ),
    (Exponential(), lambda o: ExponentialLR(o, gamma=0.999)),
    (Exponential(gamma=0.7, every=7), lambda o: StepLR(o, step_size=7, gamma=0.7)),
    (
        Exponential(gamma=0.9, warmup_steps=10),
        after_rising(10, lambda o: ExponentialLR(o, gamma=0.9)),
    ),
    (
        Constant(warmup_steps=20),
        after_rising(20, lambda o: ConstantLR(o, factor=1.0, total_iters=0)),
    ),
    (Cosine(warmup_steps=10), after_rising(10, lambda o: CosineAnnealingLR(o, T_max=50))),
    (
        Step(warmup_steps=12, drops=2),
        after_rising(12, lambda o: StepLR(o, step_size=16)),
    ),
]


# SequentialLR calls the schedulers that follow in a way that torch deprecates
@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step:UserWarning")
@pytest.mark.parametrize(("schedule", "make"), TORCH, ids=[repr(one) for one, _ in TORCH])
def test_every_factor_is_that_of_torch(schedule, make):
    assert schedule.factors(60, 0.1) == pytest.approx(rates(make, 60), rel=1e-10)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(warmup_steps=-1), "schedule.warmup_steps=-1 must be"),
        (lambda: Constant(warmup_steps=1.5), "schedule.warmup_steps=1.5 must be"),
        (lambda: Cosine(final_factor=1.5), "schedule.final_factor=1.5 must lie in"),
        (lambda: Cosine(final_factor=-0.1), "schedule.final_factor=-0.1 must lie in"),
        (lambda: Cosine(warmup_steps=-1), "schedule.warmup_steps=-1 must be"),
        (lambda: Step(drops=0), "schedule.drops=0 must be"),
        (lambda: Step(factor=0.0), "schedule.factor=0.0 must be"),
        (lambda: Step(factor=1.5), "schedule.factor=1.5 must lie in"),
        (lambda: Step(warmup_steps=-1), "schedule.warmup_steps=-1 must be"),
        (lambda: Exponential(gamma=0.0), "schedule.gamma=0.0 must be"),
        (lambda: Exponential(gamma=1.5), "schedule.gamma=1.5 must lie in"),
        (lambda: Exponential(every=0), "schedule.every=0 must be"),
        (lambda: Exponential(warmup_steps=-1), "schedule.warmup_steps=-1 must be"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
