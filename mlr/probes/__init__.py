"""Probes: pure functions from values that a step computed anyway to the numbers recorded.

`ProbeSettings` says which family is due on which step. A measured step leaves its logits,
targets and gradients, and layer statistics (`layers`). `measuring.Measurements` stacks P such steps
into `base.StepValues`, and each due `base.Probe` turns these into numbers (P, R, tags) at once.
Training and `GradientProbe` use the same modules. A step on which nothing is due costs nothing.

To add a probe, see `mlr.probes.families`: one file and one line.
"""

from mlr.probes.settings import ProbeSettings

__all__ = ["ProbeSettings"]
