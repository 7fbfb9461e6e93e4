"""Observation of a loop: which batches are looked at, and what is gathered of them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from math import nan
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mlr.loop.distributed import Processes
from mlr.loop.evidence import graph, recomputed, values
from mlr.loop.evidence.mode import Modes, share_of_the_start, unlearned_norms, untracked
from mlr.loop.evidence.order import Order
from mlr.loop.evidence.steps_first import StepsFirst
from mlr.loop.evidence.trained import ProgramParameters, dead, rates, saturated, symmetric
from mlr.loop.model_hooks import is_compiled
from mlr.probes.layer_hooks import wide
from mlr.records.evidence import Evidence, Look

FIRST = (0, 1, 2, 8)
"""Numbers of the batches that are looked at; later ones are four times as far each."""
ALIKE, APART = 3, 0.01
"""Batches and relative distance of their losses that show a loss as a multiple of another."""
SPREAD = 4
ALL, RARELY = 32, 8
"""First batches that are counted each, and the stride of those that are counted later."""
LAST_LAYERS = 3
COMPARED = 64
"""First targets by which two batches are compared."""


class Observer:
    """Gathers the evidence of one loop, and changes nothing of it.

    Attributes:
        calls, updates: number so far; who has no further use of an update may count it here.
        order: of the batch that is looked at, until its update.
        targets: counts of all targets.
        wanted: number of the next batch that is counted or looked at.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: Sequence[Optimizer],
        accumulate: int = 1,
        processes: Processes | None = None,
        listen: bool = True,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        """Begin.

        Args:
            model: of the program.
            optimizers: its parameters' owners.
            accumulate: backward passes an update.
            processes: of the loop.
            listen: register hooks.
            failed: called with an error within a backward pass; without it, that is raised.
        """
        self._failed = failed
        self._model, self._optimizers, self._accumulate = model, optimizers, accumulate
        self._parameters = ProgramParameters(model, optimizers)
        self._listen, self._processes = listen, processes
        self._modes = Modes(model, listen and not is_compiled(model))
        self._norms = unlearned_norms(model)
        recurrent = [part for part in model.modules() if isinstance(part, nn.RNNBase)]
        self._one_way = len(recurrent) == 1 and not recurrent[0].bidirectional
        self._both_ways = any(part.bidirectional for part in recurrent)
        self._steps_first = StepsFirst(model, listen and not is_compiled(model))
        self.targets = values.Targets()
        self._looks: list[dict[str, Any]] = []
        self._forms: dict[str, str] | None = None
        self._multiples: dict[str, float] | None = None
        self._losses: list[float] = []  # of batches with these multiples
        self._batch: Callable[[], Tensor | None] = lambda: None  # targets of the look before
        self._place = 0  # of them in memory
        self._values: tuple[float, list[float]] = nan, []  # sum of the inputs, first targets
        self._copies = 0
        self.order: Order | None = None
        self._at_step, self._at = nan, -1  # norm at an update, and the number of that update
        self._since = 0  # batches since an update, with the last one; 0 if unknown
        self.calls = self.updates = 0
        self._former: Callable[[], Tensor | None] = lambda: None  # outputs of the batch before
        self._then, self._same = -1, 0
        self._next = self._counted = 0  # batches that are looked at and counted next
        self.wanted: float = 0
        self._known = 0  # batches until the last one that was counted

    @property
    def forms(self) -> Mapping[str, str]:
        """Candidates that had the value of the loss so far, from `recomputed`."""
        return self._forms or {}

    def watch(
        self, outputs: Tensor, targets: Tensor, loss: Tensor | None, times: float | Tensor = 1.0
    ) -> bool:
        """Count a batch, and look at it if that is due; returns True if it was.

        Called before the backward pass, for all batches up to `ALL`, and then at least for every
        `RARELY`-th; batches that are left out are counted in `calls`, and as the next one.

        Args:
            outputs: of the model.
            targets: class numbers or numbers.
            loss: whose backward pass follows; None if it is unknown.
            times: factor that makes it the mean loss of the batch.
        """
        call, self.calls = self.calls, self.calls + 1
        batches, self._known = self.calls - self._known, self.calls
        self._modes.count(batches)
        fresh = self.updates > self._then
        if fresh and self._former() is outputs:
            self._same += batches
        self._former, self._then = weakref.ref(outputs), self.updates
        if fresh:
            self._since = int(batches == 1)
        elif self._since:
            self._since += batches
        if call >= self._counted:
            self.targets.add(targets)
            self._counted = call + 1 if call + 1 < ALL else call - call % RARELY + RARELY
        looked = call >= self._next
        if looked:
            self._next = next((one for one in FIRST if one > call), SPREAD * call)
        self.wanted = min(self._counted, self._next)
        if not looked:
            return False
        self.look(call, outputs, targets, loss, fresh, float(times))
        return True

    def look(
        self,
        call: int,
        outputs: Tensor,
        targets: Tensor,
        loss: Tensor | None,
        fresh: bool = True,
        times: float = 1.0,
    ) -> None:
        """Gather the evidence in one batch; `fresh` if it is the first since an update."""
        found: dict[str, Any] = {
            **{"call": call, "updates": self.updates, "training": self._modes.training},
            **{"output_graph": outputs.requires_grad, "rates": rates(self._optimizers)},
            "since": self._since,
            **values.of_outputs(outputs, recomputed.class_axis(outputs, targets)),
            **values.of_targets(targets),
            **symmetric(self._model),
        }
        self._steps_first.close()  # the first batch tells all
        self.order = None
        if loss is not None:
            found |= self._of_loss(call, outputs, targets, loss, times)
            former = self._at_step if self._at == self.updates else nan
            self.order = Order(
                self._parameters, former, fresh, times, self._processes, self._failed
            )
            if self._listen:
                self.order.listen(loss, outputs)
            self.order.found = found
        self._looks.append(found)

    def _of_loss(
        self, call: int, outputs: Tensor, targets: Tensor, loss: Tensor, times: float
    ) -> dict[str, Any]:
        seen = graph.seen(outputs, loss)
        # the inputs of some batches tell all, unless a loss is lost
        spared = 0 < call < FIRST[-1] and bool(loss.isfinite().all())
        self._of_copies(targets, seen.inputs)
        self._parameters.look(seen)
        mine = {id(own) for own in self._parameters.named.values()}
        found: dict[str, Any] = {
            **{"known": seen.whole, "attached": seen.attached, "reaches": seen.reaches},
            "aside": seen.aside,
            "foreseen": values.foreseen(seen, targets, self._both_ways),
            "trains": any(id(leaf) in mine for leaf in seen.leaves),
            "freed": seen.freed,
            "returned": not seen.direct,  # else to be noted
            **{"pairs": seen.pairs, "weighted": seen.weighted},
            "axes": [f"{axis}/{axes}/{size}" for axis, axes, size in seen.axes],
            **values.of_fed(seen),
            **values.of_inputs(None if spared else seen.inputs),
            **{"dead": dead(seen), "saturated": saturated(seen)},
            **{"layers": seen.layers, "linear": seen.linear, "flat": seen.flat},
            **{"spread": seen.spread, "along_first": seen.along_first},
            "ignored": -1 if seen.looked_up else seen.ignored,
            **{"cosines": seen.cosines, "copied": values.copied(seen, targets, self._one_way)},
        }
        if loss.numel() == 1:
            found["loss"] = float(loss.detach()) * times
        if not bool(loss.isfinite().all()) and self._forms:
            found["forms"] = self._named()  # a lost value tells nothing of them
            return found
        if self._forms is None or self._forms:
            self._forms = self._recognised(seen, outputs, targets, loss.detach() * times)
            found["forms"] = self._named()
        if not self._forms and (self._multiples is None or self._multiples):
            found["forms"] = self._of_multiples(outputs, targets, loss.detach() * times)
        if any(name.endswith("kl") for name in self._forms or self._multiples or ()):
            axis = recomputed.class_axis(outputs, targets)
            found["output_log_sum"] = values.log_sum(outputs, axis)
        return found

    def _recognised(
        self, seen: graph.GraphSeen, outputs: Tensor, targets: Tensor, loss: Tensor
    ) -> dict[str, str]:
        """Return the candidates that had the value of the loss on all batches."""
        if self._forms is not None:
            return recomputed.forms(outputs, targets, loss, self._forms)
        found: dict[str, str] = {}
        if any(name == "nll" for name, *_ in seen.fed):  # so that few candidates are computed
            found = recomputed.forms(outputs, targets, loss, recomputed.OF_NLL)
        return found or recomputed.forms(outputs, targets, loss)

    def _named(self) -> list[str]:
        return [f"{name}:{how}" for name, how in (self._forms or {}).items()]

    def _of_multiples(self, outputs: Tensor, targets: Tensor, loss: Tensor) -> list[str]:
        """Name the candidates that the loss was the same multiple of on all batches."""
        self._multiples = recomputed.multiples(outputs, targets, loss, self._multiples)
        self._losses.append(float(loss) if loss.numel() == 1 else nan)
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
        place, total = targets.data_ptr(), wide(inputs.detach()).sum().item()
        first = targets.detach().reshape(-1)[:COMPARED].tolist()
        fresh = self._batch() is not targets and place != self._place and targets._base is None
        self._copies += fresh and (total, first) == self._values
        self._batch, self._place, self._values = weakref.ref(targets), place, (total, first)

    def before_step(self) -> None:
        """Note the gradients at the update after a batch that is looked at."""
        if self.order is not None:
            self.order.before_step()
            self._at_step = self.order.found.get("at_step", nan)
            self._at = self.updates + 1

    def after_step(self) -> None:
        """Count an update, and note how far it moved the weights after such a batch."""
        self.updates += 1
        if self.order is not None:
            self.order.after_step()
            self.order = None

    def close(self) -> None:
        """Remove the hooks."""
        self._modes.close()
        self._steps_first.close()

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
            "untracked": untracked(self._model),
            "start_statistics": share_of_the_start(self._norms),
            "optimizers": len(self._optimizers),
            **{"train_calls": self._modes.trained, "eval_after_train": self._modes.after},
            "optimizer": type(first).__name__ if first is not None else "",
            "maximize": any(
                bool(one.get("maximize")) for each in self._optimizers for one in each.param_groups
            ),
            "momentum": float(group.get("momentum") or nan),
            "same_outputs": self._same,
            "copies": self._copies,
            "mixed": self._steps_first.mixed,
            "sequences": [f"{a}/{b}" for a, b in self._steps_first.shapes.values()],
            **self._parameters.entries(),
            **self.targets.entries(),
        }
        looks = [Look(**one) for one in self._looks]
        return Evidence(**entries, looks=looks)


def _last_layers(model: nn.Module) -> list[str]:
    """Name the kinds of the last parts of a model in the order of their registration."""
    parts = [part for part in model.modules() if next(part.children(), None) is None]
    return [type(part).__name__ for part in parts[-LAST_LAYERS:]]
