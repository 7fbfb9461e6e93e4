"""Gradient probe for any PyTorch training loop."""

from __future__ import annotations

import atexit
import sys
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path
from time import time
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mlr.core import console
from mlr.core.checks import InputError, known, users_stacklevel, whole
from mlr.core.commandline import from_anywhere
from mlr.heads import Head
from mlr.loop import hyperparameters
from mlr.loop.batch import Batch
from mlr.loop.distributed import Processes, at_end_of_backward
from mlr.loop.evidence import graph
from mlr.loop.evidence.observer import Observer
from mlr.loop.layout import LossLayout, loss_layout, read_targets, total_weight
from mlr.loop.model_hooks import ModelHooks, in_compiled_step
from mlr.loop.optimizers import after_closure, unwrapped_optimizer
from mlr.loop.recording import Recording
from mlr.loop.reduction import Divisors, Reduction, divisors, reduction_of
from mlr.loop.sinks import FolderSink, Sink, WriterSink
from mlr.loop.steps import NOTHING, DueSteps, WatchedStep
from mlr.objectives.compatibility import find_head
from mlr.probes import ProbeSettings
from mlr.probes.settings import presets
from mlr.records.settings import Value

Result = TypeVar("Result")


class GradientProbe:
    """Measure gradients in three lines around any module, optimizer and loss.

    Example::

        probe = GradientProbe(model, optimizer, "runs/mine", head="softmax")
        for inputs, targets in loader:
            optimizer.zero_grad()
            logits = model(inputs)
            loss = loss_function(logits, targets)
            probe.watch(logits, targets, loss)
            loss.backward()
            optimizer.step()
        probe.close()

    Numbers and tags are those of mlr's own training, computed by the same probes. Gradients,
    parameters and random numbers are the same with and without it. An error of the probe's own ends
    the recording, with a warning, and not the training; close the probe to have all in the folder,
    or the end of the program does.

    Norms of the parameters' gradients are read at the end of the backward pass, before clipping.
    If examples depend on each other, as with batch normalisation, the gradient of an example is
    that of its loss through its own activations.

    Attributes:
        step: updates of the first optimizer so far, without those that a scaler skips.
        folder: path of the run's folder; None for a writer.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer | Sequence[Optimizer],
        folder: Path | str | None = None,
        *,
        writer: Any = None,
        head: Head | str | None = None,
        settings: ProbeSettings | str = "basic",
        schedule: int | str | None = None,
        total_steps: int | None = None,
        first_step: int = 0,
        reduction: Literal["mean", "sum"] = "mean",
        accumulate: int = 1,
        scaler: torch.amp.GradScaler | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
    ) -> None:
        """Register the hooks.

        Args:
            model: with the trained parameters.
            optimizer: one or several that update them.
            folder: the run's folder, with TensorBoard events and metrics.csv. If it holds a run,
                this one goes to `<folder>-2`, `<folder>-3`, …, with a warning.
            writer: instead of it, a SummaryWriter; it stays open.
            head: the head that turns logits into predictions, or its name. Without it, the
                predicted class is that of the largest logit or z ≥ 0, and slopes, saturation and
                confidence are not measured.
            settings: basic, full or off, or `mlr.probes.ProbeSettings`.
            schedule: for all families without a schedule of their own: a number of points,
                every:n or log_spaced:n.
            total_steps: number of updates, if known: points are then spread evenly over them,
                else they become rarer with time.
            first_step: number of the first update, for a loop that is resumed.
            reduction: of the loss over the batch, where neither its value nor its graph shows it.
            accumulate: backward passes per update, of which the last one's batch is watched. A
                mean loss is expected to be divided by it.
            scaler: of automatic mixed precision; all numbers are recorded unscaled.
            hyperparameters: of the run, by name, as {"seed": 3, "data": "cifar10"}, for what
                cannot be read off the model, the optimizers and the loss, or in place of it.

        Raises:
            InputError: an unknown name, a number out of range, no optimizer, both or none of
                folder and writer, parameters that are sharded over processes.
        """
        if not isinstance(settings, ProbeSettings):
            settings = presets()[known("settings", settings, presets())]
        self.settings = settings if schedule is None else replace(settings, points=schedule)
        self._head = find_head(head) if head is not None else None
        known("reduction", reduction, ("mean", "sum"))
        self._told: Reduction = reduction
        self._reduction: Reduction | None = None
        self._accumulate = whole("accumulate", accumulate)
        self._scaler = scaler
        self.step = self._first = whole("first_step", first_step, at_least=0)
        if total_steps is not None:
            total_steps = whole("total_steps", total_steps)
        self._schedule = DueSteps(self.settings, total_steps, first_step)
        given = [optimizer] if isinstance(optimizer, Optimizer) else optimizer
        self._optimizers = [unwrapped_optimizer(one) for one in given]
        if not self._optimizers:
            raise InputError("optimizer=[] must hold at least one optimizer.")
        self._processes = Processes(model)
        if not self._processes.records:
            self._only_count()
            return
        self._processes.tell()
        self._hooks = ModelHooks(model, self.settings)
        self._observer = Observer(
            *(model, self._optimizers, self._accumulate, self._processes),
            failed=partial(_failed, weakref.ref(self)),
        )
        sink = self._sink(model, folder, writer, hyperparameters)
        self.folder = sink.folder.path if isinstance(sink, FolderSink) else None
        self._recording = Recording(
            sink, self.settings, self._head, self._hooks, self._of_first_batch
        )
        self._layout: LossLayout | None = None
        self._pending: WatchedStep | None = None
        self._warned = self._closed = False
        self._error = ""
        self._due = self._schedule.at(first_step)
        self._next = self._schedule.after(first_step)
        self._awake: float = 0  # step before which no hook has anything to do
        self._hooks.arm(self._due)
        self._handles = [
            handle
            for one in self._optimizers
            for handle in (
                one.register_step_pre_hook(self._before_step),
                one.register_step_post_hook(self._after_step),
            )
        ]

        self._at_exit = partial(_at_exit, weakref.ref(self))
        atexit.register(self._at_exit)

    def _only_count(self) -> None:
        """Be a probe of another process than the first, which records nothing."""
        self.folder, self._closed, self._awake = None, True, inf
        self._optimizers[0].register_step_post_hook(self._after_step)

    def watch(
        self,
        logits: Tensor,
        targets: Tensor,
        loss: Tensor | None = None,
        *,
        times: float | Tensor | None = None,
    ) -> None:
        """Measure a batch, before its backward pass; only count it on steps where nothing is due.

        Args:
            logits: z (B, …, K) from which the loss was computed. Further axes are of further
                examples, as the words of a text.
            targets: class numbers (B, …), or one-hot, probabilities or numbers (B, …, K).
            loss: the loss () of the batch, neither scaled nor divided, for `loss/train` and for
                the diagnosis.
            times: of a loss that was scaled or divided already, the factor that undoes it; the
                backward pass then shows what else it is multiplied by.

        Raises:
            InputError: the first call is within a step that torch.compile compiles.
        """
        if not torch.is_grad_enabled() or self._closed:
            return
        observer = self._observer
        if observer.calls < observer.wanted and self.step < self._awake:
            observer.calls += 1  # as most batches, which must cost nothing
            return
        if not observer.calls and in_compiled_step():
            raise InputError(
                "probe.watch cannot be called in a step that torch.compile compiles: compile the "
                "model alone, as in model = torch.compile(model)."
            )
        try:
            self._watch(logits, targets, loss, times)
        except Exception as error:
            self._stop(error)

    def _watch(
        self, logits: Tensor, targets: Tensor, loss: Tensor | None, times: float | Tensor | None
    ) -> None:
        _check_tensors(logits, targets, loss)
        # a copy of the loss, to be recorded: nothing is known of the graph of the loss itself
        copied = loss is not None and not loss.requires_grad and logits.requires_grad
        copied = copied and times is None  # an adapter gives the loss itself
        if self._layout is None:
            self._layout = loss_layout(logits, targets, loss)
        given, targets = targets, read_targets(logits, targets, loss, self._layout)
        self._observer.updates = self.step - self._first
        own = None if copied else loss
        # a loss that leaves targets out is a fault that the diagnosis finds by those given
        told = targets if self._layout.moved else given
        if self._observer.watch(logits, told, own, 1.0 if times is None else times):
            self._awake = 0
        if not self._due:
            return
        if loss is not None and loss.grad_fn is None and not copied:
            return  # nothing can be measured, and the diagnosis tells
        if not logits.requires_grad:
            raise InputError(
                "probe.watch was given logits without a graph; give those that the loss is "
                "computed from, before its backward pass, and no detached copy."
            )
        self._finish_step()
        batch = Batch(logits, targets, self._head, self._layout)
        if not batch.examples:
            return  # the class numbers of all are ignored
        rate = self._optimizers[0].param_groups[0]["lr"]
        rate = rate.clone() if isinstance(rate, Tensor) else rate
        value = None if loss is None else loss.detach().clone()
        if self._reduction is None:
            scaled = 1.0 if times is None else times
            known = self._observer.forms
            self._reduction = reduction_of(logits, targets, loss, scaled, self._told, batch, known)
        weight: float | Tensor = 1.0
        if loss is not None and self._reduction == "weights":
            weight = total_weight(logits, loss)
        parts = divisors(self._reduction, batch, weight)
        if value is not None and self._reduction == "sum":
            value /= batch.examples
        if value is not None and times is not None:
            value *= times
        step = WatchedStep(
            *(self.step, self._due, time(), rate, batch.logits, batch.targets, value),
            *(batch.task, batch.length, (tuple(logits.shape), tuple(targets.shape))),
        )
        self._pending = step
        if loss is not None and times is not None and loss.requires_grad:
            loss.register_hook(partial(_of_loss, step, times))
        graph.listen(logits, loss, partial(self._of_logits, step, batch, parts))

    def log_validation(self, **numbers: float | Tensor) -> None:
        """Record results on validation data, as `log_validation(loss=0.3, accuracy=0.9)`.

        They are the curves `loss/val` and `accuracy/val`, and the last ones are final numbers.

        Args:
            **numbers: by name; an accuracy as a share. Other names are curves, too, as `f1/val`.
        """
        if self._closed:
            return
        found = {f"{name}/val": float(number) for name, number in numbers.items()}
        self._attempt(self._finish_step)
        self._attempt(lambda: self._recording.validated(self.step, found))

    def flush(self) -> None:
        """Measure the steps so far, and write them."""
        if not (self._closed or self._error):
            self._attempt(self._recording.flush)
            self._attempt(self._note)

    def close(self, metrics: Mapping[str, float] | None = None) -> None:
        """Write the rest and remove all hooks.

        On a terminal, a line then says how to look for faults.

        Args:
            metrics: final numbers by tag, as {"accuracy/test": 0.98}.
        """
        self._end("done", None, metrics)

    def __enter__(self) -> GradientProbe:
        """Return the probe."""
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Close; an exception makes the run failed, an interruption interrupted.

        The exception passes on. `sys.exit()` is an end as any other.
        """
        if error is None or (isinstance(error, SystemExit) and not error.code):
            self.close()
            return
        status = "failed" if isinstance(error, Exception) else "interrupted"
        self._end(status, f"{type(error).__name__}: {error}".removesuffix(": "), None)

    def __del__(self) -> None:
        """Close a probe that the program let go of, as at the end of a function."""
        if hasattr(self, "_at_exit"):
            self._end("done", None, None)

    def _end(self, status: str, reason: str | None, metrics: Mapping[str, float] | None) -> None:
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self._at_exit)
        for handle in self._handles:
            handle.remove()
        self._observer.updates = self.step - self._first
        self._attempt(self._leave_model)
        self._attempt(self._finish_step)
        self._attempt(self._recording.flush)
        program = self._attempt(lambda: self._observer.evidence().encode())
        if not self._error and status == "done":
            reason = self._why_nothing()
        self._pending = None
        if self._error and status == "done":
            status, reason = "failed", self._error
        self._attempt(lambda: self._recording.close(status, reason, metrics or {}, program))
        if self.folder is not None and not (self._error or self._recording.broken):
            _point_to(self.folder, reason)

    def _why_nothing(self) -> str | None:
        """Say why nothing was recorded; None if something was, or nothing was asked for."""
        if self._recording.begun or not self.settings.families:
            return None
        if self._observer.calls == 0:
            cause = "probe.watch was not called with gradients enabled"
        elif self.step == self._first:
            cause = "the optimizer that the probe was given made no step"
        else:
            cause = "no gradient came to the logits that probe.watch was given"
        return f"Nothing was recorded: {cause}."

    def _attempt(self, call: Callable[[], Result]) -> Result | None:
        """Call a part of the probe; an error ends the measuring, and nothing else."""
        try:
            return call()
        except Exception as error:
            self._stop(error)
            return None

    def _stop(self, error: Exception) -> None:
        """End the measuring after an error of the probe's own, which must not end the training."""
        if self._error:
            return
        kind, sentence = type(error).__name__, str(error).partition("\n")[0].removesuffix(".")
        self._error = f"GradientProbe stopped at step {self.step}, by {kind}: {sentence}."
        self._pending, self._due = None, NOTHING
        self._next = self._awake = inf
        self._observer.order = None
        self._observer.wanted = inf
        with suppress(Exception):
            self._leave_model()  # the optimizer's hooks stay, because it may be calling them
        warnings.warn(
            f"{self._error} The training goes on, and what was recorded is kept.",
            stacklevel=users_stacklevel(),
        )

    def _leave_model(self) -> None:
        """Remove the hooks of the model."""
        self._observer.close()
        self._hooks.arm(NOTHING)

    def _note(self) -> None:
        """Leave the evidence in the folder, so that it outlives a crash."""
        self._observer.updates = self.step - self._first
        self._recording.note(self._observer.evidence().encode())

    def _of_logits(
        self, step: WatchedStep, batch: Batch, parts: Divisors, gradient: Tensor | None
    ) -> None:
        """Copy dL/dz within a backward pass; the parameters' gradients follow at its end."""
        if gradient is None or step is not self._pending or step.updated:
            return
        try:
            call = partial(self._differentiated, step, batch.of_logits(gradient), parts)
            at_end_of_backward(call, self._processes)
        except Exception as error:
            self._stop(error)

    def _differentiated(self, step: WatchedStep, grads: Tensor, parts: Divisors) -> None:
        try:
            with torch.no_grad():
                self._measure(step, grads, parts)
        except Exception as error:
            self._stop(error)

    def _measure(self, step: WatchedStep, grads: Tensor, parts: Divisors) -> None:
        scale = None
        factor: Tensor | float = float(1 if self._reduction == "sum" else self._accumulate)
        if self._scaler is not None:
            # without waiting for the device, as its get_scale() would
            scale = self._scaler.scale(torch.ones((), device=step.logits.device))
            factor = factor / scale
        if step.factor is not None:
            factor = step.factor
        of_row, of_sample = parts
        step.grads = grads.mul_(factor * of_row)
        self._hooks.of_gradients(step, scale, factor * of_sample)

    def _before_step(
        self, optimizer: Optimizer, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        first = optimizer is self._optimizers[0]
        if self.step < self._awake and not (first and (len(arguments) > 1 or named)):
            return None  # as on most steps, which must cost nothing
        changed = None
        try:
            if first:
                before = partial(self._attempt, self._observer.before_step)
                changed = after_closure(arguments, named, before)
                self._finish_step()
            due = self._due if self._pending is None else self._pending.due
            if due:
                with torch.no_grad():
                    self._hooks.statistics.before_update(self._hooks.parameters.weights, due)
        except Exception as error:
            self._stop(error)
        return changed

    def _after_step(self, optimizer: Optimizer, *_: Any) -> None:
        first = optimizer is self._optimizers[0]
        if first:
            self.step += 1
        if self.step < self._awake:
            return
        try:
            self._updated(first)
        except Exception as error:
            self._stop(error)

    def _updated(self, first: bool) -> None:
        if self._pending is not None:
            weights, last = self._hooks.parameters.weights, len(self._optimizers) == 1
            with torch.no_grad():
                found = self._hooks.statistics.after_update(weights, last)
            self._pending.statistics |= found
        if not first:
            return
        self._observer.updates = self.step - self._first - 1
        self._observer.after_step()
        if self._pending is not None:
            self._pending.updated = True
            if len(self._optimizers) == 1:
                self._finish_step()
        elif self._due:
            self._hooks.statistics.forget_weights()
        former, self._due = self._due, NOTHING
        if self.step >= self._next:
            self._due = self._schedule.at(self.step)
            self._next = self._schedule.after(self.step)
        if former or self._due:
            self._hooks.remember(self._due)
            self._hooks.arm(self._due)
        self._awake = 0 if self._due or self._pending is not None else self._next

    def _finish_step(self) -> None:
        """Record the pending step, if its update is done."""
        step = self._pending
        if step is None or not step.updated:
            return
        self._pending = None
        self._hooks.statistics.forget_weights()
        if step.grads is not None:
            if self._recording.keep(step):
                self._note()
        elif not self._warned:
            self._warned = True
            warnings.warn(
                f"Nothing is recorded of step {self.step - 1}: no gradient came to the logits "
                "that probe.watch was given. Give those that the loss is computed from.",
                stacklevel=users_stacklevel(),
            )

    def _sink(self, model: nn.Module, folder: Path | str | None, writer: Any, given: Any) -> Sink:
        if (folder is None) == (writer is None):
            raise InputError("GradientProbe needs a folder or a writer=, and not both.")
        settings = hyperparameters.checked(given)
        if folder is None:
            if settings:
                raise InputError(
                    "hyperparameters= are recorded in a folder; with writer=, call its add_hparams."
                )
            return WriterSink(writer)
        return FolderSink(
            folder,
            self._head.name if self._head is not None else "unknown",
            hyperparameters.of_program(model, self._optimizers) | settings,
            hyperparameters.shown(model, self._optimizers[0]),
        )

    def _of_first_batch(self) -> dict[str, Value]:
        return hyperparameters.of_course(self._observer.forms, self._optimizers)


def _point_to(folder: Path, reason: str | None) -> None:
    """Say on a terminal where to look, and why there is nothing.

    A notebook would show it as an error.
    """
    if console.is_watched():
        place = console.shown(folder.absolute())
        if reason:
            console.say(reason)
        console.say(f"recorded in {place}; its faults: {from_anywhere('explain', place)}")


def _check_tensors(logits: object, targets: object, loss: object) -> None:
    for name, one in (("logits", logits), ("targets", targets), ("loss", loss)):
        if not isinstance(one, Tensor) and not (name == "loss" and one is None):
            raise InputError(
                f"{name} of type {type(one).__name__} must be a tensor, as in "
                "probe.watch(outputs.logits, targets, outputs.loss)."
            )


def _of_loss(step: WatchedStep, times: float | Tensor, gradient: Tensor) -> None:
    """Note the factor by which the gradients of a backward pass are too small."""
    step.factor = times / gradient.sum()


def _failed(probe: Callable[[], GradientProbe | None], error: Exception) -> None:
    """Stop a probe by an error within a backward pass."""
    there = probe()
    if there is not None:
        there._stop(error)


def _at_exit(probe: Callable[[], GradientProbe | None]) -> None:
    """Close a probe that the program left open."""
    left = probe()
    if left is not None:
        left.__exit__(None, getattr(sys, "last_value", None), None)
