"""Training: one engine for one run or a thousand, with a leading run axis R everywhere.

An `Experiment` describes one run; `train([experiment, …])` computes all of them as one tensor
program. Parameters are in one flat (L, P) buffer, a lane per run, with spare lanes where that is
faster. Dense networks are differentiated in closed form, any other module by autograd. A step
computes nothing that only a measured step needs. Runs with one `experiment.program_key` can share
a program.

The way of a batch, from YAML to a number in TensorBoard:

    - `configs/train.yaml` names the parts; `app.run.single` has `app.config.run_spec.RunSpec.build`
      make an `Experiment` of them, and `app.run.lifecycle.train_program` hands it to `loop.train`;
    - `batches.Batches.chunks` gathers examples, and `step.Program.update` computes their logits
      (`backprop`, or `runs_last`, `functional`) and dL/dz (`run_objectives`, which calls the kernel
      of the pair in `mlr.objectives.kernels`), then updates the parameters (by `steppers`);
    - a measured step goes to `log.StepLog`: `probes.measuring.Measurements` stacks some and has
      each probe of `mlr.probes.families` compute its numbers;
    - `records.recorder.record_scalars` encodes the numbers (`records.encoding`, `records.table`),
      and `flush_all` appends them to the files.
"""

from typing import TYPE_CHECKING

from mlr.core.lazy import lazy_exports
from mlr.training.experiment import Experiment
from mlr.training.optimizers import OPTIMIZERS, SGD, Adam, AdamW, Optimizer
from mlr.training.schedules import SCHEDULES, Constant, Cosine, Exponential, LearningRate, Step

if TYPE_CHECKING:
    from mlr.training.loop import Result, train

__getattr__ = lazy_exports(
    __name__,
    {
        "Result": "mlr.training.loop",
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
    "Exponential",
    "LearningRate",
    "Optimizer",
    "Result",
    "Step",
    "train",
]
