"""Loss and dL/dz against the logit, with the run's training examples as marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlr.figures import canvas
from mlr.heads import Linear

if TYPE_CHECKING:
    from mlr.figures.seen import Array, Moment, Seen

CAPTION = (
    "Loss and its derivative, as the pair of head and loss has them; a mark is a training example. "
    "One output: its logit. K outputs of their own: the logit of an example's class (target 1) "
    "and the largest of the others (target 0), each output's part of the loss. Outputs that "
    "depend on each other: the margin, the logit of the class less the largest other one; the "
    "curves are those of a single rival and of all others as large as it, the marks are the "
    "examples' own numbers. Regression: the error y - t."
)
_GRID, _LEAST = 241, 4.0
_FEW = 50  # marks that need not be transparent
_GONE = -60.0  # a logit without a share of a softmax


class LossLine(NamedTuple):
    """One curve over the grid: its name, L and dL/dz."""

    name: str
    losses: Array
    grads: Array


class LossCurve(NamedTuple):
    """Curves and marks."""

    across: str  # label of x
    grid: Array  # x of the curves (G,)
    lines: Sequence[LossLine]
    x: Array  # of the marks (M,)
    losses: Array  # of the marks (M,)
    grads: Array  # of the marks (M,)
    right: NDArray[np.bool_] | None  # of the marks (M,); None for regression

    def limits(self, part: str) -> tuple[float, float]:
        """Choose limits of `losses` or `grads`, over the curves and the marks within them."""
        inside = (self.x >= self.grid[0]) & (self.x <= self.grid[-1])
        curves = [getattr(one, part) for one in self.lines]
        every = np.concatenate([*curves, getattr(self, part)[inside]])
        return canvas.padded(float(every.min()), float(every.max()))


def collect(moment: Moment, grid: Array | None = None) -> LossCurve | None:
    """Collect curves and marks; None for two logits per target, levels, or a nonlinear regression.

    `grid` is the x of the curves; None chooses it by the marks.
    """
    head, seen = moment.experiment.objective.head, moment.train
    if head.range.per_target > 1 or (head.ordered and seen.logits.shape[1] > 1):
        return None
    if seen.labels is None:
        return _errors(moment, seen, grid) if isinstance(head, Linear) else None
    kind = _margins if head.range.least_outputs > 1 else _outputs
    return kind(moment, seen, grid)


def frames(moments: Sequence[Moment], titles: Sequence[str]) -> list[canvas.Figure]:
    """Draw moments of one run with the same axes; none if the figure does not suit it."""
    alone = [one for one in map(collect, moments) if one is not None]
    if not alone:
        return []
    ends = min(one.grid[0] for one in alone), max(one.grid[-1] for one in alone)
    grid = np.linspace(*ends, _GRID)
    found = [one for moment in moments if (one := collect(moment, grid)) is not None]
    y = {part: canvas.over([one.limits(part) for one in found]) for part in ("losses", "grads")}
    return [draw(one, title, y) for one, title in zip(found, titles, strict=True)]


def draw(
    found: LossCurve, title: str, y: Mapping[str, tuple[float, float]] | None = None
) -> canvas.Figure:
    """Draw two panels, the loss above its derivative; `y` are their limits if not its own."""
    styles = ("—", "– –")
    keys = [
        (f"{dash} {one.name}", canvas.INK) for dash, one in zip(styles, found.lines, strict=False)
    ]
    if found.right is not None:
        keys += [("| right", canvas.RIGHT), ("| wrong", canvas.WRONG)]
    figure = canvas.new_figure(title, keys)
    x = (float(found.grid[0]), float(found.grid[-1]))
    width, alpha = (1.3, 0.55) if len(found.x) > _FEW else (2.5, 1)
    groups = [(canvas.BLUE, np.ones(len(found.x), bool))]
    if found.right is not None:  # wrong examples are on top
        groups = [(canvas.RIGHT, found.right), (canvas.WRONG, ~found.right)]
    for part, bottom, labels in (
        ("losses", 0.54, ("", "loss L")),
        ("grads", 0.135, (found.across, "dL/dz")),
    ):
        curves, marks = [getattr(one, part) for one in found.lines], getattr(found, part)
        limits = found.limits(part) if y is None else y[part]
        axes = canvas.new_axes(figure, (0.155, bottom, 0.815, 0.31), x=x, y=limits, labels=labels)
        for curve, style in zip(curves, ("-", "--"), strict=False):
            axes.plot(found.grid, curve, style, color=canvas.INK, linewidth=1.2)
        for colour, chosen in groups:
            x_y = (found.x[chosen], marks[chosen])
            axes.plot(*x_y, "|", color=colour, ms=9, mew=width, alpha=alpha)
    return figure


def of_one_output(moment: Moment, z: Array, target: float, outputs: int) -> tuple[Array, Array]:
    """Compute L and dL/dz of one output's logits (M,), for outputs that do not share a loss."""
    logits = np.zeros((len(z), outputs))
    targets = np.zeros_like(logits)
    logits[:, 0], targets[:, 0] = z, target
    losses, grads = _judged(moment, logits, targets)
    if outputs > 1:
        # the others are at z = 0 with target 0, and their part is subtracted
        rest, _ = _judged(moment, np.zeros((1, outputs)), np.zeros((1, outputs)))
        losses = losses - rest * (outputs - 1) / outputs
    return losses, grads[:, 0]


