"""All programs: with a fault, and sound ones that look odd."""

from mlr.benchmarks.programs import (
    data,
    head_loss_binary,
    head_loss_classes,
    head_loss_numbers,
    look_alikes,
    loop,
    network,
)
from mlr.benchmarks.programs.case import Faulty, LookAlike

FAULTY: tuple[Faulty, ...] = (
    *head_loss_classes.CASES,
    *head_loss_binary.CASES,
    *head_loss_numbers.CASES,
    *loop.CASES,
    *network.CASES,
    *data.CASES,
)
LOOK_ALIKES: tuple[LookAlike, ...] = look_alikes.CASES
