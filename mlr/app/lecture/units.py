"""Slides 1 and 16–23: output units, and the one that gradient descent cannot train."""

from __future__ import annotations

import torch

from mlr.app.lecture import drawing
from mlr.app.lecture.answer import Answer, Picture, Slide, close
from mlr.app.lecture.lab import Lab
from mlr.heads import ClippedLinear


def clipped_unit(lab: Lab) -> Answer:
    """How can a linear unit be made to give a probability?

    Source: lecture slide 19; Goodfellow et al., Deep Learning, 6.2.2.2, eq. 6.18.
    """
    head = ClippedLinear()
    z = torch.linspace(-2, 3, 1001, dtype=torch.float64)
    y, slope = head(z), head.slope(z)
    inside = (z >= 0) & (z <= 1)
    with drawing.canvas() as (figure, axes):
        axes.plot(z, y, **drawing.of_head("clipped_linear") | {"label": "y = max(0, min(1, z))"})
        axes.plot(z, slope, color=drawing.VERMILLION, label="slope dy/dz")
        axes.set(xlabel="logit z", ylabel="prediction y")
        axes.legend()
        picture = Picture("the clipped linear unit and its slope", drawing.svg(figure))
    claims = (
        close("every prediction lies in [0, 1]: the smallest is 0", float(y.min()), 0, 0),
        close("the largest prediction is 1", float(y.max()), 1, 0),
        close("the slope inside [0, 1] is 1", float(slope[inside].min()), 1, 0),
        close("the slope outside [0, 1] is 0", float(slope[~inside].abs().max()), 0, 0),
    )
    return Answer(
        f"Cut it off: y = max(0, min(1, z)), with slope {slope[inside].min():g} inside [0, 1] and "
        f"{slope[~inside].max():g} everywhere outside.",
        claims,
        (picture,),
    )


def dead_unit(lab: Lab) -> Answer:
    """What does gradient descent do with a clipped linear unit whose logit lies outside [0, 1]?

    Source: lecture slides 20 and 21; Goodfellow et al., Deep Learning, 6.2.2.2.
    """
    runs = lab.sweep("experiment=clipped", "loss=se,matching", "epochs=50")
    with drawing.canvas() as (figure, axes):
        for run, loss in zip(runs, ("se", "matching"), strict=True):
            axes.plot(*run.series["loss/train"], **drawing.of_pair("clipped_linear", loss))
        axes.set(xlabel="updates", ylabel="loss")
        axes.legend()
        svg = drawing.svg(figure)
    weight = float(runs[0].parameters["output.weight"])
    return Answer(
        f"Nothing: after 50 updates the weight is still {weight:g}.",
        (close("the weight stays 2", weight, 2, 0),),
        (Picture("the unit that never moves", svg, runs[0].command, runs[0].folder.parent),),
    )


SLIDES = (
    Slide(19, "The clipped linear unit", clipped_unit),
    Slide(20, "No gradient outside [0, 1]", dead_unit),
)
