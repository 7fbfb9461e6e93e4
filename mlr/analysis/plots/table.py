"""A final number of every head with every loss, as a table of coloured cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlr.analysis.formatting import display_name, with_spread
from mlr.analysis.grouping import collected
from mlr.analysis.plots.groups import PlotEntry, Runs, compared, entries, panels, read
from mlr.analysis.plots.style import LARGE, NORMAL, canvas
from mlr.analysis.quantities import is_share, label
from mlr.analysis.ranking import is_higher_better
from mlr.heads import HEADS
from mlr.losses import LOSSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEAD_NAMES = [head.name for head in HEADS]
LOSS_NAMES = [loss.name for loss in LOSSES]
_MAP = "Blues"
_DARKEST = 0.85
"""Of the map, on which white text is readable."""
_CELL, _ABOVE = (2.1, 0.85), 1.0
"""Inches of a cell, and of title and losses."""
_LEFT = 1.6
"""Inches of the heads' names."""
_NOTHING = "#eeeeee"
_DARK = 0.179
"""Luminance below which white text has more contrast than black."""


def matrix(runs: Runs, metric: str | None = None) -> Figure:
    """Draw a table of heads and losses: mean ± standard deviation of a final number over seeds.

    The numbers are those of `compare`, to the digit. The better, the darker; a loss is coloured
    within its column, because other losses have other units. There is a table for each data set
    and setting other than head, loss and learning rate.

    Args:
        runs: runs, as `records.read_runs` returns them, or their folder.
        metric: final number, as in `loss/test`; None is that by which `compare` ranks.

    Raises:
        InputError: no run has the metric; the known ones are listed.
    """
    every = entries(compared(read(runs), metric))
    made = panels(every, lambda entry: entry.apart)
    heads = {
        title: _ordered({_head(one) for one in own}, HEAD_NAMES) for title, own in made.items()
    }
    losses = {
        title: _ordered({_loss(one) for one in own}, LOSS_NAMES) for title, own in made.items()
    }
    width, height = _CELL
    heights = [_ABOVE + height * len(own) for own in heads.values()]
    titles = [f"{title}: {_title(own)}" if title else _title(own) for title, own in made.items()]
    columns = max(width * max(map(len, losses.values())), LARGE / 100 * max(map(len, titles)))
    size = (_LEFT + columns, sum(heights) / len(made))
    with canvas(len(made), 1, size, height_ratios=heights) as (figure, axes):
        for one, title, (key, own) in zip(axes, titles, made.items(), strict=True):
            _draw(one, own, heads[key], losses[key])
            one.set_title(title, pad=12)
        return figure


def _draw(axes: Axes, own: Sequence[PlotEntry], heads: list[str], losses: list[str]) -> None:
    """Draw the cells of one table."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    shape = (len(heads), len(losses))
    colours, texts = np.full((*shape, 3), to_rgb(_NOTHING)), np.full(shape, "not tried", object)
    for members in collected(own, lambda one: id(one.ranking)).values():
        for entry, goodness in zip(members, _goodness(members), strict=True):
            at = heads.index(_head(entry)), losses.index(_loss(entry))
            texts[at] = _text(entry)
            if np.isfinite(goodness):
                colours[at] = colormaps[_MAP](goodness * _DARKEST)[:3]
    axes.pcolormesh(colours, edgecolors="white", linewidth=3)
    for (row, column), text in np.ndenumerate(texts):
        ink = "white" if luminance(colours[row, column]) < _DARK else "black"
        at = column + 0.5, row + 0.5
        axes.text(*at, text, size=NORMAL, color=ink, ha="center", va="center")
    axes.set_xticks(np.arange(len(losses)) + 0.5, list(map(display_name, losses)), size=LARGE)
    axes.set_yticks(np.arange(len(heads)) + 0.5, list(map(display_name, heads)), size=LARGE)
    axes.invert_yaxis()
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)


def luminance(colour: np.ndarray) -> float:
    """Compute the relative luminance of a colour of sRGB (3,), from 0 for black to 1 for white."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _goodness(members: Sequence[PlotEntry]) -> list[float]:
    """Map means of one ranking to 0 for the worst and 1 for the best; NaN for none."""
    means = np.array([np.nan if one.row.mean is None else one.row.mean for one in members])
    known = means[np.isfinite(means)]
    if not len(known):
        return [float("nan")] * len(members)
    higher = is_higher_better(members[0].ranking.metric)
    if not higher and known.min() > 0 and known.max() > 100 * known.min():
        means, known = np.log(means), np.log(known)
    worst, best = (known.min(), known.max()) if higher else (known.max(), known.min())
    return ((means - worst) / ((best - worst) or 1.0)).tolist()


def _text(entry: PlotEntry) -> str:
    row = entry.row
    if entry.ranking.metric in row.finals:
        return with_spread(*row.finals[entry.ranking.metric], is_share(entry.ranking.metric))
    for status in ("diverged", "failed", "interrupted", "running"):
        if getattr(row, status):
            return status
    return "none"


def _title(own: Sequence[PlotEntry]) -> str:
    metric = own[0].ranking.metric
    return f"{label(metric)}, mean ± std" if any(one.row.std for one in own) else label(metric)


def _head(entry: PlotEntry) -> str:
    return str(entry.row.keys["head"] or "")


def _loss(entry: PlotEntry) -> str:
    return str(entry.row.keys["loss"] or "")


def _ordered(names: Iterable[str], known: Sequence[str]) -> list[str]:
    return [*(name for name in known if name in names), *sorted({*names} - {*known})]
