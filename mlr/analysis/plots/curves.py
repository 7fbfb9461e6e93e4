"""Recorded quantities against the number of updates, with bands over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlr.analysis.formatting import brief, display_pair
from mlr.analysis.plots.groups import PlotEntry, Runs, compared, entries, panels, read
from mlr.analysis.plots.style import STYLES, Style, canvas, legend, pair_styles
from mlr.analysis.quantities import CURVES, LOGARITHMIC, is_share, label
from mlr.core.checks import InputError, known
from mlr.records.aggregate import Aggregate, aggregate
from mlr.records.reading import Recorded

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

WRONG = "logit_grad/wrong"
_DECADES = 2.0
"""A quantity that spans more has a logarithmic axis."""
_SHOWN = 4
"""Decades of an axis that has 0 too."""
_FEWEST, _MOST = 3, 8
"""Ticks of a logarithmic axis."""
_COLUMNS = 2


class SeedsLine(NamedTuple):
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
        runs: runs, as `records.read_runs` returns them, or their folder.
        tag: name of the quantity in metrics.csv, as in `accuracy/val`.

    Raises:
        InputError: no run recorded the quantity; the recorded ones are listed.
    """
    drawn = lines(read(runs), tag)
    every = [line for own in drawn.values() for line in own]
    columns = min(_COLUMNS, len(drawn))
    with canvas(-(-len(drawn) // columns), columns, sharex=True, sharey=True) as (figure, axes):
        handles = {
            line.name: _plot(one, line)
            for one, own in zip(axes, drawn.values(), strict=False)
            for line in own
        }
        for place, (title, one) in enumerate(zip(drawn, axes, strict=False)):
            one.set(title=title, ylabel=_label(tag))
            one.label_outer()
            if place + columns >= len(drawn):  # nothing is below it
                one.tick_params(labelbottom=True)
                one.set_xlabel("updates")
        for spare in axes[len(drawn) :]:
            spare.set_visible(False)
        _scale_updates(axes[0], every)
        _scale_values(axes[0], every, tag)
        legend(figure, handles.values())
        return figure


def wrong_gradients(runs: Runs) -> Figure:
    """Draw the mean ‖dL/dz‖ of the wrongly predicted examples as `learning_curves` does.

    The axis is logarithmic, and has 0 at the bottom where a gradient is exactly 0.
    """
    return learning_curves(runs, WRONG)


def lines(runs: Sequence[Recorded], tag: str) -> dict[str, list[SeedsLine]]:
    """Compute the lines of each panel, by its title.

    Raises:
        InputError: no run recorded a finite number of `tag`.
    """
    recorded = {own for run in runs if run.series is not None for own in run.series.tags}
    if not recorded:
        raise InputError("No run has recorded anything yet.")
    known("tag", tag, sorted(recorded))
    every = entries(compared(runs))
    styles = pair_styles(entry.pair for entry in every)
    if len(styles) > 1:
        made = panels(every, lambda entry: entry.apart)
        named = {id(entry): (display_pair(entry.pair), styles[entry.pair]) for entry in every}
    else:
        made = panels(every, _single_pair)
        named = {}
        for own in made.values():
            colours = STYLES if len(own) > 1 else styles.values()
            for entry, style in zip(own, cycle(colours), strict=False):
                named[id(entry)] = entry.others or display_pair(entry.pair), style
    rates = {entry.row.lr for entry in every}
    drawn: dict[str, list[SeedsLine]] = {}
    for title, own in made.items():
        here = {entry.row.lr for entry in own}
        if len(rates) > 1 and len(here) == 1:
            title = ", ".join(filter(None, (title, _rate(own[0]))))
        for entry in own:
            series, (name, style) = _series(entry, tag), named[id(entry)]
            if series is not None:
                name = ", ".join(filter(None, (name, _rate(entry) if len(here) > 1 else "")))
                drawn.setdefault(title, []).append(SeedsLine(name, style, series))
    if not drawn:
        raise InputError(f"No run has a finite number of {tag}.")
    return drawn


def _single_pair(entry: PlotEntry) -> str:
    """Title of a panel of one pair: its data set, and the pair if lines have only settings."""
    pair = display_pair(entry.pair) if entry.others else ""
    return ", ".join(filter(None, (entry.ranking.data, pair)))


def _rate(entry: PlotEntry) -> str:
    """Write the learning rate that was chosen; empty if there was none to choose."""
    return "" if entry.row.lr is None else f"lr={brief(entry.row.lr)}"


def _series(entry: PlotEntry, tag: str) -> Aggregate | None:
    """Aggregate one quantity over the runs of a configuration; None if it has no number."""
    own = []
    for run in entry.row.members:
        series = run.series
        if series is not None and tag in series.tags:
            column = series.tags.index(tag)
            own.append(series._replace(tags=(tag,), values=series.values[:, [column]]))
    found = aggregate(own, len(entry.row.members))
    return found if found is not None and np.isfinite(found.mean).any() else None


def _plot(axes: Axes, line: SeedsLine) -> Any:
    rows = np.flatnonzero(line.series.counts[:, 0] >= 0)
    steps = line.series.steps[rows]
    mean, low, high = (
        table[rows, 0] for table in (line.series.mean, line.series.low, line.series.high)
    )
    if line.series.runs > 1:
        axes.fill_between(steps, low, high, color=line.style.colour, alpha=0.2, linewidth=0)
    (drawn,) = axes.plot(steps, mean, **line.style.line, label=line.name)
    return drawn


def _scale_updates(axes: Axes, drawn: Sequence[SeedsLine]) -> None:
    """Make the axis of updates logarithmic: the first ones change most."""
    from matplotlib.ticker import StrMethodFormatter

    steps = np.concatenate([line.series.steps[line.series.counts[:, 0] >= 0] for line in drawn])
    first, last = int(steps.min()), int(steps.max())
    if first == last:
        return
    if first:
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=1, linscale=0.3)
    axes.set_xlim(first, last)
    _tick(axes.xaxis, max(first, 1), last, [] if first else [0.0])
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _scale_values(axes: Axes, drawn: Sequence[SeedsLine], tag: str) -> None:
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
    elif not tag.startswith(LOGARITHMIC) and above.max() <= above.min() * 10**_DECADES:
        axes.set_ylim(bottom=0)
    elif len(above) < len(values):
        least, most = 10.0 ** np.floor(np.log10([above.min(), above.max()]))
        least = max(least, most / 10**_SHOWN)
        axes.set_yscale("symlog", linthresh=least, linscale=0.5)
        axes.set_ylim(bottom=-0.1 * least)
        _tick(axes.yaxis, least, axes.get_ylim()[1], [0.0])
    else:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        room = max(1.0, (10 * low / high) ** 0.5)  # a line that hardly changes is flat
        axes.set_ylim(low / room, high * room)
        _tick(axes.yaxis, *axes.get_ylim())


def _tick(axis: Axis, low: float, high: float, more: Sequence[float] = ()) -> None:
    """Tick powers of ten of a logarithmic axis; 1, 2 and 5 of each where there are few of these."""
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    ticks = powers[(low <= powers) & (powers <= high)]
    if len(ticks) < _FEWEST:
        ticks = np.outer(powers, (1, 2, 5)).ravel()
        ticks = ticks[(low <= ticks) & (ticks <= high)]
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    every = -(-len(ticks) // _MOST)
    axis.set_major_locator(FixedLocator([*more, *ticks[::every]]))
    axis.set_minor_locator(NullLocator())


def _label(tag: str) -> str:
    if tag == WRONG:
        return "mean ‖dL/dz‖ where wrong"
    return next((one.label for one in CURVES if one.tag == tag), label(tag))
