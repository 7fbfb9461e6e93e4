"""What dense layers see in one pass: their inputs a, and δ = ∂L/∂z of their outputs z.

From both the norm of each example's own gradient follows, without that gradient:

    ‖∂L_n/∂W‖² = ‖a_n‖² ‖δ_n‖²,  ‖∂L_n/∂b‖² = ‖δ_n‖²,
    and over a time axis, or several calls of one layer:  Σ_{t,t'} (δ_t·δ_t')(a_t·a_t' + 1)

Source: Goodfellow 2015, arXiv 1510.01799; Rochette et al. 2019, arXiv 1912.06015.
"""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from mlr.probes.base import square_lengths

SLOPES: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.ReLU: lambda h: torch.gt(h, 0, out=torch.empty_like(h)),
    nn.Tanh: lambda h: 1 - h.square(),
    nn.Sigmoid: lambda h: h * (1 - h),
}
"""Activations that can be dead or flat: φ'(z), written in h = φ(z)."""


class Hook:
    """A hook of a module that copies and pickles of the module leave behind."""

    def __init__(self, call: Callable[..., None]) -> None:
        self.call = call

    def __call__(self, *arguments: Any) -> None:
        """Pass on; nothing of the module's output is changed."""
        self.call(*arguments)

    def __reduce__(self) -> tuple[type[Hook], tuple[Callable[..., None]]]:
        """What stands in its place."""
        return Hook, (_nothing,)


def _nothing(*arguments: Any) -> None:
    """Heard by nobody."""


@dataclass
class Use:
    """One call of a dense layer z = a Wᵀ + b."""

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
    """δ (B, …, K), once a backward pass reached it"""


@dataclass(frozen=True)
class Activated:
    """What an activation module gave."""

    layer: str
    """the layer whose outputs it took, else its own name, as in tags"""
    kind: type[nn.Module]
    """which of `SLOPES`"""
    outputs: Tensor
    """h (B, …)"""


