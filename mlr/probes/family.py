"""The probe families of a run, side by side."""

from __future__ import annotations

from mlr.probes.base import Probe
from mlr.probes.gradient_norm import GradientNorm
from mlr.probes.logit_gradient import LogitGradient
from mlr.probes.performance import Performance
from mlr.probes.saturation import Saturation
from mlr.probes.settings import ProbeSettings

PROBES: tuple[type[Probe], ...] = (Performance, LogitGradient, Saturation, GradientNorm)


def make_probes(
    settings: ProbeSettings, classification: bool, layers: tuple[str, ...], spread: bool = False
) -> tuple[Probe, ...]:
    """One probe of each family, in the order of `PROBES` and of the columns they fill."""
    return (
        Performance(classification, spread),
        LogitGradient(classification),
        Saturation(classification, settings.threshold),
        GradientNorm(layers),
    )
