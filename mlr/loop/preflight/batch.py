"""Calls of a model and a loss with a batch, in the forms that programs have.

A batch is (inputs, targets), (inputs, more inputs, targets), or a mapping with a key for the
targets; inputs are a tensor, several, or a mapping of named ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mlr.core.checks import InputError

TARGETS = ("labels", "label", "targets", "target", "y")
"""Keys of the targets in a mapping, the first that is there."""
PAIR = "batch must be a pair of inputs and targets, as (inputs, targets)"
Loss = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class GivenBatch:
    """Arguments of a model, and targets.

    Attributes:
        arguments, named: of the model's forward.
        targets: of the loss.
        whole: the mapping that the batch was, which the model of a batch without a loss takes.
    """

    arguments: tuple[Any, ...]
    named: Mapping[str, Any]
    targets: Any
    whole: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, batch: Any) -> GivenBatch:
        """Read a batch.

        Raises:
            InputError: it has none of the forms.
        """
        if isinstance(batch, Mapping):
            key = next((key for key in TARGETS if key in batch), None)
            if key is None:
                known = ", ".join(map(str, batch))
                raise InputError(
                    f"batch has the keys {known}, and none of them names targets: call one "
                    f"{' or '.join(TARGETS)}, or give {PAIR.partition('as ')[2]}."
                )
            named = {str(name): value for name, value in batch.items() if name != key}
            return cls((), named, batch[key], {**named, key: batch[key]})
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise InputError(f"{PAIR}; an autoencoder's is (inputs, inputs).")
        *inputs, targets = batch
        if len(inputs) == 1 and isinstance(inputs[0], Mapping):
            return cls((), dict(inputs[0]), targets)
        if len(inputs) == 1 and isinstance(inputs[0], (tuple, list)):
            inputs = list(inputs[0])
        return cls(tuple(inputs), {}, targets)

    def copy(self) -> GivenBatch:
        """Return one of copies, which a model may write to."""
        return GivenBatch(
            arguments=mapped(self.arguments, torch.clone),
            named=mapped(self.named, torch.clone),
            targets=mapped(self.targets, torch.clone),
            whole=mapped(self.whole, torch.clone),
        )

    def with_inputs(self, change: Callable[[Tensor], Tensor]) -> GivenBatch:
        """Return one whose inputs are changed."""
        return replace(
            self, arguments=mapped(self.arguments, change), named=mapped(self.named, change)
        )

    @property
    def inputs(self) -> list[Tensor]:
        """All tensors among the inputs."""
        return tensors((self.arguments, self.named))

    def outputs(self, model: Callable[..., Any], loss: Loss | None) -> Any:
        """Call the model."""
        if loss is None:
            return model(*self.arguments, **(self.whole or self.named))
        found = model(*self.arguments, **self.named)
        logits = getattr(found, "logits", None)
        return logits if isinstance(logits, Tensor) and not isinstance(found, Tensor) else found

    def value(self, outputs: Any, loss: Loss | None) -> Any:
        """Call the loss, or take that of the model."""
        return getattr(outputs, "loss", None) if loss is None else loss(outputs, self.targets)


def mapped(values: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Change all tensors in tuples, lists and mappings."""
    if isinstance(values, Tensor):
        with torch.no_grad():
            return change(values.detach()).requires_grad_(values.requires_grad)
    if isinstance(values, Mapping):
        return {key: mapped(value, change) for key, value in values.items()}
    if type(values) in (tuple, list):
        return type(values)(mapped(value, change) for value in values)
    return values


def tensors(values: Any) -> list[Tensor]:
    """Collect all tensors in tuples, lists, mappings and the outputs of transformers."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, Mapping):
        return [one for value in values.values() for one in tensors(value)]
    if isinstance(values, (tuple, list)):
        return [one for value in values for one in tensors(value)]
    return []


def main_output(outputs: Any) -> Tensor | None:
    """Return the outputs that a loss is most likely about: the logits, or the first tensor."""
    logits = getattr(outputs, "logits", None)
    if isinstance(outputs, Tensor) or not isinstance(logits, Tensor):
        return next((one for one in tensors(outputs) if one.is_floating_point()), None)
    return logits
