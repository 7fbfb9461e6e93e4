"""Presence of the numbers of measured steps."""

from __future__ import annotations

import numpy as np
import torch

from mlr.probes.base import Probe, StepValues
from mlr.probes.measuring import Measurements, ScheduledStep


class Gap(Probe):
    """One number, which no batch has."""

    def __init__(self, tag):
        self.tags = (tag,)

    def measure(self, values):
        return torch.full((*values.losses.shape[:2], 1), torch.nan)


def values_of(steps):
    """Make values of two runs, of which the second is broken."""
    values = torch.zeros(len(steps), 2, 3, 1)
    broken = torch.tensor([False, True]).expand(len(steps), 2).unsqueeze(-1)
    return StepValues(values, values, values[..., 0], values, None, broken=broken)


def test_nothing_is_a_number_of_a_broken_run_where_its_family_is_due():
    measurements = Measurements({"first": Gap("a/a"), "second": Gap("b/b")}, values_of, runs=2)
    for step, due in enumerate(("first", "second", "first")):
        z = torch.zeros(2, 3, 1)
        measurements.keep(ScheduledStep(step, 0.0, frozenset({due}), z, None, z, {}))
    found = measurements.measured()
    assert found.numbers.shape == (3, 2, 2)
    assert not found.present[:, 0].any()
    assert found.present[:, 1].tolist() == [[True, False], [False, True], [True, False]]


class Total(Probe):
    """Sum of the logits of the batch."""

    def __init__(self):
        self.tags = ("a/a",)

    def measure(self, values):
        return values.logits.sum((-2, -1))[..., None]


def test_histograms_of_some_steps_of_a_stack():
    measurements = Measurements({"first": Total()}, values_of_logits)
    torch.manual_seed(0)
    logits = torch.randn(4, 1, 6, 2)
    for step, z in enumerate(logits):
        due = frozenset({"first", "histograms"} if step in (1, 3) else {"first"})
        measurements.keep(ScheduledStep(step, 0.0, due, z, None, -z, {}))
    assert len(measurements.stacks) == 1
    found = measurements.measured()
    np.testing.assert_allclose(found.numbers[:, 0, 0], logits.sum((1, 2, 3)), rtol=1e-5)
    assert found.drawn.tolist() == [1, 3]
    for tag, shown in (("histogram/logits", logits), ("histogram/logit_grad", -logits)):
        for row, step in enumerate((1, 3)):
            counts, _ = np.histogram(shown[step].double().numpy(), bins=30)
            assert found.histograms[tag].counts[row, 0].tolist() == counts.tolist()


def values_of_logits(steps):
    z = torch.stack([step.logits for step in steps])
    broken = torch.zeros(len(steps), 1, 1, dtype=torch.bool)
    return StepValues(z, z, z[..., 0], z, None, broken=broken)
