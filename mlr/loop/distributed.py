"""Loops of several processes: which one records, what its numbers are of, and what is refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch.distributed
from torch import nn
from torch.autograd import Variable

from mlr.core.checks import InputError, users_stacklevel

REDUCES = "DistributedDataParallel"
SHARDS = ("FullyShardedDataParallel", "FSDPModule")


class Processes:
    """Processes of a loop.

    Attributes:
        count: of them; 1 without torch.distributed.
        records: True in the first process, which alone records.
        reduces: True if the model averages the gradients over the processes.

    Raises:
        InputError: the parameters are sharded.
    """

    def __init__(self, model: nn.Module) -> None:
        parts = {kind.__name__ for part in model.modules() for kind in type(part).__mro__}
        sharded = any(type(own).__name__ == "DTensor" for own in model.parameters())
        if sharded or parts.intersection(SHARDS):
            raise InputError(
                "GradientProbe cannot measure a model whose parameters are sharded over processes, "
                "as by fully_shard or FullyShardedDataParallel: each process has only a part of "
                "each gradient. Wrap the model in DistributedDataParallel, or leave the probe out."
            )
        begun = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.count = torch.distributed.get_world_size() if begun else 1
        self.records = not begun or torch.distributed.get_rank() == 0
        self.reduces = REDUCES in parts

    def tell(self) -> None:
        """Say what the numbers of the recording process are of."""
        if self.count == 1:
            return
        norms = "are of the mean over all" if self.reduces else "are of this process, too"
        warnings.warn(
            f"GradientProbe records the first of {self.count} processes: loss, accuracy and "
            f"gradients of outputs are of its part of each batch; gradients of parameters {norms}.",
            stacklevel=users_stacklevel(),
        )


def at_end_of_backward(call: Callable[[], None], processes: Processes | None) -> None:
    """Queue a call for the end of the backward pass, after the exchange between processes.

    DistributedDataParallel queues its own last part later than a hook of the outputs is called,
    and callbacks are called in order; so ours queues itself once more.
    """
    queue = Variable._execution_engine.queue_callback
    queue((lambda: queue(call)) if processes is not None and processes.reduces else call)