def _outputs(moment: Moment, seen: Seen, grid: Array | None) -> LossCurve:
    """Collect curves against single logits, of target 1 first, then of target 0."""
    assert seen.labels is not None
    assert seen.right is not None
    count = seen.logits.shape[1]
    if count == 1:
        own, right = seen.logits[:, 0], seen.right
        ones, zeros = seen.labels == 1, seen.labels == 0
        logits = (own[ones], own[zeros])
        rights = np.concatenate([right[ones], right[zeros]])
    else:
        logits, rights = class_and_rival(seen), np.tile(seen.right, 2)
    grid = _grid(np.concatenate(logits)) if grid is None else grid
    lines, marks = [], []
    for target, z in zip((1, 0), logits, strict=True):
        curve = of_one_output(moment, grid, target, count)
        lines.append(LossLine(f"target {target}", *curve))
        marks.append(of_one_output(moment, z, target, count))
    losses, grads = (np.concatenate(parts) for parts in zip(*marks, strict=True))
    return LossCurve("logit z", grid, lines, np.concatenate(logits), losses, grads, rights)


def _margins(moment: Moment, seen: Seen, grid: Array | None) -> LossCurve:
    """Collect curves against the margin: the logit of the class less the largest other one."""
    own, rival = class_and_rival(seen)
    margins, count = own - rival, seen.logits.shape[1]
    grid = _grid(margins) if grid is None else grid
    logits = np.zeros((len(grid), count))
    logits[:, 0] = grid
    targets = np.zeros_like(logits)
    targets[:, 0] = 1
    level = _judged(moment, logits, targets)
    lines = [LossLine("all others level", level[0], level[1][:, 0])]
    if count > 2:
        logits[:, 2:] = np.minimum(grid, 0)[:, None] + _GONE
        alone = _judged(moment, logits, targets)
        lines.append(LossLine("one rival", alone[0], alone[1][:, 0]))
    slopes = np.take_along_axis(seen.logit_grads, seen.labels[:, None], 1)[:, 0]  # type: ignore[index]
    across = "margin: logit of the class − largest other"
    return LossCurve(across, grid, lines, margins, seen.losses, slopes, seen.right)


def _errors(moment: Moment, seen: Seen, grid: Array | None) -> LossCurve:
    """Collect the curve against the error y − t, on which alone a linear unit's loss depends."""
    errors = (seen.logits - seen.targets).ravel()
    grid = _grid(errors, least=0.0) if grid is None else grid
    count = seen.logits.shape[1]
    curve, marks = (of_one_output(moment, x, 0.0, count) for x in (grid, errors))
    return LossCurve("error y − t", grid, [LossLine("loss", *curve)], errors, *marks, None)


def class_and_rival(seen: Seen) -> tuple[Array, Array]:
    """Return logits of the examples' classes (N,) and the largest other ones (N,)."""
    assert seen.labels is not None
    rows = np.arange(len(seen.labels))
    others = seen.logits.copy()
    others[rows, seen.labels] = -np.inf
    return seen.logits[rows, seen.labels], others.max(1)


def _judged(moment: Moment, logits: Array, targets: Array) -> tuple[Array, Array]:
    import torch

    losses, grads = moment.judge(torch.from_numpy(logits), torch.from_numpy(targets))
    return losses.numpy(), grads.numpy()


def _grid(x: Array, least: float = _LEAST) -> Array:
    """Choose x over nearly all marks, at least from −least to least; outliers are left out."""
    low, high = np.quantile(x, [0.005, 0.995])
    low, high = canvas.padded(min(low, -least), max(high, least), 0.03)
    return np.linspace(low, high, _GRID)
