"""Forward hooks that record the inputs a of dense layers and δ = ∂L/∂z of their outputs z.

The norm of each example's gradient follows from both, without computing that gradient:

    ‖∂L_n/∂W‖² = ‖a_n‖² ‖δ_n‖²,  ‖∂L_n/∂b‖² = ‖δ_n‖²,
    and with a time axis, or several calls of one layer:  Σ_{t,t'} (δ_t·δ_t')(a_t·a_t' + 1)

Source: Goodfellow 2015, arXiv 1510.01799; Rochette et al. 2019, arXiv 1912.06015.
"""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from mlr.probes.base import square_lengths

TOTALS = frozenset({"total", "logits", "logit_grad"})
"""What `grad_norm/` and `nonfinite/` name next to the layers."""
SLOPES: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.ReLU: lambda h: torch.gt(h, 0, out=torch.empty_like(h)),
    nn.Tanh: lambda h: 1 - h.square(),
    nn.Sigmoid: lambda h: h * (1 - h),
}
"""φ'(z) of the activations that can be dead or flat, written in h = φ(z)."""


class Hook:
    """Module hook that does nothing in copies and pickles of the module."""

    def __init__(self, call: Callable[..., None] | None = None) -> None:
        self.call = call

    def __call__(self, *arguments: Any) -> None:
        """Call the function; the module's output is not changed."""
        if self.call is not None:
            self.call(*arguments)

    def __reduce__(self) -> tuple[type[Hook], tuple[()]]:
        return Hook, ()


@dataclass
class DenseCall:
    """Call of a dense layer z = a Wᵀ + b."""

    layer: str
    """its name in tags"""
    inputs: Tensor
    """a (B, …, D)"""
    edge: GradientEdge
    """z in the graph: `torch.autograd.grad(…, [edge], …)` gives δ"""
    weight: bool
    """whether W is trained"""
    bias: bool
    """whether there is a b that is trained"""
    delta: Tensor | None = None
    """δ (B, …, K), after a backward pass reached it"""


class ActivationCall(NamedTuple):
    """Call of an activation module."""

    layer: str
    """tag name of the layer whose outputs it took, else of itself"""
    kind: type[nn.Module]
    """key in `SLOPES`"""
    outputs: Tensor
    """h (B, …)"""


