"""Evidence on the order of a loop: gradients when a backward pass begins, ends, and at the update.

The hook of a loss is called before any gradient of its backward pass is added to a parameter's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor
from torch.autograd import Variable

from mlr.loop.evidence.trained import ProgramParameters, moved


class Order:
    """Norms of the gradients around one batch that is looked at.

    Attributes:
        found: entries of the look.
        open: True until the update.
    """

    def __init__(self, parameters: ProgramParameters, former: float, fresh: bool) -> None:
        """Begin a look.

        Args:
            parameters: of the program.
            former: norm of the gradients at the update before; NaN if it is not known.
            fresh: True if no backward pass came since.
        """
        self._parameters, self._former, self._fresh = parameters, former, fresh
        self.found: dict[str, Any] = {}
        self.open = True
        self._weights: list[Tensor] | None = None

    def listen(self, loss: Tensor, outputs: Tensor | None = None) -> Callable[[], None] | None:
        """Register the hooks of the loss and the outputs; returns what removes that of the loss."""
        if outputs is not None and outputs.requires_grad and not outputs.is_leaf:
            outputs.register_hook(partial(_returned, self))
        if not loss.requires_grad or loss.is_leaf:
            return None
        handle = loss.register_hook(partial(_begin, self))
        return handle.remove

    def begins(self, factor: Tensor) -> None:
        """Note the gradients when the backward pass begins, and queue the note of its end.

        Args:
            factor: gradient of what is differentiated with respect to the loss ().
        """
        if not self.open or "before" in self.found:
            return
        self.found["factor"] = float(factor.sum())
        norm = self._parameters.gradient_norm()
        self.found["before"] = norm
        self.found["stale"] = self._fresh and norm > 0 and norm == self._former
        Variable._execution_engine.queue_callback(self._ends)

    def _ends(self) -> None:
        if self.open:
            self.found["after"] = self._parameters.gradient_norm()

    def before_step(self) -> None:
        """Note the gradients at the update."""
        if self.open:
            self.found["at_step"] = self._parameters.gradient_norm()
            self.found["decay"] = self._parameters.decay()
            self._weights = self._parameters.samples()

    def after_step(self) -> None:
        """Note how far the update moved the weights."""
        if self.open and self._weights is not None:
            self.found["moved"] = moved(self._weights, self._parameters.samples())
            self._weights = None
            self.open = False


def _returned(order: Order, gradient: Tensor) -> None:
    order.found["returned"] = True


def _begin(order: Order, gradient: Tensor) -> None:
    order.begins(gradient)
