"""The trained parameters of a module by layer, and sizes of all of them at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mlr.core.checks import InputError
from mlr.probes.taps import tag_name


class TrainedLayers:
    """Layers as modules with parameters of their own, named as in tags.

    Attributes:
        names: of the layers, in the order of the module.
        parameters: all that are trained.

    Raises:
        InputError: none is.
    """

    def __init__(self, module: nn.Module) -> None:
        named = [
            (tag_name(name.rpartition(".")[0]), parameter)
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
        ]
        if not named:
            raise InputError("The model has no parameter that is trained: nothing to watch.")
        self.names = tuple(dict.fromkeys(layer for layer, _ in named))
        self.parameters = [parameter for _, parameter in named]
        self._layer_of = [self.names.index(layer) for layer, _ in named]

    def gradients(self) -> list[Tensor | None]:
        """Of each parameter; None where no backward pass reached it."""
        return [_filled(parameter.grad) for parameter in self.parameters]

    def norms(self, sizes: Tensor) -> Tensor:
        """‖v‖₂ (P, N) of each layer, of the `sizes` (P, n) of its parameters."""
        return self.sums(sizes.double().square()).sqrt().to(sizes.dtype)

    def sums(self, values: Tensor) -> Tensor:
        """Σ by layer (P, N) of what its parameters have (P, n)."""
        layer_of = torch.tensor(self._layer_of, device=values.device)
        return values.new_zeros(len(values), len(self.names)).index_add_(1, layer_of, values)


def sizes(values: Sequence[Tensor | None]) -> Tensor:
    """‖v‖₂ (n,) of each, on one device; 0 of None, NaN if all are."""
    present = [_wide(value) for value in values if value is not None]
    if not present:
        return torch.full((len(values),), torch.nan)
    norms = torch._foreach_norm(present)
    if len(present) == len(values) and len({(n.device, n.dtype) for n in norms}) == 1:
        return torch.stack(norms)
    zero, found = norms[0].new_zeros(()), iter(norms)
    return torch.stack([zero if v is None else next(found).to(zero) for v in values])


def nonfinite(values: Sequence[Tensor | None], norms: Tensor) -> Tensor:
    """How many numbers of each are not finite (n,); `norms` are their `sizes`."""
    if norms.is_cpu and bool(norms.isfinite().all()):
        return torch.zeros_like(norms)
    zero = norms.new_zeros(())
    return torch.stack([zero if v is None else (~v.isfinite()).sum().to(norms) for v in values])


def cosine(
    values: Sequence[Tensor | None], others: Sequence[Tensor | None], norms: Tensor
) -> Tensor:
    """⟨v, w⟩ / ‖v‖‖w‖ () of all numbers together, None being 0; `norms` are the values' `sizes`."""
    pairs = [(v, w) for v, w in zip(values, others, strict=True) if v is not None and w is not None]
    if not pairs:
        return norms.new_full((), torch.nan)
    dots = [torch.dot(_wide(v).flatten(), _wide(w).flatten()).to(norms) for v, w in pairs]
    return torch.stack(dots).sum() / (norms.norm() * sizes(others).norm())


def _filled(gradient: Tensor | None) -> Tensor | None:
    """That of an embedding may be sparse."""
    return gradient.to_dense() if gradient is not None and gradient.is_sparse else gradient


def _wide(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
