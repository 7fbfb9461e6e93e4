"""Evidence on the order of a loop: gradients when a backward pass begins, ends, and at the update.

The hook of a loss is called before any gradient of its backward pass is added to a parameter's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mlr.loop.distributed import Processes, at_end_of_backward
from mlr.loop.evidence.trained import ProgramParameters, moved


class Order:
    """Norms of the gradients around one batch that is looked at.

    Attributes:
        found: entries of the look.
        open: True until the update.
    """

    def __init__(
        self,
        parameters: ProgramParameters,
        former: float,
        fresh: bool,
        times: float = 1.0,
        processes: Processes | None = None,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        """Begin a look.

        Args:
            parameters: of the program.
            former: norm of the gradients at the update before; NaN if it is not known.
            fresh: True if no backward pass came since.
            times: factor that makes the loss the mean loss of the batch.
            processes: of the loop.
            failed: called with an error within a backward pass; without it, that is raised.
        """
        self._failed = failed
        self._parameters, self._former, self._fresh = parameters, former, fresh
        self._times, self._processes = times, processes
        self.found: dict[str, Any] = {}
        self.open = True
        self._weights: list[Tensor] | None = None
        self._read: list[tuple[Tensor, int]] = []  # gradients at the end of the pass, as they were

    def listen(self, loss: Tensor, outputs: Tensor | None = None) -> Callable[[], None] | None:
        """Register the hooks of the loss and the outputs; returns what removes that of the loss."""
        if outputs is not None and outputs.requires_grad and not outputs.is_leaf:
            outputs.register_hook(partial(self._safely, self._returns))
        if not loss.requires_grad or loss.is_leaf:
            return None
        handle = loss.register_hook(partial(self._safely, self.begins))
        return handle.remove

    def _returns(self, gradient: Tensor | None) -> None:
        """Note that a gradient came to the outputs, and to which place of sequences (B, T, K)."""
        if gradient is None:  # as of what torch.compile compiled together with the loss
            return
        self.found["returned"] = True
        if gradient.dim() == 3 and gradient.layout is torch.strided:
            lit = (gradient != 0).any(-1).any(0).nonzero().flatten().tolist()
            self.found["place"] = lit[0] if len(lit) == 1 else -1

    def begins(self, factor: Tensor) -> None:
        """Note the gradients when the backward pass begins, and queue the note of its end.

        Args:
            factor: gradient of what is differentiated with respect to the loss ().
        """
        if not self.open or "before" in self.found:
            return
        self.found["factor"] = float(factor.sum()) / self._times
        norm = self._parameters.gradient_norm()
        self.found["before"] = norm
        self.found["stale"] = self._fresh and norm > 0 and norm == self._former
        at_end_of_backward(partial(self._safely, self._ends), self._processes)

    def _ends(self) -> None:
        if self.open:
            self.found["after"] = self._parameters.gradient_norm()
            self._read = [(own, own._version) for own in self._parameters.gradients()]

    def _safely(self, call: Callable[..., None], *arguments: Any) -> None:
        try:
            call(*arguments)
        except Exception as error:
            if self._failed is None:
                raise
            self.open = False
            self._failed(error)

    def before_step(self) -> None:
        """Note the gradients at the update."""
        if self.open:
            self.found["at_step"] = self._norm_at_step()
            self.found["decay"] = self._parameters.decay()
            self._weights = self._parameters.samples()

    def _norm_at_step(self) -> float:
        """Norm at the update, computed only if a gradient is another one since, or was changed."""
        now, read, self._read = self._parameters.gradients(), self._read, []
        same = bool(read) and len(read) == len(now)
        if same and all(
            one is own and own._version == version
            for one, (own, version) in zip(now, read, strict=True)
        ):
            return float(self.found["after"])
        return self._parameters.gradient_norm()

    def after_step(self) -> None:
        """Note how far the update moved the weights."""
        if self.open and self._weights is not None:
            self.found["moved"] = moved(self._weights, self._parameters.samples())
            self._weights = None
            self.open = False
