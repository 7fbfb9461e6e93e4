"""The probe families, side by side."""

from __future__ import annotations

from mlr.probes.base import Probe, Subject
from mlr.probes.classes import Classes
from mlr.probes.confidence import Confidence
from mlr.probes.direction import Direction
from mlr.probes.gradient_norm import GradientNorm
from mlr.probes.logit_gradient import LogitGradient
from mlr.probes.nonfinite import NonFinite
from mlr.probes.performance import Performance
from mlr.probes.prediction import Prediction
from mlr.probes.ratios import Ratios
from mlr.probes.sample_gradient import SampleGradient
from mlr.probes.saturation import Saturation
from mlr.probes.settings import ProbeSettings
from mlr.probes.slopes import Slopes
from mlr.probes.units import Units

PROBES: tuple[type[Probe], ...] = (
    *(Performance, Prediction, LogitGradient, Saturation, Confidence, Classes, Slopes),
    *(GradientNorm, NonFinite, SampleGradient, Ratios, Direction, Units),
)
"""In the order of `settings.FAMILIES` and of the columns they fill."""


def make_probes(settings: ProbeSettings, subject: Subject) -> tuple[Probe, ...]:
    """One probe of each family that is measured at all, and has something to measure."""
    made = (
        *(Performance(subject), Prediction(subject), LogitGradient(subject)),
        Saturation(subject, settings.threshold),
        *(Confidence(subject), Classes(subject), Slopes(subject), GradientNorm(subject)),
        *(NonFinite(subject), SampleGradient(subject), Ratios(subject), Direction(subject)),
        Units(subject),
    )
    return tuple(probe for probe in made if probe.family in settings.families and probe.tags)
