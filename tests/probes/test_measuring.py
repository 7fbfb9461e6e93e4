"""Presence of the numbers of measured steps."""

from __future__ import annotations

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