class LayerHooks:
    """Context manager that records calls of a module's dense layers and activations.

    Outside of it there are no hooks. Records are those of the module's last forward pass with
    gradients enabled. A module compiled by torch.compile calls no hooks: use the original.

    A dense layer that shares a parameter with a module of another kind is left out.

    Attributes:
        layers: dense layers by their names in tags.
        calls: calls of the layers, in their order.
        activated: outputs of the activations, in their order.
    """

    def __init__(self, module: nn.Module, listen: bool = False) -> None:
        """Find the layers.

        Args:
            module: any.
            listen: whether any backward pass writes each δ to its `DenseCall`.
        """
        self.module, self.listen = module, listen
        self.layers: dict[str, nn.Linear] = {}
        self._names: dict[nn.Module, str] = {}
        self._handles: list[Any] = []
        self._find(module)
        self._hooks = list(self._hooks_of(module))
        self.clear()

    def _find(self, module: nn.Module) -> None:
        owners = defaultdict(set)
        for part in module.modules():
            for parameter in part._parameters.values():
                if parameter is not None:
                    owners[id(parameter)].add(_dense_pair(part))
        twins: dict[tuple[int, int], str] = {}
        for path, part in module.named_modules():
            pair = _dense_pair(part)
            if pair is not None and all(owners.get(one, {pair}) == {pair} for one in pair):
                self._names[part] = twins.setdefault(pair, tag_name(path))
                self.layers.setdefault(self._names[part], part)

    def _hooks_of(self, module: nn.Module) -> Iterator[tuple[nn.Module, Hook]]:
        for path, part in module.named_modules():
            if type(part) in SLOPES:
                yield part, self._activation_hook(tag_name(path))
            elif part in self._names or isinstance(part, nn.modules.conv._ConvNd):
                yield part, self._layer_hook(self._names.get(part, tag_name(path)))

    def __enter__(self) -> LayerHooks:
        """Register the hooks."""
        self.clear()
        self._handles = [
            part.register_forward_hook(hook, with_kwargs=True) for part, hook in self._hooks
        ]
        self._handles.append(self.module.register_forward_pre_hook(Hook(self._begin)))
        return self

    def __exit__(self, *error: object) -> None:
        """Remove the hooks; records stay."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def clear(self) -> None:
        """Delete the records."""
        self.calls: list[DenseCall] = []
        self.activated: list[ActivationCall] = []
        self._makers: dict[int, tuple[weakref.ref[Tensor], str]] = {}

    def _begin(self, module: nn.Module, arguments: Any) -> None:
        if _is_recorded():
            self.clear()

    def _layer_hook(self, name: str) -> Hook:
        def hook(part: nn.Module, args: Any, kwargs: Any, z: Tensor) -> None:
            if not _is_recorded() or not isinstance(z, Tensor):
                return
            self._makers[id(z)] = (weakref.ref(z), name)
            if part in self._names and z.requires_grad:
                self._dense_call(name, part, args[0] if args else kwargs["input"], z)

        return Hook(hook)

    def _dense_call(self, name: str, part: nn.Module, inputs: Tensor, z: Tensor) -> None:
        weight, bias = (
            isinstance(own, Tensor) and own.requires_grad for own in (part.weight, part.bias)
        )
        if not (weight or bias) or z.dim() < 2:
            return
        # in the precision that autocast computes with
        a = inputs.detach().to(z.dtype)
        call = DenseCall(name, a, get_gradient_edge(z), weight, bias)
        self.calls.append(call)
        if self.listen:

            def record(delta: Tensor | None) -> None:
                if delta is not None:  # as behind an operation that returns no gradient
                    call.delta = delta.detach()

            z.register_hook(record)  # also works if an activation overwrites z in place

    def _activation_hook(self, own_name: str) -> Hook:
        def hook(part: nn.Module, args: Any, kwargs: Any, h: Tensor) -> None:
            if not _is_recorded():
                return
            z = args[0] if args else kwargs["input"]
            maker, name = self._makers.get(id(z), (None, own_name))
            layer = name if maker is not None and maker() is z else own_name
            self.activated.append(ActivationCall(layer, type(part), h.detach()))

        return Hook(hook)


def sample_square_norms(a: Tensor, delta: Tensor, bias: bool, weight: bool = True) -> Tensor:
    """‖∂L_n/∂(W, b)‖² (B,) of a dense layer z = a Wᵀ + b, of each example n.

    No gradient per example (B, K, D) is formed; with further axes, only (B, T, T). Half precision
    is computed in float32.

    Args:
        a: inputs (B, …, D); axes between are summed over, as time is.
        delta: ∂L/∂z (B, …, K).
        bias: whether b is included.
        weight: whether W is included.
    """
    a, delta = wide(a), wide(delta)
    if a.dim() == 2:
        squares = square_lengths(delta)
        return squares * square_lengths(a).add_(bias) if weight else squares
    a, delta = a.flatten(1, -2), delta.flatten(1, -2)
    with torch.autocast(a.device.type, enabled=False):
        products = delta @ delta.mT
        if weight:
            products *= (a @ a.mT).add_(bias)
    return products.sum((-2, -1)).clamp_(min=0)


def square_norms(calls: Iterable[DenseCall]) -> dict[str, Tensor]:
    """‖∂L_n/∂(W, b)‖² (B,) by layer, for layers that a backward pass reached."""
    reached = defaultdict(list)
    for call in calls:
        if call.delta is not None:
            reached[call.layer].append((call.inputs, call.delta, call))
    found = {}
    for layer, own in reached.items():
        inputs, deltas, (first, *_) = zip(*own, strict=True)
        a, delta = _joined(inputs), _joined(deltas)
        found[layer] = sample_square_norms(a, delta, first.bias, first.weight)
    return found


def tag_name(path: str) -> str:
    """Convert a module's path for tags: `encoder.dense` → `encoder/dense`.

    A layer that has the name of a total gets one that no path can have: `logits` → `logits.layer`.
    """
    name = path.replace(".", "/") or "parameters"
    return f"{name}.layer" if name in TOTALS else name


def _joined(values: Sequence[Tensor]) -> Tensor:
    """Join the values of a layer's calls, which are summed over, along one time axis (B, T, D)."""
    if len(values) == 1:
        return values[0]
    return torch.cat([one.reshape(len(one), -1, one.shape[-1]) for one in values], dim=1)


def _dense_pair(part: nn.Module) -> tuple[int, int] | None:
    """Identify W and b of a module that computes a Wᵀ + b with its own parameters, else None."""
    own = isinstance(part, nn.Linear) and type(part).forward is nn.Linear.forward
    if not own or part._parameters.get("weight") is None:
        return None
    return id(part.weight), id(part.bias)


def _is_recorded() -> bool:
    """Tell if a backward pass of plain autograd can follow."""
    return torch.is_grad_enabled() and not torch._C._are_functorch_transforms_active()


def wide(values: Tensor) -> Tensor:
    """Convert half precision to float32."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