class Taps:
    """Listens to the dense layers and activations of a module while it is entered.

    At other times there are no hooks. What was heard is of the module's last forward pass in
    which gradients were enabled. A module compiled by torch.compile calls no hooks: tap the
    one it was made of, before.

    Attributes:
        layers: dense layers by their names in tags.
        left_out: why a dense layer, by its name in tags, is not among them.
        uses: calls of the layers, in their order.
        activated: outputs of the activations, in their order.
    """

    def __init__(self, module: nn.Module, listen: bool = False) -> None:
        """Find the layers.

        Args:
            module: any.
            listen: whether a backward pass, whoever starts it, leaves each δ in its `Use`.
        """
        self.module, self.listen = module, listen
        self.layers: dict[str, nn.Linear] = {}
        self.left_out: dict[str, str] = {}
        self._names: dict[nn.Module, str] = {}
        self._handles: list[Any] = []
        self._find(module)
        self._hooks = list(self._hooks_of(module))
        self.clear()

    def _find(self, module: nn.Module) -> None:
        owners = defaultdict(list)
        for part in module.modules():
            for parameter in part._parameters.values():
                owners[id(parameter)].append(part)
        twins: dict[tuple[int, int], str] = {}
        for path, part in module.named_modules():
            name = tag_name(path)
            if not _is_dense(part):
                continue
            pair = (id(part.weight), id(part.bias))
            sharing = owners[pair[0]] + (owners[pair[1]] if part.bias is not None else [])
            if any(not _is_dense(other) or _pair(other) != pair for other in sharing):
                self.left_out[name] = "it shares a parameter with a module of another kind"
            else:
                self._names[part] = twins.setdefault(pair, name)
                self.layers.setdefault(self._names[part], part)

    def _hooks_of(self, module: nn.Module) -> Iterator[tuple[nn.Module, Hook]]:
        for path, part in module.named_modules():
            if type(part) in SLOPES:
                yield part, self._activation_hook(tag_name(path))
            elif part in self._names or isinstance(part, nn.modules.conv._ConvNd):
                yield part, self._layer_hook(self._names.get(part, tag_name(path)))

    def __enter__(self) -> Taps:
        """Begin to listen."""
        self.clear()
        self._handles = [
            part.register_forward_hook(hook, with_kwargs=True) for part, hook in self._hooks
        ]
        self._handles.append(self.module.register_forward_pre_hook(Hook(self._begin)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """Remove the hooks; what was heard stays."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def clear(self) -> None:
        """Forget what was heard."""
        self.uses: list[Use] = []
        self.activated: list[Activated] = []
        self._makers: dict[int, tuple[weakref.ref[Tensor], str]] = {}

    def _begin(self, module: nn.Module, arguments: Any) -> None:
        if _is_heard():
            self.clear()

    def _layer_hook(self, name: str) -> Hook:
        def hook(part: nn.Module, args: Any, kwargs: Any, z: Tensor) -> None:
            if not _is_heard():
                return
            self._makers[id(z)] = (weakref.ref(z), name)
            if part in self._names and z.requires_grad:
                self._use(name, part, args[0] if args else kwargs["input"], z)

        return Hook(hook)

    def _use(self, name: str, part: nn.Module, inputs: Tensor, z: Tensor) -> None:
        weight, bias = (
            isinstance(own, Tensor) and own.requires_grad for own in (part.weight, part.bias)
        )
        if not (weight or bias) or z.dim() < 2:
            return
        # of the precision that autocast computes with
        a = inputs.detach().to(z.dtype)
        use = Use(name, a, get_gradient_edge(z), weight, bias)
        self.uses.append(use)
        if self.listen:

            def heard(delta: Tensor) -> None:
                use.delta = delta.detach()

            z.register_hook(heard)  # an activation in place takes z, and leaves the hook at it

    def _activation_hook(self, own_name: str) -> Hook:
        def hook(part: nn.Module, args: Any, kwargs: Any, h: Tensor) -> None:
            if not _is_heard():
                return
            z = args[0] if args else kwargs["input"]
            maker, name = self._makers.get(id(z), (None, own_name))
            layer = name if maker is not None and maker() is z else own_name
            self.activated.append(Activated(layer, type(part), h.detach()))

        return Hook(hook)


def sample_square_norms(a: Tensor, delta: Tensor, bias: bool, weight: bool = True) -> Tensor:
    """‖∂L_n/∂(W, b)‖² (B,) of a dense layer z = a Wᵀ + b, of each example n.

    Never a gradient an example, (B, K, D): beyond two axes, only (B, T, T). Halves are computed
    in float32.

    Args:
        a: inputs (B, …, D); axes between are summed over, as time is.
        delta: ∂L/∂z (B, …, K).
        bias: whether b counts.
        weight: whether W counts.

    Raises:
        ValueError: shapes disagree, or neither counts.

    Source: Goodfellow 2015, arXiv 1510.01799; Rochette et al. 2019, arXiv 1912.06015.
    """
    if a.dim() < 2 or a.shape[:-1] != delta.shape[:-1] or not (bias or weight):
        raise ValueError(
            f"a and delta must have shapes (B, …, D) and (B, …, K), not {tuple(a.shape)} and "
            f"{tuple(delta.shape)}, and weight or bias must be counted."
        )
    a, delta = _wide(a), _wide(delta)
    if a.dim() == 2:
        squares = square_lengths(delta)
        return squares * square_lengths(a).add_(bias) if weight else squares
    a, delta = a.flatten(1, -2), delta.flatten(1, -2)
    with torch.autocast(a.device.type, enabled=False):
        products = delta @ delta.mT
        if weight:
            products *= (a @ a.mT).add_(bias)
    return products.sum((-2, -1)).clamp_(min=0)


def square_norms(uses: Iterable[Use]) -> dict[str, Tensor]:
    """‖∂L_n/∂(W, b)‖² (B,) by layer, of those that a backward pass reached."""
    heard = defaultdict(list)
    for use in uses:
        if use.delta is not None:
            heard[use.layer].append(use)
    return {layer: _of_calls(own) for layer, own in heard.items()}


def tag_name(path: str) -> str:
    """A module's path as tags have it: `encoder.dense` is `encoder/dense`."""
    return path.replace(".", "/") or "parameters"


def _of_calls(uses: list[Use]) -> Tensor:
    inputs = [use.inputs for use in uses]
    deltas = [use.delta for use in uses if use.delta is not None]
    if len(uses) == 1:
        a, delta = inputs[0], deltas[0]
    else:  # calls of one layer add up as times do
        a, delta = torch.cat(_timed(inputs), 1), torch.cat(_timed(deltas), 1)
    return sample_square_norms(a, delta, uses[0].bias, uses[0].weight)


def _timed(values: list[Tensor]) -> list[Tensor]:
    """Each as (B, T, D), T being 1 where there is no such axis."""
    return [one.reshape(len(one), -1, one.shape[-1]) for one in values]


def _is_dense(part: nn.Module) -> bool:
    """Tell if it computes a Wᵀ + b, of parameters of its own."""
    own = isinstance(part, nn.Linear) and type(part).forward is nn.Linear.forward
    return own and part._parameters.get("weight") is not None


def _pair(part: nn.Module) -> tuple[int, int]:
    return id(part.weight), id(part.bias)


def _is_heard() -> bool:
    """Tell if this pass can be followed by a backward one of plain autograd."""
    return torch.is_grad_enabled() and not torch._C._are_functorch_transforms_active()


def _wide(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
