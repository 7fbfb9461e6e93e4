"""`GradientProbe` as a callback of Hugging Face's Trainer; only this module needs transformers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import wraps
from math import isclose
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Trainer, TrainerCallback
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from mlr.core.checks import InputError
from mlr.core.domains import IGNORED
from mlr.loop.evidence.recomputed import CLOSE
from mlr.loop.model_hooks import unwrapped
from mlr.loop.probe import GradientProbe

NO_RESULTS = ("epoch", "_per_second", "runtime", "_time")
"""Ends of the names of numbers of an evaluation that are none of its results."""
MOST_COMPARED = 1 << 26
"""Logits above which the loss is not computed again to see what it is a mean of."""


class GradientProbeCallback(TrainerCallback):  # type: ignore[misc]
    """Callback that measures a training, without changes to the model or the Trainer's loss.

    Logits are those of the model's outputs, and the loss is the result of `compute_loss`: that of
    the model, of `compute_loss_func` or of a subclass. Targets are the labels, shifted by one word
    where the loss shifts them. Accumulation, precision and length are read from the Trainer, and
    the results of its evaluations are recorded. In distributed training, the first process measures
    its own part of the batch.

    Attributes:
        probe: of the running or the last training.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        logits: Callable[[Any], Tensor] | None = None,
        targets: Callable[[Mapping[str, Any]], Tensor] | None = None,
        **options: Any,
    ) -> None:
        """Set the options.

        Args:
            folder: a new run folder; None writes to the Trainer's own TensorBoard.
            logits: function from the model's outputs to the logits; None takes `outputs.logits`.
            targets: function from a batch to its targets; None takes `batch["labels"]`.
            **options: head, settings and schedule of `GradientProbe`.
        """
        self.folder, self.logits, self.targets, self.options = folder, logits, targets, options
        self.probe: GradientProbe | None = None
        self._trainer: Any = None
        self._outputs: Any = None
        self._meaning: tuple[bool, bool] | None = None  # shifted labels, loss divided by `items`
        self._undo: list[Callable[[], None]] = []
        self._close_writer: Callable[[], None] = lambda: None

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Make the probe.

        Raises:
            InputError: nowhere to write, an option of `GradientProbe`, or several devices in one
                process.
        """
        self._end(None)  # a training that was broken off
        if not state.is_world_process_zero:
            return
        if args.n_gpu > 1:
            raise InputError(
                f"GradientProbeCallback measures one device, and the Trainer uses {args.n_gpu} in "
                "one process; start it by torchrun, or set CUDA_VISIBLE_DEVICES=0."
            )
        self._trainer = trainer = _trainer_of(self)
        self._meaning = None
        writer = None if self.folder is not None else _writer(trainer)
        self.probe = GradientProbe(
            trainer.model_wrapped,
            trainer.optimizer,
            self.folder,
            writer=writer,
            total_steps=state.max_steps if state.max_steps > 0 else None,
            first_step=state.global_step,
            accumulate=args.gradient_accumulation_steps,
            scaler=trainer.accelerator.scaler,
            **self.options,
        )
        self._undo = [
            trainer.model_wrapped.register_forward_hook(self._store_outputs).remove,
            _replace(trainer, "compute_loss", self._compute_loss),
            _replace(trainer, "training_step", self._training_step),
        ]
        self._close_writer = writer.close if writer is not None else lambda: None

    def on_evaluate(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Record the results of an evaluation within the training."""
        found = {name.removeprefix("eval_"): one for name, one in more["metrics"].items()}
        named = {
            name: one
            for name, one in found.items()
            if isinstance(one, (int, float)) and not name.endswith(NO_RESULTS)
        }
        if self.probe is not None and named:
            self.probe.log_validation(**named)

    def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Write the rest."""
        self._end(None)

    def _end(self, error: BaseException | None) -> None:
        for undo in self._undo:
            undo()
        self._undo, self._outputs, self._trainer = [], None, None
        if self.probe is not None:
            self.probe.__exit__(None, error, None)
            self._close_writer()

    def _store_outputs(self, module: nn.Module, arguments: Any, outputs: Any) -> None:
        if torch.is_grad_enabled():
            self._outputs = outputs

    def _training_step(self, original: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        try:
            return original(*arguments, **more)
        except BaseException as error:
            self._end(error)
            raise

    def _compute_loss(
        self, original: Callable[..., Any], model: nn.Module, inputs: Any, *rest: Any, **more: Any
    ) -> Any:
        """Compute the loss as before, and measure the batch."""
        if not torch.is_grad_enabled():  # in an evaluation
            return original(model, inputs, *rest, **more)
        batch = dict(inputs) if isinstance(inputs, Mapping) else inputs  # labels may be taken out
        found = original(model, inputs, *rest, **more)
        loss = found[0] if isinstance(found, tuple) else found
        outputs, self._outputs = self._outputs, None
        logits = _logits(outputs) if self.logits is None else self.logits(outputs)
        targets = _labels(batch) if self.targets is None else self.targets(batch)
        self._watch(logits, targets, loss, more.get("num_items_in_batch"))
        return found

    def _watch(self, logits: Tensor, targets: Tensor, loss: Tensor, items: Any) -> None:
        """Measure a batch.

        Args:
            logits: z (B, …, K).
            targets: as in the batch, not shifted.
            loss: of the batch ().
            items: number of targets in all batches of the update; None if the Trainer does not
                count them.
        """
        assert self.probe is not None
        if items is not None and self._trainer.args.average_tokens_across_devices:
            items = items / self._trainer.accelerator.num_processes
        shifted, divided = self._meaning or self._compare(logits, targets, loss, items)
        targets = _shifted(targets) if shifted else targets
        times: float | Tensor = 1.0
        if divided:
            times = items / (targets != IGNORED).sum()
        self.probe.watch(logits, targets, loss, times=times)

    def _compare(
        self, logits: Tensor, targets: Tensor, loss: Tensor, items: Any
    ) -> tuple[bool, bool]:
        """Find out if the labels are shifted, and if the loss is divided by `items`.

        By which cross-entropy has the value of the loss; if none has, as the Trainer assumes.
        """
        trainer = self._trainer
        whole = not targets.is_floating_point() and targets.shape == logits.shape[:-1]
        words = whole and targets.dim() > 1
        causal = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()
        counted = trainer.model_accepts_loss_kwargs or trainer.compute_loss_func is not None
        found = (
            words and type(unwrapped(trainer.model)).__name__ in causal,
            whole and items is not None and counted,
        )
        # the only batch of an update does not tell what its loss is divided by
        sure = not whole or items is None or trainer.args.gradient_accumulation_steps == 1
        for shifted in (False, True) if words and logits.numel() <= MOST_COMPARED else ():
            aligned = (_shifted(targets) if shifted else targets).flatten()
            rows = logits.detach().float().flatten(0, -2)
            total = float(F.cross_entropy(rows, aligned, ignore_index=IGNORED, reduction="sum"))
            count = int((aligned != IGNORED).sum())
            for number in (count, *([] if items is None else [float(items)])):
                if isclose(total, float(loss.detach()) * number, rel_tol=CLOSE):
                    found = shifted, items is not None and number == float(items)
                    sure = sure or number != count
        if sure:
            self._meaning = found
        return found


def _trainer_of(callback: TrainerCallback) -> Any:
    """Find the Trainer that is calling a callback, which is not given it."""
    frame = sys._getframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, Trainer) and callback in owner.callback_handler.callbacks:
            return owner
        frame = frame.f_back  # type: ignore[assignment]
    raise InputError(
        "GradientProbeCallback is called by no Trainer; give it to one, as in "
        "Trainer(…, callbacks=[GradientProbeCallback('runs/mine')])."
    )


def _replace(owner: Any, name: str, method: Callable[..., Any]) -> Callable[[], None]:
    """Put a method around that of an object; returns what undoes it."""
    original, former = getattr(owner, name), vars(owner).get(name)

    @wraps(original)
    def around(*arguments: Any, **more: Any) -> Any:
        return method(original, *arguments, **more)

    setattr(owner, name, around)

    def undo() -> None:
        delattr(owner, name)
        if former is not None:
            setattr(owner, name, former)

    return undo


def _shifted(labels: Tensor) -> Tensor:
    """Give each word the next one as its target."""
    return F.pad(labels[:, 1:], (0, 1), value=IGNORED)


def _logits(outputs: Any) -> Tensor:
    every = outputs
    if isinstance(outputs, Mapping):
        every = outputs.get("logits")
    elif isinstance(outputs, (tuple, list)):  # after the loss ()
        every = next((one for one in outputs if isinstance(one, Tensor) and one.dim()), None)
    if isinstance(every, Tensor):
        return every
    keys = f" with {', '.join(outputs)}" if isinstance(outputs, Mapping) else ""
    raise InputError(
        f"The outputs of the model, {type(outputs).__name__}{keys}, have no logits; say where they "
        "are, as in GradientProbeCallback(logits=lambda outputs: outputs.start_logits)."
    )


def _labels(batch: Any) -> Tensor:
    labels = batch.get("labels") if isinstance(batch, Mapping) else None
    if isinstance(labels, Tensor):
        return labels
    keys = f" with {', '.join(batch)}" if isinstance(batch, Mapping) else ""
    raise InputError(
        f"A batch of type {type(batch).__name__}{keys} has no labels; say where they are, as in "
        "GradientProbeCallback(targets=lambda batch: batch['start_positions'])."
    )


def _writer(trainer: Any) -> Any:
    """Make a SummaryWriter for the folder of the Trainer's own, which is closed too soon."""
    for callback in trainer.callback_handler.callbacks:
        own = getattr(callback, "tb_writer", None)
        if own is not None:
            return type(own)(own.log_dir)
    raise InputError(
        "GradientProbeCallback has nowhere to write: give it a folder, as in "
        "GradientProbeCallback('runs/mine'), or the Trainer report_to='tensorboard'."
    )
