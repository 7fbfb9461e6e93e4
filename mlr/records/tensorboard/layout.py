"""Layout of TensorBoard's CUSTOM SCALARS page: charts, sorted by the question they answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.custom_scalar import layout_pb2, metadata

BY_PAIR = r"regex:(\w+\+\w+|^[^+]+$)"
"""Colour by head and loss, which begin a run's name; other names have a colour each."""
_NONE = " (▲ none)"
# question → charts; chart → regular expressions of its tags, each matched to the end
PAGES: dict[str, dict[str, str]] = {
    "Who gets gradient?": {
        # TensorBoard draws the final NaN of a run that has no such samples as a triangle
        f"wrong examples: mean ‖dL/dz‖{_NONE}": "logit_grad/wrong$",
        f"right examples: mean ‖dL/dz‖{_NONE}": "logit_grad/right$",
        "wrong and right together": "logit_grad/(wrong|right)$",
        **{
            f"{side} examples, {sureness}: mean ‖dL/dz‖": f"logit_grad_confidence/{side}_{level}$"
            for side in ("wrong", "right")
            for level, sureness in (("high", "sure"), ("middle", "less sure"), ("low", "unsure"))
        },
    },
    "Is the output saturated?": {
        "saturated outputs (fraction)": "saturation/fraction$",
        "wrong and without gradient (fraction)": "stuck/fraction$",
        # dL/dz is the product of the two: which of them is small?
        "head's slope dy/dz: wrong examples": "slope/head(_wrong)?$",
        "loss's slope dL/dy: wrong examples": "slope/loss(_wrong)?$",
        "head's slope dy/dz: right examples": "slope/head_right$",
        "loss's slope dL/dy: right examples": "slope/loss_right$",
    },
    "Which layer starves?": {
        "all layers: gradient norm": "grad_norm/(?!total$)",
        "all layers: update to weight": "update_to_weight/",
        "all layers: gradient to weight": "grad_to_weight/",
        "dead units (fraction)": "dead_units/",
        "saturated units (fraction)": "flat_units/",
    },
    "Does it learn?": {
        "loss: train": "loss/train$",
        "loss: val": "loss/val$",
        "accuracy: train": "accuracy/train$",
        "accuracy: val": "accuracy/val$",
        "F1 over all labels: val": "f1_micro/val$",
        "F1, mean over labels: val": "f1_macro/val$",
        "labels predicted rightly: train": "label_accuracy/train$",
        "labels predicted rightly: val": "label_accuracy/val$",
        "examples with all labels right: train": "exact_match/train$",
        "examples with all labels right: val": "exact_match/val$",
        "output y where its target is 1: train": "prediction/target_1$",
        "output y where its target is 0: train": "prediction/target_0$",
        "output y: train": "prediction/mean$",
        "predicted standard deviation: train": "predicted_std/train$",
        "predicted standard deviation: val": "predicted_std/val$",
    },
}
DETAILS: dict[str, dict[str, str]] = {
    "Which class is dead?": {"all classes: mean |dL/dz_k|": "logit_grad_class/"},
    "Do the examples agree?": {
        "signal to noise of the gradient": "grad_snr/total$",
        "all layers: signal to noise": "grad_snr/(?!total$)",
        "cosine of successive gradients": "grad_cosine/total$",
        "gradient of one example: mean and largest": "sample_grad/",
    },
}
"""Pages of runs with probes=full, after the others."""
# charts of a page whose usual charts a run cannot fill, a regression for example: each run
# names every page, because TensorBoard joins their layouts in the order of the runs
_INSTEAD = {"Who gets gradient?": {"all examples: mean ‖dL/dz‖": "logit_grad/mean$"}}
# question → beginning of its tags, and title of the chart of a single one
_SINGLE = {
    "Which layer starves?": ("grad_norm/", "{}: gradient norm"),
    "Which class is dead?": ("logit_grad_class/", "class {}: mean |dL/dz_k|"),
}
_MOST_SINGLE = 12  # charts of single layers or classes; of more there is the chart of all
MOST_TICKED = 40
"""Runs that the older pages of TensorBoard show by themselves; of more they show none."""
_PINNED = ("logit_grad/wrong", "logit_grad/right", "stuck/fraction", "accuracy/val", "loss/val")


