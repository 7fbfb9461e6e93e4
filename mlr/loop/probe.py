"""The gradient instrument for a loop of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from time import time
from types import TracebackType
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd import Variable
from torch.optim import Optimizer

from mlr.core.checks import InputError, known, whole
from mlr.heads import HEADS, Head
from mlr.loop import notices
from mlr.loop.batch import Batch
from mlr.loop.hearing import Hearing
from mlr.loop.point import Meter, Point
from mlr.loop.recording import Recording
from mlr.loop.schedule import NOTHING, Plan, settings_of
from mlr.loop.sinks import FolderSink, Sink, WriterSink
from mlr.probes import ProbeSettings


class GradientProbe:
    """Records who gets gradient, in three lines around any module, optimizer and loss.

        probe = GradientProbe(model, optimizer, "runs/mine", head="softmax")
        for inputs, targets in loader:
            optimizer.zero_grad()
            logits = model(inputs)
            loss = loss_function(logits, targets)
            probe.watch(logits, targets, loss)
            loss.backward()
            optimizer.step()
        probe.close()

    The numbers are those of mlr's own trainings, by the same probes and with the same tags.
    Gradients, parameters and random numbers are the same with and without it.

    Norms of the parameters' gradients are read at the end of the backward pass, so before
    anything clips them. Where examples depend on each other, as by batch normalisation,
    "the gradient of an example" is that of its loss through its own activations.

    Attributes:
        step: updates so far, those of the first optimizer; a step that a scaler skips is none.
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
    ) -> None:
        """Begin to watch.

        Args:
            model: whose trained parameters are watched.
            optimizer: what updates them, one or several.
            folder: a new run folder, with TensorBoard events and metrics.csv.
            writer: instead of it, a SummaryWriter; it stays open.
            head: what turns logits into predictions, or its name. Without it, predictions of
                classes are the largest logit or z ≥ 0, and nothing tells of slopes,
                saturation and confidence.
            settings: basic, full or off, or `mlr.probes.ProbeSettings`.
            schedule: of all that `settings` gives no schedule of its own: a number of points,
                every:n or log_spaced:n.
            total_steps: how many updates there will be, if that is known: points are then
                spread evenly over them, else they become rarer as the loop goes on.
            first_step: the number of the first update, of a loop that goes on.
            reduction: how the loss is reduced over the batch.
            accumulate: backward passes an update; the last one's batch is watched. A mean loss
                is taken to be divided by it.
            scaler: of automatic mixed precision; all numbers are told unscaled.

        Raises:
            InputError: an unknown name, a number out of range, a folder that holds a run, both
                or none of folder and writer.
        """
        self.settings = settings_of(settings, schedule)
        self._head = _head_of(head)
        self._mean = known("reduction", reduction, ("mean", "sum")) == "mean"
        self._accumulate = whole("accumulate", accumulate)
        self._scaler = scaler
        self.step = first_step
        self._plan = Plan(self.settings, first_step, total_steps)
        self._optimizers = [optimizer] if isinstance(optimizer, Optimizer) else list(optimizer)
        if not self._optimizers:
            raise InputError("GradientProbe needs an optimizer, but the list of them is empty.")
        self._hearing = Hearing(model, self.settings.threshold)
        notices.tell_of_layers(self.settings, self._hearing.taps)
        self._recording = Recording(self._sink(model, folder, writer))
        self._pending: Point | None = None
        self._told = self._closed = False
        self._due = self._plan.due(first_step)
        self._hearing.arm(self._due)
        self._handles = [
            handle
            for one in self._optimizers
            for handle in (
                one.register_step_pre_hook(self._before_step),
                one.register_step_post_hook(self._after_step),
            )
        ]

    def watch(self, logits: Tensor, targets: Tensor, loss: Tensor | None = None) -> None:
        """Look at a batch, before its backward pass; on steps where nothing is due, do nothing.

        Args:
            logits: z (B, …, K), those that the loss was computed from. Axes between are of
                further examples, as of the words of a text.
            targets: class numbers (B, …), or one-hot, probabilities or numbers (B, …, K).
            loss: the loss () of the batch, neither scaled nor divided, for `loss/train`.

        Raises:
            InputError: the shapes do not fit, or no gradient can come to the logits.
        """
        if not self._due or self._closed or not torch.is_grad_enabled():
            return
        if not logits.requires_grad:
            raise InputError(
                "probe.watch was given logits without a graph; give those that the loss is "
                "computed from, before its backward pass, and no detached copy."
            )
        self._finish_point()
        batch = Batch(logits, targets, self._head)
        former, rate = self._pending, self._optimizers[0].param_groups[0]["lr"]
        rate = rate.clone() if isinstance(rate, Tensor) else rate
        value = None if loss is None else loss.detach().clone()
        if value is not None and not self._mean:
            value /= batch.examples
        point = Point(
            *(self.step, self._due, time(), rate, batch.logits, batch.targets, value),
            *(batch.task, len(logits)),
        )
        if former is not None and "nonfinite" in former.sizes:
            point.sizes["nonfinite"] = former.sizes["nonfinite"]
        self._pending = point
        logits.register_hook(partial(self._heard, point, batch))

    def flush(self) -> None:
        """Measure what is kept, and write it."""
        self._recording.flush()

    def close(self, metrics: Mapping[str, float] | None = None) -> None:
        """Write the rest and let go of the model and the optimizer.

        Args:
            metrics: final numbers by tag, as {"accuracy/test": 0.98}.
        """
        self._end("done", None, metrics)

    def __enter__(self) -> GradientProbe:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close; an exception makes the run failed, an interruption interrupted."""
        if error is None:
            self.close()
            return
        status = "failed" if isinstance(error, Exception) else "interrupted"
        self._end(status, f"{type(error).__name__}: {error}".removesuffix(": "), None)

    def _end(self, status: str, reason: str | None, metrics: Mapping[str, float] | None) -> None:
        if self._closed:
            return
        self._closed = True
        for handle in self._handles:
            handle.remove()
        self._hearing.arm(NOTHING)
        self._finish_point()
        self._pending = None
        self._recording.close(status, reason, metrics or {})

    def _heard(self, point: Point, batch: Batch, gradient: Tensor) -> None:
        """Within a backward pass: dL/dz is here, the parameters' gradients at its end."""
        if point is self._pending and not point.stepped:
            point.logit_grads = batch.of_logits(gradient)
            Variable._execution_engine.queue_callback(
                partial(self._differentiated, point, batch.examples)
            )

    @torch.no_grad()
    def _differentiated(self, point: Point, examples: int) -> None:
        scale = None
        factor: Tensor | float = float(self._accumulate if self._mean else 1)
        assert point.logit_grads is not None
        if self._scaler is not None:
            # without waiting for the device, as its get_scale() would
            scale = self._scaler.scale(torch.ones((), device=point.logits.device))
            factor = factor / scale
        point.logit_grads *= factor * examples if self._mean else factor
        self._hearing.of_gradients(point, scale, factor, self._mean)
        point.heard = True

    def _before_step(self, optimizer: Optimizer, *_: Any) -> None:
        if not self._due and self._pending is None:
            return  # as on most steps, which are to cost nothing
        if optimizer is self._optimizers[0]:
            self._finish_point()
        due = self._due if self._pending is None else self._pending.due
        if "ratios" in due:
            with torch.no_grad():
                self._hearing.before_update()

    def _after_step(self, optimizer: Optimizer, *_: Any) -> None:
        if self._pending is not None:
            with torch.no_grad():
                self._hearing.after_update(self._pending, len(self._optimizers) == 1)
        if optimizer is not self._optimizers[0]:
            return
        if self._pending is not None:
            self._pending.stepped = True
        elif self._due:
            self._hearing.forget_weights()
        self.step += 1
        former, self._due = self._due, self._plan.due(self.step)
        if former or self._due:
            self._hearing.remember(self._due)
            self._hearing.arm(self._due)

    def _finish_point(self) -> None:
        """Keep the pending one, if its update has come."""
        point = self._pending
        if point is None or not point.stepped:
            return
        self._pending = None
        self._hearing.forget_weights()
        if not point.heard:
            if not self._told:
                self._told = True
                notices.tell_of_logits(self.step - 1)
            return
        if not self._recording.begun:
            self._recording.begin(self._meter(point))
        self._recording.keep(point)

    def _meter(self, point: Point) -> Meter:
        heard = self._hearing
        return Meter(
            *(self.settings, point.task, self._head, heard.layers, heard.dense, heard.hidden),
            has_loss=point.loss is not None,
        )

    def _sink(self, model: nn.Module, folder: Path | str | None, writer: Any) -> Sink:
        if (folder is None) == (writer is None):
            raise InputError("GradientProbe needs a folder or a writer=, and not both.")
        if folder is None:
            return WriterSink(writer)
        return FolderSink(
            folder,
            {
                "head": self._head.name if self._head is not None else "unknown",
                "model": type(model).__name__,
                "optimizer": type(self._optimizers[0]).__name__,
                "lr": float(self._optimizers[0].param_groups[0]["lr"]),
            },
        )


def _head_of(head: Head | str | None) -> Head | None:
    if head is None or isinstance(head, Head):
        return head
    kinds = {kind.name: kind for kind in HEADS}
    return kinds[known("head", head, kinds)]()
