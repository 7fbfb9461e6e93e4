"""Observation of a loop: which batches are looked at, and what is gathered of them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from math import nan
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mlr.loop.evidence import graph, recomputed, values
from mlr.loop.evidence.mode import Modes
from mlr.loop.evidence.order import Order
from mlr.loop.evidence.trained import ProgramParameters, dead, rates, saturated, symmetric
from mlr.loop.model_hooks import is_compiled
from mlr.records.evidence import Evidence, Look

FIRST = (0, 1, 2, 8)
"""Numbers of the batches that are looked at; later ones are four times as far each."""
ALIKE, APART = 3, 0.01
"""Batches and relative distance of their losses that show a loss as a multiple of another."""
SPREAD = 4
LAST_LAYERS = 3
COMPARED = 64
"""First targets by which two batches are compared."""


class Observer:
    """Gathers the evidence of one loop, and changes nothing of it.

    Attributes:
        calls, updates: number so far.
        targets: counts of all targets.
        next: number of the next batch that is looked at.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: Sequence[Optimizer],
        accumulate: int = 1,
        listen: bool = True,
    ) -> None:
        """Begin.

        Args:
            model: of the program.
            optimizers: its parameters' owners.
            accumulate: backward passes an update.
            listen: register hooks.
        """
        self._model, self._optimizers, self._accumulate = model, optimizers, accumulate
        self._parameters = ProgramParameters(model, optimizers)
        self._listen = listen
        self._modes = Modes(model, listen and not is_compiled(model))
        self.targets = values.Targets()
        self._looks: list[dict[str, Any]] = []
        self._forms: dict[str, str] | None = None
        self._multiples: dict[str, float] | None = None
        self._losses: list[float] = []  # of batches with these multiples
        self._batch: Callable[[], Tensor | None] = lambda: None  # targets of the look before
        self._place = 0  # of them in memory
        self._values: tuple[float, list[float]] = nan, []  # sum of the inputs, first targets
        self._copies = 0
        self._order: Order | None = None
        self._at_step, self._since = nan, 0  # norm at the last update, batches since
        self.calls = self.updates = 0
        self._former: Callable[[], Tensor | None] = lambda: None  # outputs of the batch before
        self._then = self._same = 0
        self.next = 0

    def watch(self, outputs: Tensor, targets: Tensor, loss: Tensor | None) -> bool:
        """Count a batch, and look at it if that is due; returns True if it was.

        Called before the backward pass.
        """
        self._modes.count()
        self.targets.add(targets)
        if self._former() is outputs and self.updates > self._then:
            self._same += 1
        self._former, self._then = weakref.ref(outputs), self.updates
        call, self.calls = self.calls, self.calls + 1
        self._since += 1
        if call < self.next:
            return False
        self.next = next((one for one in FIRST if one > call), SPREAD * call)
        self.look(call, outputs, targets, loss)
        return True

    def look(self, call: int, outputs: Tensor, targets: Tensor, loss: Tensor | None) -> None:
        """Gather the evidence in one batch."""
        found: dict[str, Any] = {
            **{"call": call, "updates": self.updates, "training": self._modes.training},
            **{"output_graph": outputs.requires_grad, "rates": rates(self._optimizers)},
            "since": self._since,
            **values.of_outputs(outputs),
            **values.of_targets(targets),
            **symmetric(self._model),
        }
        self._order = None
        if loss is not None:
            found |= self._of_loss(outputs, targets, loss)
            self._order = Order(self._parameters, self._at_step, self._since == 1)
            if self._listen:
                self._order.listen(loss, outputs)
            self._order.found = found
        self._looks.append(found)

    def _of_loss(self, outputs: Tensor, targets: Tensor, loss: Tensor) -> dict[str, Any]:
        seen = graph.seen(outputs, loss)
        self._of_copies(targets, seen.inputs)
        self._parameters.look(seen)
        mine = {id(own) for own in self._parameters.named.values()}
        found: dict[str, Any] = {
            **{"known": seen.whole, "attached": seen.attached, "reaches": seen.reaches},
            "trains": any(id(leaf) in mine for leaf in seen.leaves),
            "freed": seen.freed,
            "returned": not seen.direct,  # else to be noted
            **{"pairs": seen.pairs, "weighted": seen.weighted},
            "axes": [f"{axis}/{axes}/{size}" for axis, axes, size in seen.axes],
            **values.of_fed(seen),
            **values.of_inputs(seen.inputs),
            **{"dead": dead(seen), "saturated": saturated(seen)},
            **{"layers": seen.layers, "linear": seen.linear, "flat": seen.flat},
        }
        if loss.numel() == 1:
            found["loss"] = float(loss.detach())
        if self._forms is None or self._forms:
            among = None if self._forms is None else self._forms.keys()
            self._forms = recomputed.forms(outputs, targets, loss, among)
            found["forms"] = [f"{name}:{how}" for name, how in self._forms.items()]
        if not self._forms and (self._multiples is None or self._multiples):
            found["forms"] = self._of_multiples(outputs, targets, loss)
        return found

    def _of_multiples(self, outputs: Tensor, targets: Tensor, loss: Tensor) -> list[str]:
        """Name the candidates that the loss was the same multiple of on all batches."""
        self._multiples = recomputed.multiples(outputs, targets, loss, self._multiples)
        self._losses.append(float(loss.detach()) if loss.numel() == 1 else nan)
        low, high = min(self._losses), max(self._losses)
        if len(self._losses) < ALIKE or not high - low > APART * max(abs(low), abs(high)):
            return []
        return [
            f"{'' if factor > 0 else recomputed.NEGATIVE}{name}:{abs(factor)!r}"
            for name, factor in self._multiples.items()
        ]

    def _of_copies(self, targets: Tensor, inputs: Tensor | None) -> None:
        """Count the looks at the batch of the look before that is made of new tensors."""
        if inputs is None or targets.layout is not torch.strided:
            return
        place, total = targets.data_ptr(), float(inputs.detach().double().sum())
        first = targets.detach().reshape(-1)[:COMPARED].tolist()
        fresh = self._batch() is not targets and place != self._place and targets._base is None
        self._copies += fresh and (total, first) == self._values
        self._batch, self._place, self._values = weakref.ref(targets), place, (total, first)

    def before_step(self) -> None:
        """Note the gradients at the update after a batch that is looked at."""
        if self._order is not None:
            self._order.before_step()
            self._at_step = self._order.found.get("at_step", nan)

    def after_step(self) -> None:
        """Count an update."""
        self.updates += 1
        self._since = 0
        if self._order is not None:
            self._order.after_step()
            self._order = None
        else:
            self._at_step = nan

    def close(self) -> None:
        """Remove the hook."""
        self._modes.close()

    def evidence(self) -> Evidence:
        """Return all that was seen so far."""
        first = self._optimizers[0] if self._optimizers else None
        group = first.param_groups[0] if first is not None else {}
        entries = {
            **{"calls": self.calls, "updates": self.updates, "accumulate": self._accumulate},
            "model": type(self._model).__name__,
            "last_layers": _last_layers(self._model),
            "modes": self._modes.reads,
            "tested": self._modes.tested,
            **{"dropout": self._modes.dropout, "norm": self._modes.norm},
            "optimizers": len(self._optimizers),
            **{"train_calls": self._modes.trained, "eval_after_train": self._modes.after},
            "optimizer": type(first).__name__ if first is not None else "",
            "maximize": any(
                bool(one.get("maximize")) for each in self._optimizers for one in each.param_groups
            ),
            "momentum": float(group.get("momentum") or nan),
            "same_outputs": self._same,
            "copies": self._copies,
            **self._parameters.entries(),
            **self.targets.entries(),
        }
        looks = [Look(**one) for one in self._looks]
        return Evidence(**entries, looks=looks)


def _last_layers(model: nn.Module) -> list[str]:
    """Name the kinds of the last parts of a model in the order of their registration."""
    parts = [part for part in model.modules() if next(part.children(), None) is None]
    return [type(part).__name__ for part in parts[-LAST_LAYERS:]]
