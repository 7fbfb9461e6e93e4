"""Final diagnostics of training examples: which are wrong, which receive gradient, and where.

Looked at twice, before the first update and after the last. The numbers go into status.json,
for those that explain and report runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from mlr.probes.base import below, lengths
from mlr.probes.classes import own_output
from mlr.probes.confidence import confidence, levels_of
from mlr.probes.prediction import by_target
from mlr.training.anatomy_report import LOGIT_EDGES, data_report, numbers, report
from mlr.training.boundary import best_threshold
from mlr.training.evaluate import MOST_ROWS, MOST_ROWS_LANES_LAST
from mlr.training.examples import Chunk, Examples
from mlr.training.neighbours import same_class_as_nearest
from mlr.training.run_objectives import Targets
from mlr.training.step import Program

LOOKED_AT = 1024
"""Examples, of those the split is judged by, whose logits and quantiles are told."""
MOST_CLASSES = 100
"""Of more, classes are not told apart."""
LITTLE = 0.7
"""Of the errors of a constant prediction."""
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)

Sums = dict[str, Tensor]


class Look:
    """One chunk of examples under all objectives, (L, B, …)."""

    def __init__(self, program: Program, chunk: Chunk) -> None:
        objectives = program.objectives
        self.program, self.threshold = program, program.threshold
        self.logits = program.network.logits(chunk.inputs)
        # spread over lanes, targets have no order in memory, and operations with them crawl
        values = chunk.targets.values
        like = self.logits[..., : values.shape[-1]]
        self.targets = Targets(torch.empty_like(like).copy_(values))
        self.losses = objectives.losses(self.logits, self.targets)
        self.grads = objectives.gradient(self.logits, self.targets)
        self.sizes = lengths(self.grads)
        self.zero = torch.eq(self.sizes, 0, out=torch.empty_like(self.sizes))

    @cached_property
    def labels(self) -> Tensor:
        """The number of each example's class (L, B)."""
        return self.targets.labels.expand_as(self.sizes)

    @cached_property
    def right(self) -> Tensor:
        """1.0 where predicted rightly (L, B)."""
        return self.program.objectives.right(self.logits, self.targets)

    def sums(self) -> Sums:
        """Over the examples (L,), of what every run has."""
        slopes = self.program.objectives.slopes(self.logits)
        found = {
            "loss": self.losses.sum(1),
            "zero": self.zero.sum(1),
            "saturated": below(slopes.abs(), self.threshold).mean(-1).sum(1),
        }
        if self.program.spread:
            spreads = self.program.objectives.spreads(self.logits)
            found["predicted_std"] = spreads.mean(-1).sum(1)
        if self.program.classification:
            wrong = 1 - self.right
            found |= {
                "right": self.right.sum(1),
                "stuck": (below(self.sizes, self.threshold) * wrong).sum(1),
                "stuck_zero": (self.zero * wrong).sum(1),
                "wrong_size": (self.sizes * wrong).sum(1),
                "right_size": (self.sizes * self.right).sum(1),
            }
        return found

    def sums_by_kind(self) -> Sums:
        """Further sums of classifications: (L,), (L, 3) by confidence, (L, classes)."""
        wrong, squares = 1 - self.right, self.sizes.square()
        sure = confidence(self.program.objectives.predictions(self.logits))
        levels = torch.stack(levels_of(sure), dim=1)
        own = own_output(self.grads, self.targets.labels)
        # which way an example moves the logit of its class: down is past the target
        down = own * (2 * self.targets.labels - 1) if self.grads.shape[-1] == 1 else own
        past = self.right * (down > 0)
        found = {
            "squares": squares.sum(1),
            "past_squares": (squares * past).sum(1),
            "surprise": (levels[:, -1] * wrong).sum(1),
        }
        for side, chosen in (("wrong", wrong), ("right", self.right)):
            there = levels * chosen.unsqueeze(1)
            found[f"count_{side}"] = there.sum(2)
            found[f"grad_{side}"] = (there * self.sizes.unsqueeze(1)).sum(2)
        return found | self._sums_by_class(own.abs())

    def sums_of_outputs(self) -> Sums:
        """Outputs, and how many examples have such (L,), as the probe of predictions has them."""
        outputs = self.program.objectives.predictions(self.logits)
        if not self.program.classification:
            means = outputs[..., : self.targets.values.shape[-1]].mean(-1)
            return {"output_mean": means.sum(1), "outputs_mean": torch.ones_like(means).sum(1)}
        found = {}
        for target, (means, there) in zip((1, 0), by_target(outputs, self.labels), strict=True):
            found[f"output_target_{target}"] = (means * there).sum(1)
            found[f"outputs_target_{target}"] = there.sum(1)
        return found

    def _sums_by_class(self, own: Tensor) -> Sums:
        classes = self.program.subject.classes
        if classes is None or classes > MOST_CLASSES:
            return {}
        parts: dict[str, list[Tensor]] = {name: [] for name in _OF_CLASSES}
        for k in range(classes):
            member = (self.targets.labels == k).to(own.dtype)
            wrong = member * (1 - self.right)
            columns = (member, member * self.right, member * own, wrong * own)
            for name, column in zip(_OF_CLASSES, columns, strict=True):
                parts[name].append(column.sum(1))
        return {name: torch.stack(columns, dim=1) for name, columns in parts.items()}


