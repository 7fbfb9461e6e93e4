"""Trained parameters of a module, with statistics of all of them at once."""

from collections.abc import Mapping, Sequence
from math import isfinite

import torch
from torch import Tensor, nn

from mlr.core.checks import InputError
from mlr.probes.layer_hooks import tag_name, wide

Values = Sequence[Tensor | None]
"""One tensor per parameter; None if there is none."""


class TrainedParameters:
    """Operations on lists with one tensor per parameter: `mlr.probes.layers.Parameters`.

    Norms and counts are by parameter (n,); `by_layer` sums them to layers after the step.

    Attributes:
        names: names of the layers, in the order of the module.
        weights: values of all parameters that are trained.
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
        self.weights = [parameter for _, parameter in named]
        self._layer_of = [self.names.index(layer) for layer, _ in named]

    def gradients(self) -> Values:
        """Return the gradient of each parameter; None if no backward pass reached it."""
        grads = [weight.grad for weight in self.weights]
        return [own.to_dense() if own is not None and own.is_sparse else own for own in grads]

    def norms(self, values: Values) -> Tensor:
        """‖v‖₂ (n,) of each, on one device; 0 for None, NaN if all are None."""
        present = [wide(value) for value in values if value is not None]
        if not present:
            return torch.full((len(values),), torch.nan)
        norms = torch._foreach_norm(present)
        if len(present) == len(values) and len({(n.device, n.dtype) for n in norms}) == 1:
            return torch.stack(norms)
        zero, found = norms[0].new_zeros(()), iter(norms)
        return torch.stack([zero if v is None else next(found).to(zero) for v in values])

    def nonfinite(self, values: Values, norms: Tensor) -> Tensor:
        """Count the non-finite entries of each (n,)."""
        if norms.is_cpu and isfinite(sum(norms.tolist())):
            return torch.zeros_like(norms)
        zero = norms.new_zeros(())
        return torch.stack([zero if v is None else (~v.isfinite()).sum().to(norms) for v in values])

    def cosine(self, values: Values, others: Values, norms: Tensor) -> Tensor:
        """⟨v, w⟩ / ‖v‖‖w‖ () over all parameters, None being 0."""
        pairs = [
            (wide(v).flatten(), wide(w).flatten())
            for v, w in zip(values, others, strict=True)
            if v is not None and w is not None
        ]
        if not pairs:
            return norms.new_full((), torch.nan)
        dots = torch.stack([torch.dot(v, w).to(norms) for v, w in pairs])
        return dots.sum() / (norms.norm() * self.norms(others).norm())

    def copy(self, values: Values, into: Values | None) -> Values:
        """Copy values, into the memory of an earlier copy if it has their shapes."""
        if into is None or _shapes(into) != _shapes(values):
            return [value if value is None else value.clone() for value in values]
        new, old = ([value for value in each if value is not None] for each in (values, into))
        if old:
            torch._foreach_copy_(old, new)
        return into

    def subtract(self, values: Values, others: Values) -> Values:
        """v − w, in place."""
        torch._foreach_sub_(values, others)  # type: ignore[call-overload]
        return values

    def by_layer(self, statistics: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Sum statistics by parameter (…, n) to statistics by layer (…, N)."""
        found = dict(statistics)
        for name in {"gradient_norms", "weight_norms", "update_norms"} & found.keys():
            sizes = found[name]
            found[name] = self._sums(sizes.double().square()).sqrt().to(sizes.dtype)
        if "nonfinite" in found:
            found["nonfinite"] = self._sums(found["nonfinite"])
        return found

    def _sums(self, values: Tensor) -> Tensor:
        layer_of = torch.tensor(self._layer_of, device=values.device)
        shape = (*values.shape[:-1], len(self.names))
        return values.new_zeros(shape).index_add_(-1, layer_of, values)


def _shapes(values: Values) -> list[torch.Size | None]:
    return [None if value is None else value.shape for value in values]
