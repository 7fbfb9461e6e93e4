"""What one run measures, and how often: checked before torch is imported."""

from __future__ import annotations

from dataclasses import dataclass

from mlr.checks import positive, whole


@dataclass(frozen=True)
class ProbeSettings:
    """Schedule and thresholds of the probes.

    Args:
        points: logged steps a run, about; 0 logs nothing but the validation of each epoch.
        histogram_points: of these, how many also keep histograms of z and dL/dz.
        threshold: slopes and gradients below it count as saturated and stuck.
    """

    points: int = 200
    histogram_points: int = 50
    threshold: float = 0.01

    def __post_init__(self) -> None:
        whole("probes.points", self.points, at_least=0)
        whole("probes.histogram_points", self.histogram_points, at_least=0)
        positive("probes.threshold", self.threshold)

    def steps(self, total_steps: int) -> list[int]:
        """About `points` of the steps 0 … total_steps − 1, evenly spaced, both ends included.

        The spacing is a whole number, so that runs of one length are logged at equal steps.
        """
        if self.points == 0 or total_steps == 0:
            return []
        every = -(-total_steps // self.points)
        steps = list(range(0, total_steps, every))
        return steps if steps[-1] == total_steps - 1 else [*steps, total_steps - 1]

    @property
    def histogram_every(self) -> int:
        """Every how many logged steps histograms are kept; 0 for never."""
        return -(-self.points // self.histogram_points) if self.histogram_points else 0
