"""Final diagnostics of training examples: errors, gradients and logits, by class and confidence.

They are computed before the first update and after the last. The numbers go into status.json as
`anatomy`, for the commands that explain and report runs.
"""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from mlr.probes.base import below
from mlr.probes.families.classes import are_levels, own_output
from mlr.probes.families.confidence import confidence, levels_of
from mlr.probes.families.prediction import by_target
from mlr.training.diagnostics_report import (
    LOGIT_EDGES,
    best_threshold,
    data_report,
    numbers,
    reports,
    same_class_as_nearest,
    sorted_rows,
)
from mlr.training.evaluation import EvaluatedBatch, Evaluation, Sums, added, sums_of
from mlr.training.examples import Examples
from mlr.training.step import Program

MOST_LOGITS = 1024
"""Examples, of those the split is judged by, whose logits and quantiles are reported."""
MOST_CLASSES = 100
"""Largest number of classes that are reported separately."""
LITTLE = 0.7
"""Share of the errors of a constant prediction above which a run has learned little."""
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_OF_CLASSES = ("class_count", "class_right", "class_grad", "class_grad_wrong")


def sums_of_sizes(program: Program, batch: EvaluatedBatch) -> Sums:
    """Sum over the examples (L,) what every run has."""
    sizes, slopes = batch.gradient_sizes, batch.objectives.slopes(batch.logits)
    zero = torch.eq(sizes, 0, out=torch.empty_like(sizes))
    found = sums_of(program, batch) | {
        "zero": zero.sum(1),
        "saturated": below(slopes.abs(), program.threshold).mean(-1).sum(1),
    }
    if not program.subject.judged and batch.targets.shape[-1] > 1:
        residuals = program.objectives.points(batch.predictions, batch.targets) - batch.targets
        if program.units is not None:
            residuals = program.units.differences(residuals)
        found["target_squares"] = residuals.square().sum(1)
    if program.subject.judged:
        wrong = 1 - batch.right
        found |= {
            "stuck": (below(sizes, program.threshold) * wrong).sum(1),
            "stuck_zero": (zero * wrong).sum(1),
            "wrong_size": (sizes * wrong).sum(1),
            "right_size": (sizes * batch.right).sum(1),
        }
    return found


def sums_by_kind(program: Program, batch: EvaluatedBatch) -> Sums:
    """Sum further numbers of classifications: (L,), (L, 3) by confidence, (L, classes)."""
    sizes, right = batch.gradient_sizes, batch.right
    wrong, squares = 1 - right, sizes.square()
    levels = levels_of(confidence(batch.predictions, program.subject.classes))
    own = own_output(batch.logit_grads, batch.labels)
    # in which direction an example moves the logit of its class: down is past the target
    signs = 2 * batch.labels - 1 if batch.logits.shape[-1] == 1 else 1
    past = right * (own * signs > 0)
    if are_levels(batch.logits, program.subject.classes):  # a class is no one level
        past = torch.zeros_like(right)
    found = {
        "squares": squares.sum(1),
        "past_squares": (squares * past).sum(1),
        "surprise": (levels[-1] * wrong).sum(1),
    }
    for side, chosen in (("wrong", wrong), ("right", right)):
        # one by one: stacked they would lie in another order of memory than the sizes
        there = [level * chosen for level in levels]
        found[f"count_{side}"] = torch.stack([one.sum(1) for one in there], dim=1)
        found[f"grad_{side}"] = torch.stack([one.mul_(sizes).sum(1) for one in there], dim=1)
    return found | _sums_by_class(program.subject.classes, batch, own.abs())


def _sums_by_class(classes: int | None, batch: EvaluatedBatch, own: Tensor) -> Sums:
    if classes is None or classes > MOST_CLASSES:
        return {}
    rows = []
    for k in range(classes):
        member = torch.eq(batch.labels, k, out=torch.empty_like(own))
        right, pull = member * batch.right, member * own
        columns = (member, right, pull, pull - right * own)
        rows.append(torch.stack([column.sum(1) for column in columns]))
    return dict(zip(_OF_CLASSES, torch.stack(rows, dim=2), strict=True))


def sums_of_outputs(program: Program, batch: EvaluatedBatch) -> Sums:
    """Sum outputs by target, and count examples with such outputs (L,), as the probe does."""
    outputs = batch.predictions
    if program.multilabel:
        sides = {"1": batch.targets, "0": 1 - batch.targets}
        sums = {
            f"output_target_{side}": (outputs * there).sum((1, 2)) for side, there in sides.items()
        }
        counts = {f"outputs_target_{side}": there.sum((1, 2)) for side, there in sides.items()}
        return sums | counts
    if not program.classification:
        points = program.objectives.points(outputs, batch.targets)
        if program.units is not None:
            points = program.units.values(points)
        means = points.mean(-1)
        return {"output_mean": means.sum(1), "outputs_mean": torch.ones_like(means).sum(1)}
    found = {}
    for target, (means, there) in zip(
        (1, 0), by_target(outputs, batch.labels, program.subject.classes), strict=True
    ):
        found[f"output_target_{target}"] = (means * there).sum(1)
        found[f"outputs_target_{target}"] = there.sum(1)
    return found