_OF_CLASSES = ("class_count", "class_right", "class_grad", "class_grad_wrong")


class Anatomy:
    """Looks at the training examples of every run.

    Args:
        program: whose runs are looked at.
        examples: their training split, of which at most 10,000 examples are.
    """

    def __init__(self, program: Program, examples: Examples) -> None:
        self.program = program
        most = MOST_ROWS_LANES_LAST if program.network.lanes_last else MOST_ROWS
        chosen = examples.thinned()
        self.count = examples.count if chosen is None else len(chosen)
        size = min(most, LOOKED_AT)
        self.chunks = examples.chunks(size, chosen)
        self.outputs = "prediction" in program.runs[0].probes.families
        self._closely = LOOKED_AT // size
        """chunks that are looked at more closely"""
        self.first: dict[str, Tensor] = {}
        self.sums: Sums = {}
        self.closer: Sums = {}
        self.kept: dict[str, Tensor] = {}

    def begin(self) -> None:
        """Look at some examples before the first update."""
        chunks = self.chunks[: self._closely]
        looks = [Look(self.program, chunk).sums() for chunk in chunks]
        count = sum(chunk.inputs.shape[1] for chunk in chunks)
        self.first = {name: value / count for name, value in _added(looks).items()}

    def end(self) -> dict[str, Tensor]:
        """Look at all of them; the means (R,) by tag."""
        sums: list[Sums] = []
        for number, chunk in enumerate(self.chunks):
            look = Look(self.program, chunk)
            sums.append(look.sums())
            if self.program.classification:
                sums[-1] |= look.sums_by_kind()
            if self.outputs:
                sums[-1] |= look.sums_of_outputs()
            if number < self._closely:
                self._look_closer(look)
        self.sums = _added(sums)
        return {tag: self.program.of_runs(own) for tag, own in self._means().items()}

    def _means(self) -> dict[str, Tensor]:
        sums, count = self.sums, self.count
        means = {"loss/train": sums["loss"] / count}
        if self.program.spread:
            means["predicted_std/train"] = sums["predicted_std"] / count
        if self.program.classification:
            means |= {
                "accuracy/train": sums["right"] / count,
                "logit_grad/wrong": sums["wrong_size"] / (count - sums["right"]),
                "logit_grad/right": sums["right_size"] / sums["right"],
                "stuck/fraction": sums["stuck"] / count,
                "stuck/zero": sums["stuck_zero"] / count,
            }
        for name in [name for name in sums if name.startswith("output_")]:
            kind = name.removeprefix("output_")
            means[f"prediction/{kind}"] = sums[name] / sums[f"outputs_{kind}"]
        means["saturation/fraction"] = sums["saturated"] / count
        means["zero_grad/fraction"] = sums["zero"] / count
        return means

    def _look_closer(self, look: Look) -> None:
        """Count the logits of hard targets by bin; keep sizes for quantiles, single logits too."""
        kept = {"sizes": look.sizes}
        added = {}
        if self.program.classification:
            margins = self.program.objectives.margins(look.logits)
            added = _binned(margins, look.targets.values, look.grads)
        if self.program.classification and look.logits.shape[-1] == 1:
            kept["single"] = look.logits[..., 0]
            kept["labels"] = look.labels
        for name, own in added.items():
            before = self.closer.get(name)
            self.closer[name] = own if before is None else before + own
        for name, own in kept.items():
            before = self.kept.get(name)
            self.kept[name] = own if before is None else torch.cat((before, own), dim=1)

    def reports(self) -> list[dict[str, Any]]:
        """What was seen of each run, as JSON holds it: shares, means, and None for nothing."""
        program = self.program
        sizes = self.kept["sizes"].sort(1).values
        if "single" in self.kept:
            at, wrong = best_threshold(self.kept["single"], self.kept["labels"])
            self.closer |= {"boundary_at": at, "boundary_wrong": wrong}
        self.kept = {}
        places = [round(quantile * (sizes.shape[1] - 1)) for quantile in QUANTILES]
        tensors = {"first": self.first, "sums": self.sums, "closer": self.closer}
        known = {
            kind: {name: program.of_runs(value).cpu().numpy() for name, value in own.items()}
            for kind, own in tensors.items()
        }
        quantiles = program.of_runs(sizes[:, places]).cpu().numpy()
        data: dict[int, dict[str, Any]] = {}
        nearest: dict[int, float | None] = {}
        found = []
        for run, experiment in enumerate(program.runs):
            part = {kind: {n: v[run] for n, v in kept.items()} for kind, kept in known.items()}
            own = report(part["first"], part["sums"], part["closer"], self.count)
            if id(experiment.data) not in data:
                data[id(experiment.data)] = data_report(experiment.data.train.features)
            own["gradient"] = numbers(quantiles[run])
            if experiment.data.labels and "classes" in own:
                own["classes"]["labels"] = list(experiment.data.labels)
            about, train = data[id(experiment.data)], experiment.data.train
            if _learned_little(own):
                if id(experiment.data) not in nearest:
                    share = same_class_as_nearest(train.features, train.targets)
                    nearest[id(experiment.data)] = numbers(share)
                about = about | {"neighbours": nearest[id(experiment.data)]}
            found.append(own | {"data": about})
        return found


