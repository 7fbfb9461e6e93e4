"""Training: one engine for one run or a thousand, with a leading run axis R everywhere.

An `Experiment` describes one run; `train([experiment, …])` computes all of them as one tensor
program. Parameters are in one flat (L, P) buffer, a lane per run, with spare lanes where that is
faster. Dense networks are differentiated in closed form, any other module by autograd. A step
computes nothing that only a measured step needs. A second thread gathers batches ahead.
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
