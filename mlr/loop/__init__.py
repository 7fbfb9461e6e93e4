"""The gradient of your own PyTorch loop, measured by the probes of mlr's trainings.

A `GradientProbe` listens by hooks, which are there on scheduled steps only: to the logits in
`watch`, to the parameters' gradients at the end of each backward pass, to dense layers by
`mlr.probes.taps`, to the weights by the optimizer's own step hooks. What it heard is a
`Point`; a stack of them is measured at once (`measure`) and goes to a sink: a run's folder or a
SummaryWriter. It never changes a gradient, a parameter or a random number.
"""

from typing import TYPE_CHECKING

from mlr.core.lazy import lazy_exports

if TYPE_CHECKING:
    from mlr.loop.probe import GradientProbe

__getattr__ = lazy_exports(__name__, {"GradientProbe": "mlr.loop.probe"})

__all__ = ["GradientProbe"]
