"""Reliability diagrams of a report: bars, counts and numbers, of runs written by hand."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

from mlr.analysis.report import calibration, content, page
from mlr.records.reading import Recorded
from tests.analysis.report.making import config, metrics
from tests.records.written import write_run

NAMES = ("count", "right", "confidence")
BINS = ({0: 4, 14: 4}, {0: 5, 13: 2, 14: 6})
"""Examples by bin of two runs; of each bin half are right, and the confidence is its middle."""


def table(counts: dict[int, int]) -> dict[str, list]:
    """Bins as a run records them: shares of an empty one are null."""
    full = [counts.get(place, 0) for place in range(15)]
    return {
        "count": full,
        "right": [0.5 if one else None for one in full],
        "confidence": [(place + 0.5) / 15 if one else None for place, one in enumerate(full)],
    }


def sweep(folder: Path) -> Path:
    folder.mkdir()
    for seed, counts in enumerate(BINS):
        numbers = {"ece/test": 0.1 + 0.1 * seed, "temperature/val": 2.0, "nll/test": 0.25}
        write_run(
            folder / f"seed={seed}",
            "softmax+ce",
            seed,
            ["head=softmax", "loss=ce", f"seed={seed}"],
            metrics=metrics(0.5) | numbers,
            config=config("softmax", "ce", seed=seed),
            calibration={"test": {"bins": table(counts)}},
        )
    return folder


def test_bins_of_all_runs_are_added_up():
    right = ([1.0, None], [0.25, 0.5])
    runs = [
        Recorded(Path("a"), {"calibration": {"test": {"bins": dict(zip(NAMES, one, strict=True))}}})
        for one in (([1, 0], right[0], [0.4, None]), ([4, 2], right[1], [0.2, 0.9]))
    ]
    first, second = calibration.pooled([*runs, Recorded(Path("b"), {})])
    assert first.examples == 5
    assert Fraction(first.right).limit_denominator(100) == Fraction(1 + 1, 5)
    assert Fraction(first.confidence).limit_denominator(100) == Fraction(4 + 8, 50)
    assert second == (2, 0.5, 0.9)
    assert calibration.pooled([Recorded(Path("b"), {})]) == []


def test_a_diagram_has_a_bar_for_each_bin_and_pale_ones_for_few_examples(tmp_path):
    html = page.html(content.read(sweep(tmp_path / "sweep")), ())
    (figure,) = re.findall(r'id="calibration".*?</section>', html, re.DOTALL)
    assert "Are the probabilities calibrated?" in figure
    assert "fewer than 10 examples" in figure
    bars = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" (.*?)><title>(.*?)</title>', figure)
    # 9, 2 and 10 examples of the two runs, in the bins 0, 13 and 14 of a square of 200
    assert [title for *_, title in bars] == [
        "9 examples: 50.0% right, mean confidence 3.3%",
        "2 examples: 50.0% right, mean confidence 90.0%",
        "10 examples: 50.0% right, mean confidence 96.7%",
    ]
    assert ["opacity" in rest for *_, rest, _ in bars] == [True, True, False]
    left = [float(x) - float(bars[0][0]) for x, *_ in bars]
    assert [round(one * 15 / 200) for one in left] == [0, 13, 14]
    assert {y for _, y, *_ in bars} == {"106.0"}  # half of the square is above
    (text,) = re.findall(r'<p class="small">(ECE.*?)</p>', figure)
    assert text.replace("\N{NO-BREAK SPACE}", " ") == "ECE 0.15, NLL 0.25, T 2"


def test_one_long_row_of_pairs_is_broken_and_a_matrix_is_not():
    assert [page._columns(losses, losses) for losses in (1, 4, 5, 7, 8, 9)] == [1, 4, 3, 4, 4, 3]
    assert page._columns(14, 7) == 7