class FinalDiagnostics:
    """Diagnostics of the training examples of every run: of `judged_examples` of them."""

    def __init__(self, program: Program, examples: Examples) -> None:
        self.program = program
        self.evaluation = Evaluation(examples, program, MOST_LOGITS, examples.thinned())
        self.count = self.evaluation.count
        self.outputs = "prediction" in program.runs[0].probes.families
        self._detailed = MOST_LOGITS // self.evaluation.size
        """number of batches whose logits are reported"""
        self.first: Sums = {}
        self.sums: Sums = {}
        self.details: Sums = {}

    def begin(self) -> None:
        """Evaluate some examples before the first update."""
        batches = list(islice(self.evaluation.batches(), self._detailed))
        count = sum(batch.logits.shape[1] for batch in batches)
        sums = added([sums_of_sizes(self.program, batch) for batch in batches])
        self.first = {name: value / count for name, value in sums.items()}

    def end(self) -> Sums:
        """Evaluate all examples; returns the means (R,) by tag."""
        sums: list[Sums] = []
        detailed: list[EvaluatedBatch] = []
        for batch in self.evaluation.batches():
            sums.append(sums_of_sizes(self.program, batch))
            if self.program.classification:
                sums[-1] |= sums_by_kind(self.program, batch)
            if self.outputs:
                sums[-1] |= sums_of_outputs(self.program, batch)
            if len(detailed) < self._detailed:
                detailed.append(batch)
        self.sums, self.details = added(sums), self._details(detailed)
        return {tag: self.program.of_runs(own) for tag, own in self._means().items()}

    def _means(self) -> dict[str, Tensor]:
        sums, count = self.sums, self.count
        of_split = ("loss", "predicted_std", "accuracy", "label_accuracy", "exact_match")
        means = {f"{name}/train": sums[name] / count for name in of_split if name in sums}
        if self.program.subject.judged:
            right = sums["exact_match" if self.program.multilabel else "accuracy"]
            means |= {
                "logit_grad/wrong": sums["wrong_size"] / (count - right),
                "logit_grad/right": sums["right_size"] / right,
                "stuck/fraction": sums["stuck"] / count,
                "stuck/zero": sums["stuck_zero"] / count,
            }
        for name in [name for name in sums if name.startswith("output_")]:
            kind = name.removeprefix("output_")
            means[f"prediction/{kind}"] = sums[name] / sums[f"outputs_{kind}"]
        means["saturation/fraction"] = sums["saturated"] / count
        means["zero_grad/fraction"] = sums["zero"] / count
        return means

    def _details(self, batches: list[EvaluatedBatch]) -> Sums:
        """Return quantiles of the sizes, and of classifications logits by bin and a threshold."""
        sizes = torch.cat([batch.gradient_sizes for batch in batches], dim=1)
        places = [round(quantile * (sizes.shape[1] - 1)) for quantile in QUANTILES]
        found = {"quantiles": sorted_rows(sizes)[:, places]}
        if self.program.classification:
            logits = torch.cat([batch.logits for batch in batches], dim=1)
            targets = torch.cat([batch.targets for batch in batches], dim=1)
            grads = torch.cat([batch.logit_grads for batch in batches], dim=1)
            found |= _binned(self.program.objectives.margins(logits), targets, grads)
            if logits.shape[-1] == 1:
                at, wrong = best_threshold(logits[..., 0], targets[..., 0])
                found |= {"boundary_at": at, "boundary_wrong": wrong}
        return found

    def reports(self) -> list[dict[str, Any]]:
        """Report each run as JSON holds it: shares, means, and None for nothing."""
        first, sums, details = (
            {name: self.program.of_runs(value).cpu().numpy() for name, value in own.items()}
            for own in (self.first, self.sums, self.details)
        )
        splits = {id(one.data): one.data.train for one in self.program.runs}
        described = {key: data_report(split.features) for key, split in splits.items()}
        nearest = cache(
            lambda key: same_class_as_nearest(splits[key].features, splits[key].targets)
        )
        found = reports(first, sums, details, self.count)
        for own, experiment in zip(found, self.program.runs, strict=True):
            scaling = experiment.data.target_scaling
            if scaling is not None:
                own.setdefault("targets", {}).update(
                    offset=numbers(scaling.offset), divisor=numbers(scaling.divisor)
                )
            for group in ("classes", "targets"):
                if experiment.data.labels and group in own:
                    own[group]["labels"] = list(experiment.data.labels)
            key = id(experiment.data)
            own["data"] = dict(described[key])
            if _learned_little(own):
                own["data"]["neighbours"] = numbers(nearest(key))
        return found


def _learned_little(own: dict[str, Any]) -> bool:
    """Tell if more than `LITTLE` of the errors of a constant prediction are left."""
    counts = (own.get("classes") or {}).get("count")
    if not counts:
        return False
    return bool(own["wrong"] > LITTLE * (1 - max(counts) / sum(counts)) > 0)


def _binned(logits: Tensor, targets: Tensor, grads: Tensor) -> Sums:
    """Count logits (L, B, K) by bin, and sum their dL/dz, by target (L, 2, bins)."""
    lanes, bins = len(logits), len(LOGIT_EDGES) + 1
    place = (logits - LOGIT_EDGES[0]).floor().nan_to_num(0).clamp(-1, bins - 2).long() + 1
    place += (targets > 0.5).long() * bins
    place += torch.arange(lanes, device=logits.device).view(-1, 1, 1) * (2 * bins)
    place = place.reshape(-1)
    counts = torch.bincount(place, minlength=lanes * 2 * bins)
    pulls = torch.bincount(place, grads.reshape(-1), minlength=lanes * 2 * bins)
    return {"bins": counts.view(lanes, 2, bins), "bin_grads": pulls.view(lanes, 2, bins)}
