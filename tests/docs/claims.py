"""Claims of README and the pages about experiments, and the numbers of their runs."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "mlr" / "docs" / "experiments.md").read_text(encoding="utf-8")
PARTS = (ROOT / "mlr" / "docs" / "parts" / "heads.md").read_text(encoding="utf-8")


class Range(NamedTuple):
    """Lowest and highest value of a final number."""

    low: float
    high: float
    tag: str = "accuracy/test"


class Claim(NamedTuple):
    """Phrases of pages, and the ranges of every run by words of its name that they stand for."""

    phrases: tuple[tuple[str, str], ...]
    ranges: Mapping[str, Range]


NOTHING, ALL = Range(0, 0), Range(1, 1)
CLAIMS = {
    "saturated": Claim(
        (
            (PAGE, "2 to 15 % with `se`, 94 to 97 % with `bce`"),
            (PARTS, "squared error finds 2 to 15 % of the digits, cross-entropy 94 to 97 %"),
        ),
        {"+se": Range(0.02, 0.15), "+bce": Range(0.94, 0.97)},
    ),
    "clipped": Claim(
        (
            (README, "outside never moves; the `matching` loss"),
            (PAGE, "starts outside never moves"),
        ),
        {"+se": NOTHING, "+bce": NOTHING, "+matching": ALL},
    ),
    "outliers": Claim(
        (
            (README, "logistic regression gets all right"),
            (PAGE, "65 to 90 %, by seed; logistic regression keeps 100 %"),
            (PARTS, "it classifies 65 to 90 % of the examples rightly"),
        ),
        {"linear+se": Range(0.65, 0.9), "sigmoid+bce": ALL},
    ),
    "xor": Claim(
        (
            (README, "stays at chance with loss ln 2; one hidden layer solves it"),
            (PAGE, "stays at chance, with loss ln 2 = 0.693; one hidden layer solves it"),
        ),
        {
            "model=linear": Range(0.45, 0.55),
            "model=linear ": Range(0.69, 0.70, "loss/train"),
            "model=mlp": ALL,
        },
    ),
    "line": Claim(
        (
            (README, "`se` settles at half the variance of the noise; a Gaussian head also learns"),
            (PAGE, "settles at half the variance of the noise, 0.125"),
        ),
        {
            "linear+se": Range(0.10, 0.15, "loss/test"),  # ±2 σ of a mean over 200 examples
            "gaussian+gaussian_nll": Range(0.45, 0.55, "predicted_std/test"),
        },
    ),
    "sparsemax": Claim(
        (
            (README, "`ce`: 9 to 30 % of the digits are right; 92 to 99 % with `matching`"),
            (PAGE, "`ce`: 9 to 30 % of the digits are right; 92 to 99 % with `matching`"),
            (PARTS, "finds 9 to 30 % of the digits with them, and 92 to 99 % with the matching"),
        ),
        {"+se": Range(0.09, 0.30), "+ce": Range(0.09, 0.30), "+matching": Range(0.92, 0.99)},
    ),
}
"""By experiment; each number for seeds 0 to 4."""


def runs_of(folder: Path) -> list[dict[str, str]]:
    """Rows of the only runs.csv below a folder, of runs that ended."""
    (table,) = folder.rglob("runs.csv")
    with table.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["status"] == "done"]


def check(experiment: str, folder: Path, printed: str) -> None:
    """Assert that the pages say of an experiment what its sweep in a folder shows."""
    if experiment == "neuron":
        check_neuron(printed)
    elif experiment in CLAIMS:
        claim = CLAIMS[experiment]
        for text, phrase in claim.phrases:
            assert phrase in text, phrase
        runs = runs_of(folder)
        for words, (low, high, tag) in claim.ranges.items():
            found = [round(float(run[tag]), 4) for run in runs if words.strip() in run["run"]]
            assert found, words
            assert all(low <= value <= high for value in found), (words, found)


def check_neuron(printed: str) -> None:
    """Outputs of the neuron that the command prints, rounded as the pages round them."""
    outputs = {}
    for loss in ("se", "bce"):
        line = rf"sigmoid\+{loss}: .* target 0, (\S+) at the start, (\S+) after 50 updates"
        (found,) = re.findall(line, printed)
        outputs[loss] = [float(value) for value in found]
    assert all(abs(start - 0.982) < 5e-5 for start, _ in outputs.values())
    still, moved = (f"{after:.3f}" for _, after in outputs.values())
    for text in (README, PAGE):
        assert "output 0.98: after 50 updates" in text
        assert f"is still {still} with `se`, but {moved} with `bce`" in text
