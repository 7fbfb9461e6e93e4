"""Reading of the outputs by a loss, traced through its graph: axis of the classes, rows, targets.

The operations between the outputs and the loss are repeated on the numbers of the rows, so that
what a loss slices, masks, moves or shifts is known by position, whatever its values are.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from mlr.core.domains import IGNORED
from mlr.loop.evidence import recomputed
from mlr.loop.evidence.graph import SHAPES, operation, saved

MOST_NODES = 40
"""Nodes of a loss that are read for its layout."""
OF_LOGITS = ("sigmoid", "softmax", "log_softmax", "bce_logits", "log_sigmoid")
"""Operations of losses that take logits."""
BY_CLASS = ("nll", "gather")
"""Operations that keep the class numbers by which they select."""
COMPILED = ("CompiledFunctionBackward", "CompiledFunction")
"""Nodes of what torch.compile compiled, whose operations cannot be read."""
RESHAPES = ("view", "unsafe_view", "reshape_alias", "squeeze", "unsqueeze")
SAME = frozenset(
    (
        *("clone", "alias", "to_copy", "log_softmax", "softmax", "sigmoid", "log", "neg", "clamp"),
        *("mul", "div", "add", "sub", "tanh"),
    )
)
"""Operations that leave each number at its place."""


class LossLayout(NamedTuple):
    """Reading of the outputs by a loss.

    axis: of the classes; None if the loss does not tell it.
    ignored: class number that it leaves out.
    of_probabilities: True if the outputs are those of a sigmoid or softmax, and the loss applies
        none.
    own: True if the targets are read off each loss, because it shifts them or selects outputs.
    moved: True if they are others than the user gave, or at other places.
    later: True if a loss that cannot be read has the value of one of each place's next target.
    fits: False if the loss selects outputs, and does not tell which.
    """

    axis: int | None = None
    ignored: int = IGNORED
    of_probabilities: bool = False
    own: bool = False
    moved: bool = False
    later: bool = False
    fits: bool = True


class Labels(NamedTuple):
    """Class numbers that a loss compares with rows of the outputs.

    axis: of the classes, in the outputs.
    rows: numbers of the rows (n,), in the order of the other axes.
    numbers: of the classes (n,).
    selected: True if rows were selected on the way.
    """

    axis: int
    rows: Tensor
    numbers: Tensor
    selected: bool


def loss_layout(logits: Tensor, targets: Tensor, loss: Tensor | None) -> LossLayout:
    """Find out from the graph of a loss how it reads the outputs."""
    axis, ignored, applied = None, IGNORED, False
    top, nodes = _nodes(logits, loss)
    for node in nodes:
        if node is top:
            continue
        name = operation(type(node).__name__)
        applied |= name in OF_LOGITS
        if hasattr(node, "_saved_ignore_index"):
            ignored = signed(node._saved_ignore_index)
        if name in ("softmax", "log_softmax"):
            result = saved(node, "result")  # None after a backward pass
            if result is not None and result.shape == logits.shape:
                axis = signed(node._saved_dim) % logits.dim()
    ends = top in nodes and operation(type(top).__name__) in ("sigmoid", "softmax")
    layout = LossLayout(axis, ignored, ends and not applied)
    if targets.is_floating_point() or targets.layout is not torch.strided:
        return layout
    found = labels(logits, loss)
    if found is None:
        sizes = [one.numel() for one in _class_numbers(nodes)]
        lost = len(sizes) == 1 and targets.numel() != sizes[0] and targets.dim() < logits.dim()
        if lost or loss is None or logits.dim() != 3 or targets.shape != logits.shape[:2]:
            return layout._replace(fits=not lost)
        if recomputed.forms(logits, targets, loss, recomputed.OF_NLL):
            return layout
        sliced = logits[:, :-1], targets[:, 1:]
        later = bool(recomputed.forms(*sliced, loss, recomputed.OF_NLL))
        hidden = any(type(node).__name__ in COMPILED for node in nodes)
        return layout._replace(later=later, moved=later, fits=later or not hidden)
    layout = layout._replace(axis=found.axis)
    rows = prod(logits.shape) // logits.shape[found.axis]
    given, whole = targets.flatten(), targets.numel() == rows
    flat = targets.dim() < logits.dim() - 1
    counted = (found.numbers != IGNORED) & (found.numbers != ignored)
    if whole and torch.equal(given[found.rows][counted], found.numbers[counted]):
        return layout._replace(own=found.selected or flat, moved=flat)
    # others that are as many are the user's choice, as clean labels next to noisy ones
    own = (
        found.selected
        or not whole
        or flat
        or _is_shift(given.view(len(targets), -1), found, ignored)
    )
    return layout._replace(own=own, moved=own)


def labels(logits: Tensor, loss: Tensor | None) -> Labels | None:
    """Read off a loss which class numbers it compares with which rows; None if it does not tell.

    Several losses, as of one place of sequences each, must be of different rows.
    """
    top, nodes = _nodes(logits, loss)
    readers = [node for node in nodes if operation(type(node).__name__) in BY_CLASS]
    readers = [node for node in readers if _chain(node.next_functions[0][0], top) is not None]
    every = [found for node in readers if (found := _labels(logits, node, top, nodes)) is not None]
    if not every or len(every) < len(readers):
        return None
    rows = torch.cat([one.rows for one in every])
    numbers = torch.cat([one.numbers for one in every])
    alike = len({one.axis for one in every}) == 1
    if not alike or (len(every) > 1 and len(rows.unique()) < len(rows)):
        return None
    return Labels(every[0].axis, rows, numbers, any(one.selected for one in every))


def _labels(logits: Tensor, node: Any, top: Any, nodes: list[Any]) -> Labels | None:
    """Read off the class numbers of one node."""
    chain, numbers = _chain(node.next_functions[0][0], top), saved(node, "target", "index")
    read = saved(node, "self")
    if chain is None or numbers is None or read is None or not read.dim():
        return None
    if operation(type(node).__name__) == "nll":
        place = min(1, read.dim() - 1)
    else:
        place = signed(node._saved_dim) % read.dim()
        if numbers.shape[place] != 1:
            return None
    given = _chain(logits.grad_fn, top)
    shape = torch.Size(top._input_metadata[0].shape)
    for axis, size in enumerate(shape):
        if size < 2 or size != read.shape[place]:
            continue
        start = _Rows.of(shape, axis, numbers.device)
        after, mine = start.through(chain), start.through(given or [])
        if after is None or mine is None or after.axis != place:
            continue
        if after.numbers.numel() != numbers.numel():
            continue
        own = mine.numbers.flatten()
        table = torch.full((start.numbers.numel(),), -1, device=own.device)
        table[own] = torch.arange(len(own), device=own.device)
        rows = table[after.numbers.flatten()]
        if bool((rows >= 0).all()):
            numbers, mask = numbers.flatten(), _mask(node, nodes)
            there = mask is not None and mask.numel() == len(numbers)
            if mask is not None and there:
                numbers = numbers.where(mask.flatten() != 0, IGNORED)
            return Labels(mine.axis, rows, numbers, after.selected or mine.selected or there)
    return None


def _mask(node: Any, nodes: list[Any]) -> Tensor | None:
    """Return the factors of single losses, if some are 0 or all are 1: a mask of padding."""
    for reader in nodes:
        if reader is not node and any(one is node for one, _ in reader.next_functions):
            name = operation(type(reader).__name__)
            if name in (*RESHAPES, "neg"):
                return _mask(reader, nodes)
            factors = saved(reader, "other", "self") if name == "mul" else None
            if factors is not None and not factors.requires_grad and factors.numel() > 1:
                is_mask = bool((factors == 0).any() or (factors == 1).all())
                return factors if is_mask else None
    return None


def cross_entropy_node(logits: Tensor, loss: Tensor) -> tuple[Any, list[Any]]:
    """Return the one node of a loss of class numbers, None without one, and what reads it."""
    top, nodes = _nodes(logits, loss)
    found = [node for node in nodes if operation(type(node).__name__) == "nll"]
    found = [node for node in found if _chain(node.next_functions[0][0], top) is not None]
    if len(found) != 1:
        return None, []
    readers = [one for one in nodes if any(node is found[0] for node, _ in one.next_functions)]
    return found[0], readers


def total_weight(logits: Tensor, loss: Tensor) -> Tensor | float:
    """Return the sum of the weights by which a weighted mean of cross-entropies is divided."""
    found = saved(cross_entropy_node(logits, loss)[0], "total_weight")
    return found.detach().clone() if found is not None else 1.0


def read_targets(
    logits: Tensor, targets: Tensor, loss: Tensor | None, layout: LossLayout
) -> Tensor:
    """Return the class numbers by which a loss reads the outputs, `IGNORED` where it does not.

    New ones are views, by which they are known to be no batch of the user's.
    """
    if layout.later:
        return F.pad(targets[:, 1:], (0, 1), value=IGNORED).view(targets.shape)
    found = labels(logits, loss) if layout.own else None
    if found is None:
        return targets
    shape = [size for axis, size in enumerate(logits.shape) if axis != found.axis]
    every = found.numbers.new_full((prod(shape),), IGNORED)
    every[found.rows] = found.numbers
    return every.view(shape)


class _Rows(NamedTuple):
    """Numbers of rows, with a length of 1 along the axis of the classes."""

    numbers: Tensor
    axis: int
    classes: int
    selected: bool = False

    @classmethod
    def of(cls, shape: torch.Size, axis: int, device: torch.device) -> _Rows:
        one = [*shape[:axis], 1, *shape[axis + 1 :]]
        return cls(torch.arange(prod(one), device=device).view(one), axis, shape[axis])

    def through(self, chain: list[Any]) -> _Rows | None:
        """Return the rows after the operations of nodes; None if one may do anything else."""
        found: _Rows | None = self
        for node in chain:
            found = found._after(node) if found is not None else None
        return found

    def _after(self, node: Any) -> _Rows | None:
        name = operation(type(node).__name__)
        shape = torch.Size(node._input_metadata[0].shape)
        rows, axis, dims = self.numbers, self.axis, self.numbers.dim()
        if name in SAME:
            return self if shape == self._shape() else None
        if name in RESHAPES:
            return self._reshaped(shape)
        if name in ("permute", "transpose", "t"):
            order = list(range(dims))
            if name == "permute":
                order = [signed(one) % dims for one in node._saved_dims]
            else:
                first, second = (
                    (0, 1)
                    if name == "t"
                    else (signed(node._saved_dim0) % dims, signed(node._saved_dim1) % dims)
                )
                order[first], order[second] = second, first
            return self._replace(numbers=rows.permute(order), axis=order.index(axis))
        if name == "index":
            return self._indexed(node._saved_indices)
        if name not in ("slice", "select", "index_select"):
            return None
        place = signed(node._saved_dim) % dims
        if place == axis:
            return None
        if name == "slice":
            ends = signed(node._saved_start), signed(node._saved_end), node._saved_step
            rows = torch.ops.aten.slice.Tensor(rows, place, *ends)
        elif name == "select":
            rows = rows.select(place, signed(node._saved_index))
            axis -= place < axis
        else:
            rows = rows.index_select(place, node._saved_index)
        return self._replace(numbers=rows, axis=axis, selected=True)

    def _shape(self) -> torch.Size:
        shape = self.numbers.shape
        return torch.Size((*shape[: self.axis], self.classes, *shape[self.axis + 1 :]))

    def _reshaped(self, shape: torch.Size) -> _Rows | None:
        """Move the axis of the classes to where as many numbers stand before and after it."""
        before = prod(self.numbers.shape[: self.axis])
        for place, size in enumerate(shape):
            if size == self.classes and prod(shape[:place]) == before:
                one = [*shape[:place], 1, *shape[place + 1 :]]
                if prod(one) == self.numbers.numel():
                    return self._replace(numbers=self.numbers.reshape(one), axis=place)
        return None

    def _indexed(self, indices: tuple[Tensor | None, ...]) -> _Rows | None:
        """Select by masks or numbers of the first axes."""
        wide = sum(1 if one is None or one.dtype != torch.bool else one.dim() for one in indices)
        if wide > self.axis or any(one is None for one in indices):
            return None
        rows = self.numbers[tuple(indices)]
        axis = rows.dim() - (self.numbers.dim() - self.axis)
        return self._replace(numbers=rows, axis=axis, selected=True)


def _nodes(logits: Tensor, loss: Tensor | None) -> tuple[Any, list[Any]]:
    """Return the node whose views are the outputs, and the first nodes from the loss to it."""
    top: Any = logits.grad_fn
    nodes: list[Any] = [loss.grad_fn] if loss is not None and loss.grad_fn is not None else []
    bases = [*_views(top)]
    for node in nodes:
        if node not in bases:
            below = (one for one, _ in node.next_functions if one is not None and one not in nodes)
            nodes += list(below)[: MOST_NODES - len(nodes)]
    # the outputs themselves, or what they are a view of
    return next((one for one in bases if one in nodes), bases[-1] if bases else None), nodes


def _views(node: Any) -> Iterator[Any]:
    """Yield a node, and those below it of which it is a view."""
    while node is not None:
        yield node
        if operation(type(node).__name__) not in SHAPES:
            return
        node = node.next_functions[0][0]


def _chain(node: Any, top: Any) -> list[Any] | None:
    """Return the nodes from after `top` to a node, in the order of their calls; None if none lead.

    Operations with several operands, as a product, are followed along the first with a graph.
    """
    found: list[Any] = []
    while node is not None and node is not top:
        found.append(node)
        node = next((one for one, _ in node.next_functions if one is not None), None)
        if len(found) > MOST_NODES:
            return None
    return found[::-1] if node is top and top is not None else None


def _class_numbers(nodes: list[Any]) -> Iterator[Tensor]:
    """Yield the targets of the losses of class numbers among nodes."""
    for node in nodes:
        if operation(type(node).__name__) == "nll":
            numbers = saved(node, "target")
            if numbers is not None:
                yield numbers


def _is_shift(given: Tensor, found: Labels, ignored: int) -> bool:
    """Tell if a loss compares each place of sequences (B, T) with the target of a later one."""
    length = given.shape[1]
    if length < 2 or not len(found.rows):
        return False
    places = found.rows % length
    # by the first of a sequence that it does not leave out
    for by in range(1, min(length, 3)):
        there = places + by < length
        later = given.flatten()[(found.rows + by).clamp(max=given.numel() - 1)]
        padded = ~there & ((found.numbers == ignored) | (found.numbers == IGNORED))
        if bool(there.any()) and bool((padded | (there & (later == found.numbers))).all()):
            return True
    return False


def signed(number: int) -> int:
    """Return a number that autograd may give as its remainder modulo 2⁶⁴."""
    return number - (1 << 64) if number >= 1 << 63 else number
