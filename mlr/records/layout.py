"""The CUSTOM SCALARS page: charts over all runs, sorted by the question they answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from urllib.parse import urlencode

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.custom_scalar import layout_pb2, metadata

_NONE = " (▲ none)"
# question → charts; chart → regular expressions of its tags, each matched to the end
PAGES: dict[str, dict[str, str]] = {
    "Who gets gradient?": {
        # TensorBoard draws the final NaN of a run that has no such samples as a triangle
        f"wrong samples: mean |dL/dz|{_NONE}": "logit_grad/wrong$",
        f"right samples: mean |dL/dz|{_NONE}": "logit_grad/right$",
        "wrong and right together": "logit_grad/(wrong|right)$",
    },
    "Is the output saturated?": {
        "saturated outputs (fraction)": "saturation/fraction$",
        "wrong and without gradient (fraction)": "stuck/fraction$",
    },
    "Which layer starves?": {"all layers: gradient norm": "grad_norm/(?!total$)"},
    "Does it learn?": {
        "loss: train": "loss/train$",
        "loss: val": "loss/val$",
        "accuracy: train": "accuracy/train$",
        "accuracy: val": "accuracy/val$",
        "predicted standard deviation: train": "predicted_std/train$",
        "predicted standard deviation: val": "predicted_std/val$",
    },
}
# what stands on a page whose charts a run cannot fill, a regression for example: each run
# names every page, because TensorBoard joins their layouts in the order of the runs
_INSTEAD = {"Who gets gradient?": {"all samples: mean |dL/dz|": "logit_grad/mean$"}}
_LAYER, _BY_LAYER = "grad_norm/", "Which layer starves?"
_LAYERS = 12  # charts of single layers; a deeper network has the chart of all
_PINNED = ("logit_grad/wrong", "logit_grad/right", "stuck/fraction", "accuracy/val", "loss/val")


@lru_cache(maxsize=64)
def layout_summary(tags: tuple[str, ...]) -> Summary:
    """The layout as a Summary for any step: the charts that a run with these tags can fill.

    TensorBoard joins the layouts of all runs; equal charts become one. Built without
    TensorFlow, which tensorboard.plugins.custom_scalar.summary would need.

    Args:
        tags: every scalar that the run may record.
    """
    layout = layout_pb2.Layout()
    for question, charts in pages(tags).items():
        category = layout.category.add(title=question)
        for title, pattern in charts.items():
            content = layout_pb2.MultilineChartContent(tag=[pattern])
            category.chart.add(title=title, multiline=content)
    return _summary(layout)


def bands_summary(tags: tuple[str, ...], bands: tuple[str, str]) -> Summary:
    """The layout of aggregates: the same charts of one tag each, as mean and band.

    Args:
        tags: every scalar that the aggregate has.
        bands: what stands before a tag, and a `/`, in the names of the band's edges.
    """
    layout = layout_pb2.Layout()
    for question, charts in pages(tags).items():
        category = layout.category.add(title=question)
        for title, pattern in charts.items():
            shown = [tag for tag in tags if re.match(pattern, tag)]
            if len(shown) > 1:
                continue  # bands of several tags in one chart hide each other
            title = title.removesuffix(_NONE)
            low, high = (f"{band}/{shown[0]}" for band in bands)
            series = layout_pb2.MarginChartContent.Series(value=shown[0], lower=low, upper=high)
            margin = layout_pb2.MarginChartContent(series=[series])
            category.chart.add(title=title, margin=margin)
    return _summary(layout)


def _summary(layout: layout_pb2.Layout) -> Summary:
    """A layout as the summary that carries it."""
    tensor = TensorProto(
        dtype=DT_STRING,
        tensor_shape=TensorShapeProto(),
        string_val=[layout.SerializeToString()],
    )
    value = Summary.Value(
        tag=metadata.CONFIG_SUMMARY_TAG,
        metadata=metadata.create_summary_metadata(),
        tensor=tensor,
    )
    return Summary(value=[value])


def link(tags: Iterable[str], runs: str | None = None, by_pair: bool = True) -> str:
    """The end of TensorBoard's address that opens TIME SERIES ready to compare runs.

    One colour for each head and loss, whatever the seed (runs of a sweep are named
    `sigmoid+se,…`), and one for each run of another name; nothing smoothed, because the
    first steps tell most; the charts of the questions on top, where the alphabet would put
    the single point of `accuracy/test`.

    Args:
        tags: every scalar that the runs may have recorded.
        runs: regular expression of the runs to show; a person can change it on the page.
        by_pair: one colour for each head and loss; False gives each run its own.
    """
    tags = set(tags)
    pinned = [{"plugin": "scalars", "tag": tag} for tag in _PINNED if tag in tags]
    query = {
        "smoothing": "0",
        "runColorGroup": r"regex:(\w+\+\w+|^[^+]+$)" if by_pair else "run",
        "pinnedCards": json.dumps(pinned, separators=(",", ":")),
    }
    fragment = "timeseries"
    if runs is not None:
        query["runFilter"] = runs
        # what SCALARS and CUSTOM SCALARS take, and keep when a person goes there
        fragment += "&" + urlencode({"regexInput": runs, "_smoothingWeight": 0})
    return f"?{urlencode(query)}#{fragment}"


def pages(tags: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """The pages and charts, of `PAGES` and one a layer, that at least one of `tags` fills."""
    layers = [tag for tag in tags if tag.startswith(_LAYER) and tag != f"{_LAYER}total"]
    single = {f"{tag.removeprefix(_LAYER)}: gradient norm": f"{re.escape(tag)}$" for tag in layers}
    found = {}
    for question, charts in PAGES.items():
        if question == _BY_LAYER and len(layers) <= _LAYERS:
            charts = {**charts, **single} if len(layers) > 1 else single
        filled = _filled(charts, tags) or _filled(_INSTEAD.get(question, {}), tags)
        if filled:
            found[question] = filled
    return found


def _filled(charts: Mapping[str, str], tags: Iterable[str]) -> dict[str, str]:
    """The charts that at least one of `tags` fills."""
    return {
        title: pattern
        for title, pattern in charts.items()
        if any(re.match(pattern, tag) for tag in tags)
    }
