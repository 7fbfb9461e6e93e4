"""Training: one engine for one run or a thousand, with a leading run axis R everywhere.

An `Experiment` says what one run is; `train([experiment, …])` carries all of them as one
tensor program. Parameters live in one flat (L, P) buffer, a lane a run, with spare lanes
where that is faster; dense networks are differentiated in closed form, any other module by
autograd; a step computes nothing that only a logged step needs. Batches are gathered ahead
and logged steps measured by a second thread, where that pays.
"""

from typing import TYPE_CHECKING

from mlr.core.lazy import lazy_exports
from mlr.training.optimizers import OPTIMIZERS, SGD, Adam, AdamW, Optimizer
from mlr.training.schedules import SCHEDULES, Constant, Cosine, LearningRate, Step

if TYPE_CHECKING:
    from mlr.training.experiment import Experiment
    from mlr.training.loop import train
    from mlr.training.result import Result

__getattr__ = lazy_exports(
    __name__,
    {
        "Experiment": "mlr.training.experiment",
        "Result": "mlr.training.result",
        "train": "mlr.training.loop",
    },
)

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "Experiment",
    "LearningRate",
    "Optimizer",
    "Result",
    "Step",
    "train",
]
