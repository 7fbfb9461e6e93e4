"""Evidence in the values: range, sums and kind of outputs, targets and inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf, isfinite, nan
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mlr.core.domains import IGNORED
from mlr.loop.evidence.graph import GraphSeen

MOST = 1 << 15
"""Numbers of a tensor above which only its first examples are looked at."""
FEW = 4096
"""Targets of a batch above which only the first are counted."""
OFTEN = 1 << 18
"""Targets that are counted at once."""
MOST_CLASSES = 1000
COSTS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,
    "bce_logits": F.binary_cross_entropy_with_logits,
}
"""Losses by the name of their operation, whose mean is computed again without any other term."""
SAMPLED = 1 << 14
"""Numbers among the targets from which their median is told."""


@torch.no_grad()
def of_outputs(outputs: Tensor, axis: int = -1) -> dict[str, Any]:
    """Describe the outputs: range, sums over the classes, and whether they are the same for all."""
    values = _part(outputs).float()
    low, high, lost = _bounds(values)
    found: dict[str, Any] = {"output_shape": list(outputs.shape), "output_lost": lost}
    if not lost:
        found |= {"output_low": low, "output_high": high}
        found["output_edge"] = _edge(values, low, high)
        if values.dim() > 1 and values.shape[axis] > 1:
            least, most = values.sum(axis).aminmax()
            found |= {"row_low": float(least), "row_high": float(most)}
        if len(values) > 1:
            found["output_std"] = float(values.flatten(1 if values.dim() > 1 else 0).std(0).max())
    return found


@torch.no_grad()
def log_sum(outputs: Tensor, axis: int = -1) -> float:
    """Return the largest |log Σ exp| of a row, 0 for logarithms of probabilities; NaN for none."""
    if outputs.dim() < 2 or outputs.shape[axis] < 2:
        return nan
    return float(_part(outputs).double().logsumexp(axis).abs().max())


@torch.no_grad()
def of_targets(targets: Tensor) -> dict[str, Any]:
    """Describe the targets: shape, range, sums of their rows, and whether they are whole."""
    values = _part(targets)
    found: dict[str, Any] = {
        "target_shape": list(targets.shape),
        "target_integer": not targets.is_floating_point(),
    }
    values = values.float()
    low, high, found["target_lost"] = _bounds(values)
    if not found["target_lost"]:
        found |= {"target_low": low, "target_high": high}
        whole = found["target_integer"] or bool((values == values.round()).all())
        found["target_whole"] = whole
        if values.dim() > 1 and values.shape[-1] > 1:
            least, most = values.sum(-1).aminmax()
            found |= {"target_row_low": float(least), "target_row_high": float(most)}
    return found


@torch.no_grad()
def of_inputs(inputs: Tensor | None) -> dict[str, Any]:
    """Describe the inputs: size, columns that are far from 0 or constant, and lost numbers."""
    if inputs is None or not inputs.is_floating_point() or inputs.dim() < 2:
        return {}
    values = _part(inputs)
    found: dict[str, Any] = {"input_shape": list(inputs.shape)}
    if _bounds(values)[2]:
        return found | {"input_lost": float(1 - values.isfinite().double().mean())}
    found["input_lost"] = 0.0
    columns = values.flatten(1) if values.dim() == 2 else values.movedim(1, -1).flatten(0, -2)
    columns = columns.double()
    mean = columns.mean(0)
    spread = (columns - mean).square_().mean(0)  # several times as fast as var(0)
    squares = mean.square() + spread
    found["input_size"] = float(squares.mean().sqrt())
    if len(columns) > 1:
        std = (spread * (len(columns) / (len(columns) - 1))).sqrt()
        live = std > 0
        count = int(live.count_nonzero())
        found["input_constant"] = 1 - count / live.numel()
        if count:
            # `where` is several times as fast as a selection
            found["input_offset"] = float((mean.abs() / std).where(live, 0).max())
            found["input_largest"] = float(squares.where(live, 0).max()) ** 0.5
            found["input_smallest"] = float(squares.where(live, inf).min()) ** 0.5
    return found


@torch.no_grad()
def of_fed(graph: GraphSeen) -> dict[str, Any]:
    """Describe what the loss was given, by the tensors that its node keeps."""
    if not graph.fed:
        return {}
    name, given, wanted = graph.fed[0]
    given, wanted = _part(given), _part(wanted)
    low, high, lost = _bounds(given)
    if lost != 0:
        return {"fed": name}
    found: dict[str, Any] = {
        "fed": name,
        **{"fed_low": low, "fed_high": high, "fed_count": graph.fed[0][1].numel()},
        "fed_edge": _edge(given, low, high),
    }
    if name in ("nll", "ctc") and given.dim() > 1:
        found["fed_log_sum"] = log_sum(given, 1 if name == "nll" and given.dim() > 2 else -1)
    elif wanted.numel() and wanted.is_floating_point():
        least, most = wanted.aminmax()
        found |= {"wanted_low": float(least), "wanted_high": float(most)}
        if name in COSTS and wanted.shape == given.shape:
            found["fed_cost"] = float(COSTS[name](given, wanted.double()))
    return found


@torch.no_grad()
def foreseen(graph: GraphSeen, targets: Tensor, both_ways: bool) -> bool:
    """Tell if targets (B, T) are the words that a model reads one place later, and sees there.

    Args:
        graph: of the loss.
        targets: class numbers.
        both_ways: True for a model with a recurrent layer that reads from the end.
    """
    if not (both_ways or (graph.ahead and not graph.causal)) or targets.is_floating_point():
        return False
    for one in graph.looked_up:
        if one.dim() == 2 and one.numel() == targets.numel() and one.shape[1] > 2:
            wanted = targets.reshape(one.shape)
            if torch.equal(one[:, 1:], wanted[:, :-1]) and bool((one[:, 1:] != one[:, :-1]).any()):
                return True
    return False


@torch.no_grad()
def copied(graph: GraphSeen, targets: Tensor, one_way: bool) -> bool:
    """Tell if the targets are the very words that a model reads which sees no later ones.

    Args:
        graph: of the loss.
        targets: class numbers.
        one_way: True for a model with one recurrent layer, which reads from the start.
    """
    if not (graph.causal or (one_way and not graph.ahead)) or targets.is_floating_point():
        return False
    # places have the same numbers in each row
    words = [
        one
        for one in graph.looked_up
        if one.numel() == targets.numel() and not (len(one) > 1 and bool((one == one[:1]).all()))
    ]
    return bool(words) and all(torch.equal(one.flatten(), targets.flatten()) for one in words)


class Targets:
    """Running counts of the targets of batches, counted many batches at once."""

    def __init__(self) -> None:
        self._waiting: list[Tensor] = []
        self._numbers = 0
        self._counts: Tensor | None = None  # (classes,)
        self._sums: Tensor | None = None  # (3, columns): Σ 1, Σ t, Σ t²
        self._sample: list[Tensor] = []  # rows of floats
        self._pairs = [0.0, 0.0]  # successive targets, those that are equal
        self._batches = [0, 0]  # batches of several examples, those of one class
        self._lost = 0  # batches with a target that is not finite

    def add(self, targets: Tensor) -> None:
        """Store a copy of some targets."""
        few = targets.detach() if targets.requires_grad else targets
        if few.numel() > FEW:
            few = few[: max(1, FEW * len(few) // few.numel())]
        self._waiting.append(few.clone())
        self._numbers += few.numel()
        if self._numbers >= OFTEN:
            self.count()

    @torch.no_grad()
    def count(self) -> None:
        """Count the targets that are stored."""
        waiting, self._waiting, self._numbers = self._waiting, [], 0
        for shape in dict.fromkeys((one.shape, one.dtype) for one in waiting):
            same = torch.stack([one for one in waiting if (one.shape, one.dtype) == shape])
            finite = same.isfinite().reshape(len(same), -1).all(1)
            self._lost += int((~finite).sum())
            if same.numel() and bool(finite.any()):
                self._add(same[finite])

    def _add(self, same: Tensor) -> None:
        """Count batches (n, B, …) of one shape."""
        if same.dim() < 2:
            return
        same = same.byte() if same.dtype == torch.bool else same
        rows = same.flatten(2) if same.dim() > 2 else same[..., None]
        if not same.is_floating_point() and not _one_hot(rows):  # class numbers of words or pixels
            rows = rows.flatten(1)[..., None]
        columns = rows.flatten(0, 1).double()
        count = torch.full_like(columns[0], len(columns))
        sums = torch.stack([count, columns.sum(0), columns.square().sum(0)]).cpu()
        if self._sums is None or self._sums.shape == sums.shape:
            self._sums = sums if self._sums is None else self._sums + sums
            if same.is_floating_point() and sum(map(torch.numel, self._sample)) < SAMPLED:
                self._sample.append(columns[:: -(-columns.numel() // SAMPLED)].cpu())
        one_hot = _one_hot(rows)
        numbers = rows.argmax(-1) if one_hot else rows[..., 0] if rows.shape[-1] == 1 else None
        if numbers is None:
            return
        low, high = numbers.aminmax()
        whole = not numbers.is_floating_point() or bool((numbers == numbers.round()).all())
        if not (whole and low >= IGNORED and high < MOST_CLASSES):
            return
        there = numbers.flatten().long()
        there = there[there >= 0]
        counts = torch.bincount(there, minlength=MOST_CLASSES).cpu()
        self._counts = counts if self._counts is None else self._counts + counts
        if numbers.shape[1] > 1:
            equal = numbers[:, 1:] == numbers[:, :-1]
            self._pairs[0] += equal.numel()
            self._pairs[1] += float(equal.sum())
            self._batches[0] += len(numbers)
            self._batches[1] += int(equal.all(1).sum())

    def entries(self) -> Mapping[str, Any]:
        """Return the counts as entries of the evidence."""
        self.count()
        found: dict[str, Any] = {"lost_targets": self._lost}
        if self._counts is not None:
            there = self._counts.nonzero()
            last = int(there.max()) if len(there) else -1
            found["class_counts"] = self._counts[: last + 1].tolist()
        if self._sums is not None:
            count, total, squares = self._sums
            mean = total / count
            found["target_mean"] = float(mean.mean())
            found["target_variance"] = float((squares / count - mean.square()).clamp(0).mean())
            found["target_size"] = float((squares / count).mean().sqrt())
            if self._sample:
                rows = torch.cat(self._sample)
                found["target_deviation"] = float((rows - rows.median(0).values).abs().mean())
            inside = (mean > 0) & (mean < 1)
            p = mean[inside]
            entropy = -(p * p.log() + (1 - p) * (1 - p).log())
            found["target_entropy"] = float(entropy.sum() / len(mean))
            found["target_columns"] = len(mean)
        if self._pairs[0]:
            found["same_successive"] = self._pairs[1] / self._pairs[0]
            found["batches"], found["one_class_batches"] = self._batches
        return found


def _one_hot(rows: Tensor) -> bool:
    if rows.shape[-1] < 2:
        return False
    return bool(((rows == 0) | (rows == 1)).all()) and bool((rows.sum(-1) == 1).all())


def _bounds(values: Tensor) -> tuple[float, float, float]:
    """Return the lowest and the highest number, and the share of those that are not finite.

    Without any number the share is NaN.
    """
    if not values.numel():
        return nan, nan, nan
    if values.dtype == torch.bool:
        values = values.float()
    low, high = map(float, values.aminmax())
    if isfinite(low) and isfinite(high):
        return low, high, 0.0
    return low, high, float(1 - values.isfinite().float().mean())


def _edge(values: Tensor, low: float, high: float) -> float:
    """Return the share of the numbers that are the lowest or the highest."""
    ends = {low, high}  # counted one by one, which is faster than the mean of their union
    return sum(int((values == end).count_nonzero()) for end in ends) / values.numel()


def _part(values: Tensor) -> Tensor:
    values = values.detach()
    if values.is_sparse:
        values = values.to_dense()
    if values.numel() <= MOST or not values.dim():
        return values
    return values[: max(2, MOST * len(values) // values.numel())]
