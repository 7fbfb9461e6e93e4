"""Mean output y by its target."""

import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues, Subject, mean_over
from mlr.probes.families.classes import are_levels, own_output


class Prediction(Probe):
    """Mean output y of the batch by its target.

    `prediction/target_1`: over the outputs whose target is 1, which is one output per example,
    that of its class; for a single output, over the examples of class 1, for ordered classes over
    the levels that an example reaches. `prediction/target_0`: over all other outputs. With several
    labels an example has any number of either, and the means are over outputs. For regression
    `prediction/mean`, over all examples and targets: of a head that predicts a density, of its
    means; of quantiles, of the middle one.

    Source: lecture sections 28 to 36; Nielsen, chapter 3, plots y of one neuron.
    """

    reads = frozenset({"predictions", "labels"})

    def __init__(self, subject: Subject, threshold: float) -> None:
        self.tags, self.classes = ("prediction/mean",), subject.classes
        if subject.judged:
            self.tags = ("prediction/target_1", "prediction/target_0")

    def measure(self, values: StepValues) -> Tensor:
        """Compute means over B (P, R, tags); NaN for a target that the batch does not have."""
        outputs = values.predictions
        assert outputs is not None
        if values.label_targets is not None:
            of_labels = (values.label_targets, 1 - values.label_targets)
            return torch.stack([mean_over_labels(outputs, there) for there in of_labels], dim=-1)
        if values.labels is None:
            if values.points is not None:
                outputs = values.points
            return outputs.mean((-2, -1)).unsqueeze(-1)
        sides = by_target(outputs, values.labels, self.classes)
        return torch.stack([mean_over(mean, there) for mean, there in sides], dim=-1)


def mean_over_labels(outputs: Tensor, chosen: Tensor) -> Tensor:
    """Mean over examples and outputs (…, B, K) of those whose weight `chosen` is 1; NaN for none.

    Examples that are not chosen must be finite, for 0·∞ is NaN.
    """
    return (outputs * chosen).sum((-2, -1)) / chosen.sum((-2, -1))


def by_target(outputs: Tensor, labels: Tensor, classes: int | None) -> list[tuple[Tensor, Tensor]]:
    """Split the outputs y (…, B, K) by target, given class indices (…, B), and average over K.

    Returns, for target 1 and for target 0, the mean of each example (…, B), and 1.0 if it has such
    an output, else 0.0 (…, B).
    """
    if are_levels(outputs, classes):
        numbers = torch.arange(outputs.shape[-1], dtype=labels.dtype, device=labels.device)
        reached = (labels[..., None] > numbers).to(outputs.dtype)
        sides = []
        for side in (reached, 1 - reached):
            count = side.sum(-1)
            sides.append(((outputs * side).sum(-1) / count.clamp(min=1), count.clamp(max=1)))
        return sides
    own = own_output(outputs, labels)
    if outputs.shape[-1] == 1:
        return [(own, labels), (own, 1 - labels)]
    # the sum minus the own output would cancel where that is near 1
    others = outputs.scatter(-1, labels.long()[..., None], 0).sum(-1) / (outputs.shape[-1] - 1)
    everyone = torch.ones_like(own)
    return [(own, everyone), (others, everyone)]