@lru_cache(maxsize=64)
def layout_summary(tags: tuple[str, ...]) -> Summary:
    """Build the layout of a run, with the charts that its tags can fill, as a summary of any step.

    TensorBoard joins the layouts of all runs; equal charts become one. Built without
    TensorFlow, which tensorboard.plugins.custom_scalar.summary would need.
    """
    layout = layout_pb2.Layout()
    for question, charts in pages(tags).items():
        category = layout.category.add(title=question)
        for title, pattern in charts.items():
            content = layout_pb2.MultilineChartContent(tag=[pattern])
            category.chart.add(title=title, multiline=content)
    return _summary(layout)


def bands_summary(tags: tuple[str, ...], bands: tuple[str, str]) -> Summary:
    """Build the layout of aggregates: the charts of one tag each, with a band from `bands/tag`."""
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
    """Wrap a layout in a summary."""
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


def link(
    tags: Iterable[str],
    runs: str | None = None,
    colour: str = BY_PAIR,
    ticked: str | None = None,
    pictures: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Build the query of TensorBoard's address that opens TIME SERIES ready to compare runs.

    Nothing is smoothed, because the first steps tell most, and the charts of the questions are on
    top, where the alphabet would put the single point of `accuracy/test`.

    Args:
        tags: every scalar that the runs may have recorded.
        runs: regular expression of the runs to show; a person can change it on the page.
        colour: grouping of the lines, from `colouring`.
        ticked: regular expression of the runs on IMAGES, PR CURVES, CUSTOM SCALARS and SCALARS,
            which are blank at first where there are more than `MOST_TICKED`; None is `runs`.
        pictures: cards to pin above the charts, from `pinned_pictures`.
    """
    tags = set(tags)
    charts = [{"plugin": "scalars", "tag": tag} for tag in _PINNED if tag in tags]
    pinned = [*pictures, *charts]
    query = {
        "smoothing": "0",
        "runColorGroup": colour,
        "pinnedCards": json.dumps(pinned, separators=(",", ":")),
    }
    fragment = "timeseries"
    if runs is not None:
        query["runFilter"] = runs
    if ticked or runs:
        # parameters of the older pages, which stay when a person opens them
        fragment += "&" + urlencode({"regexInput": ticked or runs, "_smoothingWeight": 0})
    return f"?{urlencode(query)}#{fragment}"


def pages(tags: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Return the pages and charts that at least one of `tags` fills, by question and title."""
    found = {}
    for question, charts in (PAGES | DETAILS).items():
        if question in _SINGLE:
            charts = _with_single(charts, tags, *_SINGLE[question])
        filled = _filled(charts, tags) or _filled(_INSTEAD.get(question, {}), tags)
        if filled:
            found[question] = filled
    return found


def _with_single(
    charts: Mapping[str, str], tags: Iterable[str], start: str, title: str
) -> dict[str, str]:
    """Add a chart for each tag of the kind that the first chart shows together."""
    names = [tag.removeprefix(start) for tag in tags if tag.startswith(start)]
    names = [name for name in names if name != "total"]
    (every, pattern), *others = charts.items()
    single = {title.format(name): f"{re.escape(start + name)}$" for name in names}
    if len(names) > _MOST_SINGLE:
        return dict(charts)
    first = {every: pattern} if len(names) > 1 else {}
    return {**first, **single, **dict(others)}


def _filled(charts: Mapping[str, str], tags: Iterable[str]) -> dict[str, str]:
    """Select the charts that at least one of `tags` fills."""
    return {
        title: pattern
        for title, pattern in charts.items()
        if any(re.match(pattern, tag) for tag in tags)
    }
