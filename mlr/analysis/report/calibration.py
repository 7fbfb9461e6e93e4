"""Reliability diagrams of a report: the share that is right, by confidence, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from statistics import fmean
from typing import NamedTuple

from mlr.analysis.report.content import Content, ReportGroup
from mlr.records.reading import Recorded

FEW, PALE = 10, ' fill-opacity="0.35"'
"""Examples below which the share of a bin is mostly chance, and what its bar then has."""
CAPTION = (
    "Test examples of all runs of a pair at its chosen setting, in 15 bins of confidence, which "
    "is the prediction for the predicted class. A bar is the share that is right. Where it ends "
    "on the dashed diagonal, predictions are right as often as they say; below it they are too "
    f"sure. Pale bars: fewer than {FEW} examples. ECE: mean |accuracy − confidence| of the bins, "
    "weighted by their examples. T: the temperature for which the NLL of z/T is least on "
    "validation data (Guo et al., On calibration of modern neural networks, 2017); above 1 the "
    "run is too sure, below 1 too unsure. Numbers are means over runs."
)
SIDE, LEFT, TOP, LOW = 200, 30, 6, 24
"""Pixels of the square of a diagram, and of its margins."""
NO_BREAK = "\N{NO-BREAK SPACE}"
NUMBERS = (
    *(("ECE", "ece/test"), ("Brier", "brier/test"), ("NLL", "nll/test")),
    *(("T", "temperature/val"), ("NLL of z/T", "nll_scaled/test")),
)
"""Numbers below a diagram, with their tags."""


class Bin(NamedTuple):
    """Examples in a bin of confidence of all runs: their number, and shares of them."""

    examples: int
    right: float
    confidence: float


def diagrams(content: Content) -> str:
    """Draw one figure for each pair whose runs have probabilities; empty for none."""
    return "".join(
        _figure(panel.label, group, bins)
        for panel, group in content.best.items()
        if (bins := pooled(group.runs))
    )


def pooled(runs: Sequence[Recorded]) -> list[Bin]:
    """Add up the bins of all runs; empty if none has any."""
    tables = [
        table
        for run in runs
        if (table := ((run.entries.get("calibration") or {}).get("test") or {}).get("bins"))
    ]
    found = []
    for place in range(len(tables[0]["count"]) if tables else 0):
        rows = [
            (one["count"][place], one["right"][place], one["confidence"][place])
            for one in tables
            if len(one["count"]) > place and one["count"][place] and one["right"][place] is not None
        ]
        count = sum(row[0] for row in rows)
        shares = [sum(row[0] * row[at] for row in rows) / max(count, 1) for at in (1, 2)]
        found.append(Bin(count, *shares))
    return found


def _figure(label: str, group: ReportGroup, bins: Sequence[Bin]) -> str:
    text = ", ".join(
        f"{name}{NO_BREAK}{fmean(own):.3g}" for name, tag in NUMBERS if (own := group.finals(tag))
    )
    return f"""<figure class="panel">
<figcaption>{escape(label)}</figcaption>
{_svg(bins, f"{label}: reliability diagram, {text}")}
<p class="small">{escape(text)}</p>
</figure>
"""


def _svg(bins: Sequence[Bin], label: str) -> str:
    """Draw bars of the share right above each bin, and the diagonal."""
    width, height = LEFT + SIDE + 8, TOP + SIDE + LOW
    step = SIDE / len(bins)
    bars = "".join(
        f'<rect x="{LEFT + at * step:.1f}" y="{TOP + SIDE * (1 - one.right):.1f}" '
        f'width="{step - 1:.1f}" height="{SIDE * one.right:.1f}" fill="#0072b2"'
        f"{PALE if one.examples < FEW else ''}>"
        f"<title>{one.examples:,} examples: {one.right:.1%} right, mean confidence "
        f"{one.confidence:.1%}</title></rect>"
        for at, one in enumerate(bins)
        if one.examples
    )
    right, bottom = LEFT + SIDE, TOP + SIDE
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}" '
        f'font-size="11" fill="currentColor">{bars}'
        f'<path d="M{LEFT} {bottom}L{right} {TOP}" stroke="currentColor" stroke-dasharray="4 3"/>'
        f'<path d="M{LEFT} {TOP}V{bottom}H{right}" stroke="currentColor" fill="none"/>'
        f'<text x="{LEFT - 4}" y="{TOP + 9}" text-anchor="end">1</text>'
        f'<text x="{LEFT - 4}" y="{bottom}" text-anchor="end">0</text>'
        f'<text x="{LEFT}" y="{bottom + 16}">0</text>'
        f'<text transform="translate({LEFT - 8} {TOP + SIDE / 2:.0f}) rotate(-90)" '
        'text-anchor="middle">share right</text>'
        f'<text x="{LEFT + SIDE / 2:.0f}" y="{bottom + 16}" text-anchor="middle">confidence</text>'
        f'<text x="{right}" y="{bottom + 16}" text-anchor="end">1</text></svg>'
    )
