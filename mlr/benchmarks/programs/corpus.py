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
from mlr.benchmarks.programs.held_out import head_loss as held_out_head_loss
from mlr.benchmarks.programs.held_out import look_alikes as held_out_look_alikes
from mlr.benchmarks.programs.held_out import others as held_out_others

FAULTY: tuple[Faulty, ...] = (
    *head_loss_classes.CASES,
    *head_loss_binary.CASES,
    *head_loss_numbers.CASES,
    *loop.CASES,
    *network.CASES,
    *data.CASES,
    *held_out_head_loss.CASES,
    *held_out_others.CASES,
)
LOOK_ALIKES: tuple[LookAlike, ...] = (*look_alikes.CASES, *held_out_look_alikes.CASES)
