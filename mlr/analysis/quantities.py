"""Recorded quantities by tag: how they are named, in which unit, and whether more is better."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from mlr.analysis.ranking import HIGHER_IS_BETTER, SCORES, is_higher_better

LOWER_IS_BETTER = (
    "loss/",
    "rmse/",
    "stuck/",
    "ece/",
    "ece_adaptive/",
    "brier/",
    "reliability/",
    "nll/",
    "nll_scaled/",
)
DIRECTED = (*HIGHER_IS_BETTER, *LOWER_IS_BETTER)
"""Quantities that are good or bad in themselves; no gradient or output is."""
SHARES = (*SCORES, "stuck/", "saturation/", "zero_grad/", "coverage_")
"""Quantities in percent, on an axis from 0 to 100 %."""
LOGARITHMIC = ("logit_grad/", "predicted_std/", "grad_norm/")
"""Quantities on a logarithmic axis; others only if they span more than two decades."""
LABELS = {
    "accuracy/test": "test accuracy",
    "loss/test": "test loss",
    "rmse/test": "test RMSE",
    "accuracy/val": "validation accuracy",
    "loss/val": "validation loss",
    "rmse/val": "validation RMSE",
    "accuracy/train": "training accuracy",
    **{
        f"{name}/{split}": f"{words} {label}"
        for split, words in (("test", "test"), ("val", "validation"), ("train", "training"))
        for name, label in (
            ("f1_micro", "F1 (micro)"),
            ("f1_macro", "F1 (macro)"),
            ("label_accuracy", "label accuracy"),
            ("exact_match", "exact match"),
        )
        if split != "train" or not name.startswith("f1")
    },
    "loss/train": "training loss",
    "predicted_std/test": "predicted std",
    "stuck/fraction": "stuck %",
    "ece/test": "test ECE",
    "ece_adaptive/test": "test ECE, adaptive",
    "brier/test": "test Brier",
    "nll/test": "test NLL",
    "nll_scaled/test": "test NLL at temperature T",
    "temperature/val": "temperature T",
    "coverage_50/test": "within 50 %",
    "coverage_80/test": "within 80 %",
    "coverage_95/test": "within 95 %",
}
OF_CALIBRATION = (
    *("ece/", "ece_adaptive/", "brier/", "reliability/", "resolution/", "uncertainty/"),
    *("nll/", "nll_scaled/", "temperature/", "coverage_"),
)
"""Beginnings of the tags of the calibration."""


class Quantity(NamedTuple):
    """A tag and its name in charts and tables."""

    tag: str
    label: str

    @property
    def heading(self) -> str:
        """Label with an arrow if the quantity has a good direction."""
        if is_higher_better(self.tag):
            return f"{self.label} ↑"
        return f"{self.label} ↓" if self.tag.startswith(LOWER_IS_BETTER) else self.label

    def as_object(self) -> dict[str, Any]:
        """Describe the quantity to the scripts of a page."""
        return {
            "tag": self.tag,
            "label": self.label,
            "share": is_share(self.tag),
            "log": self.tag.startswith(LOGARITHMIC),
            "of_loss": self.tag.startswith("loss/"),  # comparable within one loss only
            "more": is_higher_better(self.tag),
        }


def label(tag: str) -> str:
    """Name a final number for people; a tag without a name as it is."""
    return LABELS.get(tag, tag)


def named(*tags: str) -> list[Quantity]:
    """List final numbers by their usual names."""
    return [Quantity(tag, label(tag)) for tag in tags]


CURVES = (
    *named("accuracy/val", "accuracy/train"),
    *named("f1_micro/val", "f1_macro/val", "label_accuracy/val", "exact_match/val"),
    *named("label_accuracy/train", "exact_match/train", "loss/val", "loss/train"),
    Quantity("logit_grad/wrong", "‖dL/dz‖ where wrong"),
    Quantity("logit_grad/right", "‖dL/dz‖ where right"),
    Quantity("stuck/fraction", "stuck: wrong and ‖dL/dz‖ < 0.01"),
    Quantity("stuck/zero", "wrong and dL/dz exactly 0"),
    Quantity("saturation/fraction", "saturated outputs"),
    Quantity("predicted_std/val", "predicted std"),
    Quantity("grad_norm/total", "gradient norm"),
)
"""Quantities recorded during training."""
FINALS = (
    *named("accuracy/test", "f1_micro/test", "f1_macro/test", "label_accuracy/test"),
    *named("exact_match/test", "loss/test", "rmse/test", "accuracy/val", "accuracy/train"),
    Quantity("logit_grad/wrong", "‖dL/dz‖ where wrong"),
    Quantity("stuck/fraction", "stuck"),
    Quantity("saturation/fraction", "saturated outputs"),
    *named("predicted_std/test"),
    *named("ece/test", "ece_adaptive/test", "brier/test", "nll/test"),
    *named("temperature/val", "nll_scaled/test"),
    *named("coverage_50/test", "coverage_80/test", "coverage_95/test"),
)
"""Final numbers."""


def recorded(quantities: Iterable[Quantity], tags: Iterable[str]) -> list[Quantity]:
    """Select the quantities that are in `tags`."""
    known = set(tags)
    return [one for one in quantities if one.tag in known]


def is_share(tag: str) -> bool:
    """Return True for a quantity that is written in percent."""
    return tag.startswith(SHARES)
