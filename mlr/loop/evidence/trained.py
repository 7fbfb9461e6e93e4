"""Evidence on the parameters: who owns them, which get a gradient, which change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from math import hypot
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mlr.loop.evidence.graph import GraphSeen
from mlr.probes.layer_hooks import tag_name, wide
from mlr.records.evidence import Untrained

ENTRIES = 64
"""First entries of a parameter that are compared."""
MOST_NAMES = 8
NEAR = 0.01
"""Distance from the end of a tanh or sigmoid at which it is saturated."""
MOST_RELUS = 64
MOST_WEIGHTS = 1 << 14
"""First weights of a layer that its initialisation is recognised by."""
FEWEST_WEIGHTS = 100
"""Weights of an embedding from which its distribution is known."""
SYMMETRIC = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Layers whose units are rows of their weights."""


class ProgramParameters:
    """Parameters of a model and of its optimizers, which are watched for changes.

    Attributes:
        named: trained parameters of the model by name.
        outside: parameters in the graph of neither model nor optimizer.
    """

    def __init__(self, model: nn.Module, optimizers: Sequence[Optimizer]) -> None:
        self.model, self.optimizers = model, optimizers
        self.named = {name: own for name, own in model.named_parameters() if own.requires_grad}
        self.outside: dict[int, Tensor] = {}
        self._first = _samples(self.named.values())
        still = {name: own for name, own in model.named_parameters() if not own.requires_grad}
        trained = zip(self.named.values(), self._first, strict=True)
        copied = {(own.shape, *one.tolist()) for own, one in trained if still}
        # but for copies of trained ones, as a teacher's
        self._first_still = {
            name: one
            for name, own in still.items()
            if (own.shape, *(one := _sample(own)).tolist()) not in copied
        }
        self._first_outside: dict[int, Tensor] = {}
        self._fresh = {
            name: is_fresh(part.weight)
            for name, part in model.named_modules()
            if isinstance(part, SYMMETRIC)
        }
        # others tell nothing if their weights are different: they may have been drawn otherwise
        self._fresh |= {name: True for name, part in model.named_modules() if _is_drawn(part)}
        self._reached: set[int] = set()
        self._read = False  # whether the leaves of any graph are known

    def owned(self) -> dict[int, Tensor]:
        """Return the parameters of the optimizers."""
        groups = (group for one in self.optimizers for group in one.param_groups)
        return {id(own): own for group in groups for own in group["params"]}

    @torch.no_grad()
    def look(self, graph: GraphSeen) -> None:
        """Note the leaves of a graph, and which parameters have changed."""
        if not (graph.attached and graph.whole):
            return
        self._read = True
        self._reached |= {id(leaf) for leaf in graph.leaves}
        mine, owned = {id(own) for own in self.model.parameters()}, self.owned()
        known = mine | owned.keys() | self.outside.keys()
        for leaf in graph.leaves:
            if isinstance(leaf, nn.Parameter) and id(leaf) not in known:
                self.outside[id(leaf)] = leaf
                self._first_outside[id(leaf)] = _sample(leaf)

    @torch.no_grad()
    def entries(self) -> dict[str, Any]:
        """Return the parameters that are not trained, as entries of the evidence."""
        owned, mine = self.owned(), {id(own) for own in self.model.parameters()}
        now = _samples(self.named.values())
        same = [
            name
            for name, first, last in zip(self.named, self._first, now, strict=True)
            if torch.equal(first, last)
        ]
        found: dict[str, Any] = {
            "parameters": len(self.named),
            "fresh": self._untrained(self.named).fresh,
            "frozen": self._untrained(self._still()),
            "unowned": self._untrained(
                [one for one in same if self.optimizers and id(self.named[one]) not in owned]
            ),
            "strangers": len(owned.keys() - mine - self._reached) if self._read else 0,
            "outside": sum(
                torch.equal(self._first_outside[own], _sample(leaf))
                for own, leaf in self.outside.items()
            ),
        }
        if self._read and len(self.optimizers) > 1:
            found["idle"] = sum(self._idle(one, same) for one in self.optimizers)
        if self._read:
            there = {name for name, own in self.named.items() if id(own) in self._reached}
            found["unreached"] = self._untrained([one for one in same if one not in there])
            found["unchanged"] = self._untrained([one for one in same if one in there])
        return found

    def _idle(self, optimizer: Optimizer, same: Collection[str]) -> bool:
        """Tell if no parameter of an optimizer has changed, though all are in the loss's graph."""
        own = {id(one) for group in optimizer.param_groups for one in group["params"]}
        names = [name for name, one in self.named.items() if id(one) in own & self._reached]
        still = len(names) == len(own) > 0 and set(names) <= set(same)
        return still and min(rates([optimizer]), default=0) > 0

    def _still(self) -> list[str]:
        """Name the parameters that require no gradient, and that nothing else changes.

        The mean of a student's, or a copy of them that is renewed at times, is changed.
        """
        there = {name: own for name, own in self.model.named_parameters() if not own.requires_grad}
        first = self._first_still
        return [
            name
            for name, own in there.items()
            if name in self.named or (name in first and torch.equal(first[name], _sample(own)))
        ]

    def _untrained(self, names: Collection[str]) -> Untrained:
        layers = [name.rpartition(".")[0] for name, _ in self.model.named_parameters()]
        those = {name.rpartition(".")[0] for name in names}
        others = [place for place, layer in enumerate(layers) if layer not in those]
        own = [place for place, layer in enumerate(layers) if layer in those]
        known = [self._fresh[layer] for layer in those if layer in self._fresh]
        return Untrained(
            count=len(names),
            names=list(names)[:MOST_NAMES],
            before=bool(own) and bool(others) and max(own) < min(others),
            fresh=bool(known) and all(known),
        )

    @torch.no_grad()
    def samples(self) -> list[Tensor]:
        """Copy the first entries of each trained parameter of the model."""
        return _samples(self.named.values())

    def gradients(self) -> list[Tensor]:
        """Return the gradients that trained parameters of model and optimizers have."""
        every = {id(own): own for own in self.named.values()} | self.owned()
        return [own.grad for own in every.values() if own.grad is not None]

    @torch.no_grad()
    def gradient_norm(self) -> float:
        """‖g‖ of the trained parameters of model and optimizers; 0 if none has a gradient."""
        dense = [wide(one.to_dense() if one.is_sparse else one) for one in self.gradients()]
        return _norm(dense) if dense else 0.0

    @torch.no_grad()
    def decay(self) -> float:
        """Return the largest weight_decay · ‖w‖ / ‖g‖ of a group; NaN for none."""
        shares = [float("nan")]
        for group in (group for one in self.optimizers for group in one.param_groups):
            amount = group.get("weight_decay") or 0
            there = [own for own in group["params"] if own.grad is not None]
            if amount and there and not any(own.grad.is_sparse for own in there):
                weights, grads = _norm(there), _norm([own.grad for own in there])
                if grads > 0:
                    shares.append(float(amount) * weights / grads)
        return max(shares[1:], default=shares[0])


