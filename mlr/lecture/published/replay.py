"""Nielsen's runs again: those that see the same batches as one wide network, in float64.

The hidden units of all of them stand side by side, and each output listens to the units of its
own run only: one product over the pixels serves them all. Weight decay shrinks the hidden weights
by a factor that is kept apart from them, so that a step touches each weight once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from threading import Event

import torch
from torch import Tensor

from mlr.lecture.published.curves import BATCH, OUTPUTS, Curve, initial, orders
from mlr.lecture.published.files import Images
from mlr.objectives import Objective
from mlr.training.threads import threads

FORMULA = Objective("sigmoid", "bce", outputs=OUTPUTS).kernel
"""Called itself, as in a training step: no batch is checked, errors are of a few ulp."""
GREYS = 256
Series = dict[str, list[float]]
Tell = Callable[[int], None]
"""Called with the updates of single runs just done, from several threads."""


def replay(
    curves: Sequence[Curve], splits: Mapping[str, Images], epochs: int | None, tell: Tell
) -> dict[Curve, Series]:
    """Train all curves' networks again, and measure after each epoch what he measured.

    Args:
        curves: the runs.
        splits: MNIST as he divided it, 50,000 + 10,000 + 10,000.
        epochs: stop after so many; None: all that he trained.
        tell: told of progress.

    Returns:
        By curve, series by name with a number an epoch.
    """

    def alike(curve: Curve) -> tuple[int, int, int]:
        return curve.images, curve.earlier, curve.epochs

    # the longest first, so that no core waits for it at the end
    groups = [list(group) for _, group in groupby(sorted(curves, key=alike, reverse=True), alike)]
    data = {name: Scaled.of(split) for name, split in splits.items()}
    with threads(1) as cores, ThreadPoolExecutor(cores) as pool:
        given_up = Event()
        jobs = [pool.submit(_train, group, data, epochs, tell, given_up) for group in groups]
        try:
            return {curve: series for job in jobs for curve, series in job.result().items()}
        finally:  # interrupted, or one has failed: the others are not waited for
            given_up.set()
            pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class Scaled:
    """Pixels (N, 784) in [0, 1), one-hot targets (N, 10), both float64, and labels (N,)."""

    pixels: Tensor
    targets: Tensor
    labels: Tensor

    @classmethod
    def of(cls, images: Images) -> Scaled:
        """As his loader gives them: 255 is not quite 1."""
        return cls(images.pixels.double() / GREYS, images.one_hot, images.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> Scaled:
        """The first `count` of them."""
        return Scaled(self.pixels[:count], self.targets[:count], self.labels[:count])


@torch.inference_mode()
def _train(
    curves: Sequence[Curve],
    data: Mapping[str, Scaled],
    epochs: int | None,
    tell: Tell,
    given_up: Event,
) -> dict[Curve, Series]:
    """Runs of equal images and order, from their first to their last epoch."""
    first = curves[0]
    network, seen = Wide(curves), data["train"].first(first.images)
    series: dict[Curve, Series] = {curve: {name: [] for name in curve.stored} for curve in curves}
    for order in orders(first.images, first.earlier, first.passes(epochs)):
        if given_up.is_set():
            break
        for batch in torch.tensor(order).split(BATCH):
            network.update(seen.pixels[batch], seen.targets[batch])
        tell(len(curves) * len(order) // BATCH)
        for run, curve in enumerate(curves):
            for part, images in (("evaluation", data[curve.evaluation]), ("training", seen)):
                names = (f"{part} cost", f"{part} count")
                if set(names) & set(curve.stored):
                    for name, value in zip(names, network.judge(run, images), strict=True):
                        if name in curve.stored:
                            series[curve][name].append(value)
    return series


class Wide:
    """R networks side by side. Axes: B images, H hidden units of all runs, 10R outputs."""

    def __init__(self, curves: Sequence[Curve]) -> None:
        self.curves = curves
        parts = [[torch.from_numpy(part) for part in initial(curve)] for curve in curves]
        hidden_biases, output_biases, hidden_weights, output_weights = zip(*parts, strict=True)
        self.hidden_bias = torch.cat(hidden_biases)
        self.output_bias = torch.cat(output_biases)
        # the hidden weights are shrink · stored
        self.stored = torch.cat(hidden_weights)
        self.shrink = torch.ones_like(self.hidden_bias)
        self.output_weight = torch.block_diag(*(weight.T for weight in output_weights))
        self.wired = torch.block_diag(*(torch.ones_like(weight.T) for weight in output_weights))
        self.keep = _spread([1 - c.rate * c.decay / c.images for c in curves], hidden_biases)
        self.rate = _spread([curve.rate / BATCH for curve in curves], output_biases)
        bounds = pairwise(accumulate((curve.hidden for curve in curves), initial=0))
        self.units = [slice(*pair) for pair in bounds]

    def update(self, pixels: Tensor, targets: Tensor) -> None:
        """One step of every run, on pixels (B, 784) and targets (B, 10)."""
        hidden = torch.addcmul(self.hidden_bias, pixels @ self.stored.T, self.shrink).sigmoid_()
        logits = torch.addmm(self.output_bias, hidden, self.output_weight)
        logits = logits.unflatten(1, (-1, OUTPUTS))
        errors = FORMULA.gradient(logits, targets.unsqueeze(1).expand_as(logits))
        errors = errors.flatten(1).mul_(self.rate)
        back = (errors @ self.output_weight.T).mul_(hidden).mul_(1 - hidden)
        self.output_weight.mul_(self.keep.unsqueeze(1))
        self.output_weight.addcmul_(hidden.T @ errors, self.wired, value=-1)
        self.output_bias -= errors.sum(0)
        self.hidden_bias -= back.sum(0)
        self.shrink *= self.keep
        self.stored.addmm_((back / self.shrink).T, pixels, alpha=-1)

    def judge(self, run: int, images: Scaled) -> tuple[float, int]:
        """Cost of one run, weight decay included, and how many of the images it gets right."""
        curve = self.curves[run]
        units, outputs = self.units[run], slice(run * OUTPUTS, (run + 1) * OUTPUTS)
        weight = self.stored[units] * self.shrink[units].unsqueeze(1)
        out = self.output_weight[units, outputs]
        hidden = torch.addmm(self.hidden_bias[units], images.pixels, weight.T).sigmoid_()
        logits = torch.addmm(self.output_bias[outputs], hidden, out)
        squares = weight.square().sum() + out.square().sum()
        cost = FORMULA.losses(logits, images.targets).mean()
        cost += curve.decay / (2 * len(images)) * squares
        return float(cost), int((logits.argmax(1) == images.labels).sum())


def _spread(values: Sequence[float], parts: Sequence[Tensor]) -> Tensor:
    """One number a run, repeated for each entry of the run's part."""
    return torch.cat([torch.full_like(p, v) for v, p in zip(values, parts, strict=True)])
