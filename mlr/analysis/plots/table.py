"""A final number of every head with every loss, as a table of coloured cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlr.analysis.formatting import display_name, with_spread
from mlr.analysis.plots.groups import Entry, Runs, compared, entries, panels, read
from mlr.analysis.plots.style import LARGE, NORMAL, canvas
from mlr.analysis.quantities import is_share, label
from mlr.analysis.ranking import is_higher_better
from mlr.core.palette import INK
from mlr.heads import HEADS
from mlr.losses import LOSSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAP = "Blues"
_DARKEST = 0.85
"""Of the map, on which white text is readable."""
_CELL = (2.1, 0.85)
"""Inches of a cell."""
_WIDTH = 5.0
"""Least inches, for the title."""
_NOTHING = "#eeeeee"


def matrix(runs: Runs, metric: str | None = None) -> Figure:
    """Draw a table of heads and losses: mean ± standard deviation of a final number over seeds.

    The numbers are those of `compare`, to the digit. The better, the darker; a loss is coloured
    within its column, because other losses have other units. There is a table for each data set
    and setting other than head, loss and learning rate.

    Args:
        runs: runs, as `records.reading.read_runs` returns them, or their folder.
        metric: final number, as in `loss/test`; None is that by which `compare` ranks.

    Raises:
        InputError: no run has the metric; the known ones are listed.
    """
    every = entries(compared(read(runs), metric))
    made = panels(every, lambda entry: entry.apart)
    heads = _ordered({_head(one) for one in every}, [head.name for head in HEADS])
    losses = _ordered({_loss(one) for one in every}, [loss.name for loss in LOSSES])
    width, height = _CELL
    size = (max(_WIDTH, 1.6 + width * len(losses)), 1.0 + height * len(heads))
    with canvas(len(made), 1, size) as (figure, axes):
        for one, (title, own) in zip(axes, made.items(), strict=True):
            _draw(one, own, heads, losses)
            name = _title(own)
            one.set_title(f"{title}: {name}" if title else name, pad=12)
        return figure


def _draw(axes: Axes, own: Sequence[Entry], heads: list[str], losses: list[str]) -> None:
    from matplotlib import colormaps

    colours = colormaps[_MAP]
    shades = np.full((len(heads), len(losses)), np.nan)
    texts = {}
    for ranking in {id(one.ranking): one.ranking for one in own}.values():
        members = [one for one in own if one.ranking is ranking]
        for entry, goodness in zip(members, _goodness(members), strict=True):
            at = heads.index(_head(entry)), losses.index(_loss(entry))
            shades[at], texts[at] = goodness, _text(entry)
    image = axes.pcolormesh(
        np.ma.masked_invalid(shades * _DARKEST),
        cmap=_MAP,
        vmin=0,
        vmax=1,
        edgecolors="white",
        linewidth=3,
    )
    image.get_cmap().set_bad(_NOTHING)
    for (row, column), shade in np.ndenumerate(shades):
        red, green, blue, _ = colours(0.0 if np.isnan(shade) else shade * _DARKEST)
        dark = not np.isnan(shade) and 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
        axes.text(
            column + 0.5,
            row + 0.5,
            texts.get((row, column), "not tried"),
            ha="center",
            va="center",
            size=NORMAL,
            color="white" if dark else INK,
        )
    axes.set_xticks(np.arange(len(losses)) + 0.5, list(map(display_name, losses)), size=LARGE)
    axes.set_yticks(np.arange(len(heads)) + 0.5, list(map(display_name, heads)), size=LARGE)
    axes.invert_yaxis()
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)


def _goodness(members: Sequence[Entry]) -> list[float]:
    """Map means of one ranking to 0 for the worst and 1 for the best; NaN for none."""
    means = np.array([np.nan if one.row.mean is None else one.row.mean for one in members])
    known = means[np.isfinite(means)]
    if not len(known):
        return [float("nan")] * len(members)
    higher = is_higher_better(members[0].ranking.metric)
    if not higher and known.min() > 0 and known.max() > 100 * known.min():
        means, known = np.log(means), np.log(known)
    low, high = known.min(), known.max()
    shares = (means - low) / ((high - low) or 1.0)
    return [float(one) for one in (shares if higher else 1 - shares)]


def _text(entry: Entry) -> str:
    row = entry.row
    if entry.ranking.metric in row.finals:
        return with_spread(*row.finals[entry.ranking.metric], is_share(entry.ranking.metric))
    for status in ("diverged", "failed", "interrupted", "running"):
        if getattr(row, status):
            return status
    return "none"


def _title(own: Sequence[Entry]) -> str:
    metric = own[0].ranking.metric
    return f"{label(metric)}, mean ± std" if any(one.row.std for one in own) else label(metric)


def _head(entry: Entry) -> str:
    return str(entry.row.keys["head"] or "")


def _loss(entry: Entry) -> str:
    return str(entry.row.keys["loss"] or "")


def _ordered(names: Iterable[str], known: Sequence[str]) -> list[str]:
    return [*(name for name in known if name in names), *sorted({*names} - {*known})]
