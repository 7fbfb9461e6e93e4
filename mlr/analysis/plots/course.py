"""Recorded quantities against the number of updates, with bands over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlr.analysis.formatting import brief, display_pair
from mlr.analysis.plots.groups import Entry, Runs, checked, compared, entries, panels, read
from mlr.analysis.plots.style import STYLES, Style, canvas, legend, pair_styles
from mlr.analysis.quantities import CURVES, LOGARITHMIC, is_share, label
from mlr.core.checks import known
from mlr.records.aggregate import Aggregate, aggregate
from mlr.records.reading import Recorded

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WRONG = "logit_grad/wrong"
_DECADES = 2.0
"""A quantity that spans more has a logarithmic axis."""
_SHOWN = 4
"""Decades of an axis that has 0 too."""
_COLUMNS = 3


class CourseLine(NamedTuple):
    """One configuration: name, style, and the mean and quantiles over its seeds."""

    name: str
    style: Style
    series: Aggregate


def learning_curves(runs: Runs, tag: str = "loss/train") -> Figure:
    """Draw a recorded quantity against the updates: the mean over seeds, and a band of 80 %.

    There is a line for each pair of head and loss, at the learning rate chosen on validation data
    as in `compare`, and a panel for each data set and other setting; of a single pair, there is a
    line for each setting.

    Args:
        runs: runs, as `records.reading.read_runs` returns them, or their folder.
        tag: name of the quantity in metrics.csv, as in `accuracy/val`.

    Raises:
        InputError: no run recorded the quantity; the recorded ones are listed.
    """
    found = read(runs)
    drawn = lines(found, tag)
    columns = min(_COLUMNS, len(drawn))
    with canvas(-(-len(drawn) // columns), columns, sharey=True) as (figure, axes):
        handles: dict[str, Any] = {}
        for title, one in zip(drawn, axes, strict=False):
            for line in drawn[title]:
                handles[line.name] = _plot(one, line, tag)
            one.set(title=title, xlabel="updates")
        for spare in axes[len(drawn) :]:
            spare.set_visible(False)
        _scale(axes[0], [line for own in drawn.values() for line in own], tag)
        for first in axes[::columns]:
            first.set_ylabel(_label(tag))
        legend(figure, handles.values())
        return figure


def wrong_gradients(runs: Runs) -> Figure:
    """Draw the mean ‖dL/dz‖ of the wrongly predicted examples as `learning_curves` does.

    The axis is logarithmic, and has 0 at the bottom where a gradient is exactly 0.
    """
    return learning_curves(runs, WRONG)


def lines(runs: Sequence[Recorded], tag: str) -> Mapping[str, Sequence[CourseLine]]:
    """Compute the lines of each panel, by its title.

    Raises:
        InputError: no run recorded `tag`.
    """
    recorded = {own: None for run in runs if run.series is not None for own in run.series.tags}
    known("tag", tag, recorded)
    found = compared(runs)
    every = entries(found)
    pairs = [entry.pair for entry in every]
    several = len(set(pairs)) > 1
    if several:
        made, styles = panels(found), pair_styles(pairs)
    else:
        made, styles = {}, {}
        for entry in every:
            made.setdefault(entry.ranking.data, []).append(entry)
        checked(made)
    drawn: dict[str, list[CourseLine]] = {}
    for title, own in made.items():
        rows = []
        for place, entry in enumerate(own):
            series = _series(entry, tag)
            if series is None:
                continue
            if several:
                rows.append(CourseLine(_name(entry), styles[entry.pair], series))
            else:
                style = (
                    pair_styles(pairs)[entry.pair] if len(own) == 1 else STYLES[place % len(STYLES)]
                )
                rows.append(CourseLine(_name(entry, entry.others), style, series))
        if rows:
            drawn[title] = rows
    return drawn


def _name(entry: Entry, others: str = "") -> str:
    """Name a line by its pair, its other settings, and the learning rate that was chosen."""
    rate = f"lr={brief(entry.row.lr)}" if len(entry.row.rates) > 1 else ""
    return ", ".join(filter(None, (display_pair(entry.pair), others, rate)))


def _series(entry: Entry, tag: str) -> Aggregate | None:
    """Aggregate one quantity over the runs of a configuration; None if it has no number."""
    own = []
    for run in entry.row.members:
        series = run.series
        if series is not None and tag in series.tags:
            column = series.tags.index(tag)
            own.append(series._replace(tags=(tag,), values=series.values[:, [column]]))
    found = aggregate(own, len(entry.row.members))
    return found if found is not None and np.isfinite(found.mean).any() else None


def _plot(axes: Axes, line: CourseLine, tag: str) -> Any:
    rows = np.flatnonzero(line.series.counts[:, 0] >= 0)
    steps = line.series.steps[rows]
    mean, low, high = (
        table[rows, 0] for table in (line.series.mean, line.series.low, line.series.high)
    )
    if line.series.runs > 1:
        axes.fill_between(steps, low, high, color=line.style.colour, alpha=0.2, linewidth=0)
    (drawn,) = axes.plot(steps, mean, **line.style.line, label=line.name)
    return drawn


def _scale(axes: Axes, drawn: Sequence[CourseLine], tag: str) -> None:
    """Set the axis of values: percent, logarithmic, or from 0."""
    from matplotlib.ticker import PercentFormatter

    if is_share(tag):
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_ylim(-0.02, 1.02)
        return
    values = np.concatenate([line.series.mean[:, 0] for line in drawn])
    values = values[np.isfinite(values)]
    if values.min() < 0:
        return
    above = values[values > 0]
    if not len(above):
        axes.set_ylim(0, 1)
    elif tag.startswith(LOGARITHMIC) or above.max() > above.min() * 10**_DECADES:
        if values.min() > 0:
            axes.set_yscale("log")
        else:
            exponents = np.floor(np.log10([above.min(), above.max()]))
            least = 10.0 ** max(exponents[0], exponents[1] - _SHOWN)
            axes.set_yscale("symlog", linthresh=least, linscale=0.5)
            axes.set_ylim(bottom=-0.1 * least)
    else:
        axes.set_ylim(bottom=0)


def _label(tag: str) -> str:
    if tag == WRONG:
        return "mean ‖dL/dz‖ where wrong"
    return next((one.label for one in CURVES if one.tag == tag), label(tag))