def rates(optimizers: Iterable[Optimizer]) -> list[float]:
    """Return the learning rates of all groups."""
    return [float(group["lr"]) for one in optimizers for group in one.param_groups if "lr" in group]


@torch.no_grad()
def moved(before: Sequence[Tensor], after: Sequence[Tensor]) -> float:
    """Return the median of ‖Δw‖ / ‖w‖ over the parameters, by their first entries."""
    if not before:
        return float("nan")
    old, new = ([wide(one) for one in each] for each in (before, after))
    sizes = torch._foreach_norm(old)
    changes = torch._foreach_norm(torch._foreach_sub(new, old))
    ratios = [
        change / size
        for change, size in zip(_numbers(changes), _numbers(sizes), strict=True)
        if size > 0
    ]
    return sorted(ratios)[len(ratios) // 2] if ratios else float("nan")


@torch.no_grad()
def symmetric(model: nn.Module) -> dict[str, Any]:
    """Name the hidden layers all of whose units have the same weights."""
    layers = [(name, part) for name, part in model.named_modules() if isinstance(part, SYMMETRIC)]
    found, zero = [], True
    for name, part in layers[:-1]:
        rows = part.weight.detach().flatten(1)
        if len(rows) > 1 and torch.equal(rows[0], rows[-1]) and bool((rows == rows[:1]).all()):
            found.append(tag_name(name))
            zero = zero and not bool(rows.any())
    return {"symmetric": found[:MOST_NAMES], "zero": bool(found) and zero}


@torch.no_grad()
def saturated(graph: GraphSeen) -> list[float]:
    """Return the share of outputs of each hidden tanh or sigmoid within a hundredth of its ends."""
    shares = []
    for name, outputs in graph.bounded[:MOST_RELUS]:
        high = outputs.detach() > 1 - NEAR
        low = outputs.detach() < (NEAR if name == "sigmoid" else NEAR - 1)
        shares.append(float((high | low).float().mean()))
    return shares


@torch.no_grad()
def dead(graph: GraphSeen) -> list[float]:
    """Return the share of units of each ReLU that are 0 for all examples."""
    shares = []
    for outputs in graph.hidden[:MOST_RELUS]:
        if outputs.dim() > 1 and len(outputs) > 1 and outputs.numel():
            units = outputs.detach().movedim(1, -1) if outputs.dim() == 4 else outputs.detach()
            largest = units.flatten(0, -2).amax(0)  # several times as fast as a test of each
            shares.append(1 - int(largest.count_nonzero()) / largest.numel())
    return shares


def _is_drawn(part: nn.Module) -> bool:
    """Tell if an embedding or a recurrent layer has the weights that torch draws."""
    if isinstance(part, nn.Embedding):
        return is_normal(part.weight)
    if isinstance(part, nn.RNNBase | nn.RNNCellBase):
        every = [own for name, own in part.named_parameters() if name.startswith("weight")]
        return all(is_fresh(own, part.hidden_size) for own in every)
    return False


@torch.no_grad()
def is_normal(weight: Tensor) -> bool:
    """Tell if weights look as drawn from a standard normal distribution, by three moments.

    Over n numbers, the means of v, v² and v⁴ have standard deviations of √(1, 2, 96) / √n.
    """
    values = weight.detach().flatten()[:MOST_WEIGHTS].double()
    if values.numel() < FEWEST_WEIGHTS:
        return False
    wide = 4 * values.numel() ** -0.5
    mean, square, fourth = (float(values.pow(power).mean()) for power in (1, 2, 4))
    return (
        abs(mean) <= wide and abs(square - 1) <= wide * 2**0.5 and abs(fourth - 3) <= wide * 96**0.5
    )


@torch.no_grad()
def is_fresh(weight: Tensor, wide: int = 0) -> bool:
    """Tell if weights look as torch's layers draw them: uniformly within 1 / √fan_in.

    Recurrent layers are drawn by their number of hidden units in its place, `wide`. The mean square
    of n such numbers, over that of the distribution, has a standard deviation of √(4/5) / √n about
    1.
    """
    bound = (wide or weight[0].numel()) ** -0.5
    size = weight.detach().flatten()[:MOST_WEIGHTS].double()
    n = size.numel()
    largest, square = float(size.abs().max()), float(size.square().mean()) / (bound**2 / 3)
    near = abs(square - 1) <= 4 * (0.8 / n) ** 0.5
    return near and bound * (1 - 10 / n) <= largest <= bound * (1 + 1e-6)


def _norm(values: list[Tensor]) -> float:
    """‖v‖ over all values."""
    return hypot(*_numbers(torch._foreach_norm(values)))


def _numbers(values: Sequence[Tensor]) -> list[float]:
    """Fetch numbers () from their devices, in one transfer if there is one device."""
    if len({(one.device, one.dtype) for one in values}) == 1:
        return torch.stack(list(values)).tolist()
    return [float(one) for one in values]


@torch.no_grad()
def _samples(values: Iterable[Tensor]) -> list[Tensor]:
    return [_sample(one) for one in values]


def _sample(value: Tensor) -> Tensor:
    """Copy the first entries of a tensor, and its sum, where gradients are disabled."""
    flat = value.reshape(-1)
    return torch.cat((flat[:ENTRIES], flat.sum(0, keepdim=True)))