def _learned_little(own: dict[str, Any]) -> bool:
    """True if more than `LITTLE` of the errors are left that always the same answer makes."""
    counts = (own.get("classes") or {}).get("count")
    if not counts:
        return False
    return bool(own["wrong"] > LITTLE * (1 - max(counts) / sum(counts)) > 0)


def _added(parts: Sequence[Sums]) -> Sums:
    return {name: sum((part[name] for part in parts[1:]), parts[0][name]) for name in parts[0]}


def _binned(logits: Tensor, targets: Tensor, grads: Tensor) -> Sums:
    """How many logits (L, B, K) fall into each bin, and their Σ dL/dz, by target (L, 2, bins)."""
    lanes, bins = len(logits), len(LOGIT_EDGES) + 1
    place = (logits - LOGIT_EDGES[0]).floor().nan_to_num(0).clamp(-1, bins - 2).long() + 1
    place += (targets > 0.5).long() * bins
    place += torch.arange(lanes, device=logits.device).view(-1, 1, 1) * (2 * bins)
    place = place.reshape(-1)
    counts = torch.bincount(place, minlength=lanes * 2 * bins)
    pulls = torch.bincount(place, grads.reshape(-1), minlength=lanes * 2 * bins)
    return {"bins": counts.view(lanes, 2, bins), "bin_grads": pulls.view(lanes, 2, bins)}
