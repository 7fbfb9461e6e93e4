"""`GradientProbe` as a callback of Lightning's Trainer; only this module needs Lightning.

It works with the packages `lightning` and `pytorch_lightning`: with the one imported before it.
"""

import re
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mlr.core.checks import InputError
from mlr.loop.probe import GradientProbe

VALIDATION = ("val", "valid", "validation")
"""Words by which names of numbers that a validation logs are known."""


def _lightning() -> Any:
    """Import the package whose Trainer is used."""
    names = ("lightning.pytorch", "pytorch_lightning")
    for name in sorted(names, key=lambda name: name not in sys.modules):
        with suppress(ModuleNotFoundError):
            return import_module(name)
    raise ImportError("mlr.loop.lightning needs Lightning: pip install lightning")


class GradientProbeCallback(_lightning().Callback):  # type: ignore[misc]
    """Callback that measures every `fit`, without changes to the LightningModule.

    Logits are the output of a module's forward, targets are taken from the batch, and the loss is
    the result of `training_step`, or in manual optimization what `manual_backward` is given.
    Accumulation, precision and length are read from the Trainer. Numbers that the validation logs
    are recorded under the name they have without `val`. In distributed training, the first process
    measures its own part of the batch.

    Attributes:
        probe: of the running or the last `fit`.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        module: str = "",
        targets: Callable[[Any], Tensor] | None = None,
        **options: Any,
    ) -> None:
        """Set the options.

        Args:
            folder: a new run folder; None writes to the Trainer's TensorBoardLogger.
            module: the part of the LightningModule whose forward gives the logits, as `net`;
                empty for the LightningModule itself.
            targets: function from a batch to its targets; None takes `batch[1]`.
            **options: head, settings, schedule and reduction of `GradientProbe`.
        """
        super().__init__()
        self.folder, self.module, self.options = folder, module, options
        self.targets = targets if targets is not None else _second
        self.probe: GradientProbe | None = None
        self._handle: Any = None
        self._batch: Any = None
        self._logits: Any = None

    def on_train_start(self, trainer: Any, pl_module: nn.Module) -> None:
        """Make the probe.

        Raises:
            InputError: no folder and no logger to write to, or an option of `GradientProbe`.
        """
        if not trainer.is_global_zero:
            return
        total = trainer.estimated_stepping_batches
        module = pl_module.get_submodule(self.module)
        self.probe = GradientProbe(
            module,
            trainer.optimizers,
            self.folder,
            writer=None if self.folder is not None else _writer(trainer),
            total_steps=int(total) if isfinite(total) and total > 0 else None,
            first_step=trainer.global_step,
            accumulate=trainer.accumulate_grad_batches,
            scaler=getattr(trainer.precision_plugin, "scaler", None),
            **self.options,
        )
        self._handle = module.register_forward_hook(self._store_logits)

    def on_train_batch_start(self, trainer: Any, pl_module: nn.Module, batch: Any, *_: Any) -> None:
        """Store the batch, for its targets."""
        self._batch = batch

    def on_before_backward(self, trainer: Any, pl_module: nn.Module, loss: Tensor) -> None:
        """Measure the batch.

        Raises:
            InputError: the module gave no logits, or the batch no targets.
        """
        probe, logits, self._logits = self.probe, self._logits, None
        if probe is None or (logits is None and not pl_module.automatic_optimization):
            return  # of several losses, the first one after the forward pass is measured
        if not isinstance(logits, Tensor):
            raise InputError(
                f"The forward of {self.module or type(pl_module).__name__} gave no tensor of "
                f"logits in training_step, but {type(logits).__name__}; name the part that does, "
                "as in GradientProbeCallback(module='net')."
            )
        times = float(trainer.accumulate_grad_batches)
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        if scaler is not None:
            times = times / scaler.scale(torch.ones((), device=loss.device))
        probe.watch(logits, self.targets(self._batch), loss, times=times)

    def on_validation_end(self, trainer: Any, pl_module: nn.Module) -> None:
        """Record what the validation logged."""
        if self.probe is None or trainer.sanity_checking:
            return
        logged = trainer.callback_metrics.items()
        named = {_of_validation(name): number for name, number in logged}
        named.pop("", None)
        if named:
            self.probe.log_validation(**named)

    def on_train_end(self, trainer: Any, pl_module: nn.Module) -> None:
        """Write the rest."""
        self.on_exception(trainer, pl_module, None)

    def on_exception(
        self, trainer: Any, pl_module: nn.Module, exception: BaseException | None
    ) -> None:
        """Write the rest, and the failure."""
        self._batch = self._logits = None
        if self._handle is not None:
            self._handle.remove()
        if self.probe is not None:
            self.probe.__exit__(None, exception, None)

    def _store_logits(self, module: nn.Module, arguments: Any, outputs: Any) -> None:
        if torch.is_grad_enabled():
            self._logits = outputs


def _of_validation(name: str) -> str:
    """Return the name of a number of the validation without `val`; empty for another number."""
    words = re.split(r"[_/. -]+", name)
    others = [word for word in words if word.lower() not in VALIDATION]
    own = "_".join(others) if len(others) < len(words) else ""
    return "accuracy" if own == "acc" else own


def _second(batch: Any) -> Tensor:
    if isinstance(batch, (tuple, list)) and len(batch) > 1 and isinstance(batch[1], Tensor):
        return batch[1]
    raise InputError(
        f"A batch of type {type(batch).__name__} has no targets at [1]; say where they are, as in "
        "GradientProbeCallback(targets=lambda batch: batch['label'])."
    )


def _writer(trainer: Any) -> Any:
    """Find the SummaryWriter of the first logger that has one."""
    for logger in trainer.loggers:
        if hasattr(logger.experiment, "add_scalar"):
            return logger.experiment
    raise InputError(
        "GradientProbeCallback has nowhere to write: give it a folder, as in "
        "GradientProbeCallback('runs/mine'), or give the Trainer a TensorBoardLogger."
    )
