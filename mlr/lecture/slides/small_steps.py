"""Slide 30: updates that a really wrong sigmoid needs, with squared error and cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlr.lecture.lab import Lab, Trained
from mlr.lecture.page import drawing
from mlr.lecture.page.answer import Answer, Claim, Illustration, Slide, close
from mlr.lecture.page.drawing import mark, rule, sketch
from mlr.lecture.slides.one_logit import integral, slopes
from mlr.objectives import Objective

CHUNK = 1 << 12


def descend_bias(head: str, loss: str, starts: Sequence[float], lr: float = 1.0) -> Tensor:
    """Compute the logits (updates + 1, starts) of z ← z − lr · dL/dz, target 1, until all are > 0.

    All starts are updated in one tensor by the formula itself, as in a training step: validating
    each call would take longer than the 162,799 updates of one start.
    """
    gradient = Objective(head, loss, outputs=1).kernel.gradient
    with torch.inference_mode():
        z = torch.tensor(starts, dtype=torch.float64).unsqueeze(1)
        target = torch.ones_like(z)
        path = [z[None]]
        while not bool((z > 0).all()):
            rows = z.new_empty(CHUNK, *z.shape)
            for row in rows.unbind():
                z = torch.sub(z, gradient(z, target), alpha=lr, out=row)
            path.append(rows)
        return torch.cat(path)[..., 0]


def updates_until_right(path: Tensor) -> list[int]:
    """Count the updates until each start of a `path` is above 0 for the first time."""
    return [int(first) for first in (path > 0).byte().argmax(0)]


def flow_time(head: str, loss: str, start: int) -> float:
    """Compute ∫ dz / |dL/dz| from `start` to 0, the time that gradient flow needs."""
    return integral(lambda z: 1 / slopes(head, loss, z).abs(), start, 0)


STARTS = (-5, -10, -12)


def small_steps(lab: Lab) -> Answer:
    """How many updates does gradient descent need until a really wrong sigmoid is right?

    Gradient descent on one bias, learning rate 1, target 1, until z > 0. Gradient flow takes
    3z + 3eᶻ + ½e²ᶻ − e⁻ᶻ between the ends with squared error, z + eᶻ with cross-entropy.

    The neuron, w = b = 2, x = 1, t = 0: Nielsen's figures use the learning rate η = 0.15 for
    squared error and 0.005 for cross-entropy. Both rates are drawn. His animations of
    cross-entropy step along dC/da, see the published result nielsen_neuron.

    Source: lecture; the neuron: Nielsen, Neural Networks and Deep Learning, chapter 3.
    """
    paths = {loss: descend_bias("sigmoid", loss, STARTS) for loss in ("se", "bce")}
    squared, cross = (updates_until_right(path) for path in paths.values())
    neurons = _train_neurons(lab)
    out = {name: one.outputs[MIDDLE] for name, one in neurons.items()}
    return Answer(
        f"From z = −10 squared error needs {squared[1]:,} updates and cross-entropy {cross[1]}, "
        f"from z = −12 they need {squared[2]:,} and {cross[2]}: the more wrong the prediction, the "
        f"smaller the steps of squared error. At Nielsen's rates, η = {RATE:g} for squared error "
        f"and {SLOW:g} for cross-entropy, his neuron's output (target 0) is {out['SE']:.4f} and "
        f"{out['slow BCE']:.4f} after {MIDDLE} updates; with η = {RATE:g} for both, cross-entropy "
        f"is at {out['BCE']:.4f}.",
        (*_of_escapes(squared, cross), *_of_neurons(out)),
        (_escapes(paths), _neurons(neurons)),
    )


def _of_escapes(squared: list[int], cross: list[int]) -> list[Claim]:
    flow = {
        loss: [flow_time("sigmoid", loss, start) for start in STARTS[1:]] for loss in ("se", "bce")
    }
    claims = [
        close(f"from z = −{-start}, {name}: {expected:,} updates", found, expected, 0)
        for name, own, published in (
            ("SE", squared, (168, 22063, 162799)),
            ("BCE", cross, (6, 11, 13)),
        )
        for start, found, expected in zip(STARTS, own, published, strict=True)
    ]
    return [
        *claims,
        close("gradient flow from −10, SE: 22058.97", flow["se"][0], 22058.9656586058967, 1e-8),
        close("gradient flow from −10, BCE: 10.99995", flow["bce"][0], 10.9999546000702375, 1e-12),
        close("gradient flow from −12, SE: 162793.3", flow["se"][1], 162793.291400571265, 1e-7),
        close("gradient flow from −12, BCE: 12.99999", flow["bce"][1], 12.9999938557876467, 1e-12),
    ]


RATE, SLOW = 0.15, 0.005
"""Learning rates of Nielsen's figures for squared error and for cross-entropy."""
MIDDLE = 150
"""Updates after which the outputs are compared."""


class TrainedNeuron(NamedTuple):
    """Nielsen's neuron after training.

    run: the training.
    outputs: y after 0, 1, … updates.
    style: style of its curve.
    """

    run: Trained
    outputs: NDArray[np.float64]
    style: dict[str, Any]


def _train_neurons(lab: Lab) -> dict[str, TrainedNeuron]:
    own = ("experiment=neuron", f"optimizer.lr={RATE}")
    se, bce, clipped = lab.sweep(*own, "head=sigmoid,clipped_linear", "loss=se,bce")[:3]
    slow = lab.run("experiment=neuron", "loss=bce", f"optimizer.lr={SLOW}")
    runs = (
        ("SE", se, ("sigmoid", "se"), RATE),
        ("BCE", bce, ("sigmoid", "bce"), RATE),
        ("slow BCE", slow, ("sigmoid", "bce"), SLOW),
        ("clipped", clipped, ("clipped_linear", "se"), RATE),
    )
    found = {}
    for name, run, pair, rate in runs:
        style = drawing.of_pair(*pair)
        style |= {"label": f"{style['label']}, η = {rate:g}"}
        if rate == SLOW:
            style |= {"linestyle": (0, (1, 1)), "alpha": 0.75}
        found[name] = TrainedNeuron(run, neuron_outputs(run, pair[1]), style)
    return found


def neuron_outputs(run: Trained, loss: str) -> NDArray[np.float64]:
    """Compute the outputs, target 0, from the loss of the one example: L = ½y², or −log(1 − y)."""
    losses = run.series["loss/train"][1]
    return np.sqrt(2 * losses) if loss == "se" else -np.expm1(-losses)


def _of_neurons(out: dict[str, float]) -> list[Claim]:
    after = f"the neuron's output after {MIDDLE} updates"
    return [
        close(f"{after}: SE, η = 0.15: 0.9334", out["SE"], 0.9334, 5e-5),
        close(f"{after}: BCE, η = 0.15: 0.0257", out["BCE"], 0.0257, 5e-5),
        close(f"{after}: BCE, η = 0.005: 0.9282", out["slow BCE"], 0.9282, 5e-5),
        close(f"{after}: clipped-linear + SE is still 1", out["clipped"], 1, 0),
    ]


def _escapes(paths: dict[str, torch.Tensor]) -> Illustration:
    """Draw the logits of gradient descent on a logarithmic axis of updates."""

    def draw(axes: Any) -> None:
        for loss, path in paths.items():
            whole = len(path) - 1
            chosen = torch.logspace(0, torch.tensor(float(whole)).log10(), 400).long().unique()
            for start, place in enumerate(updates_until_right(path)):
                drawn = torch.cat((chosen[chosen < place], torch.tensor([place])))
                label = None if start else loss.upper()
                style = drawing.of_pair("sigmoid", loss) | {"label": label}
                axes.plot(drawn, path[drawn, start], **style)
                if loss == "se":
                    end = float(path[place, start])
                    mark(axes, place, end, f"{place:,}", (-4, 18 + 22 * start))
        rule(axes, y=0)
        axes.set(xlabel="updates (logarithmic)", ylabel="logit z, target 1", xscale="log")
        axes.set(ylim=(-13, 9), yticks=(-12, -10, -5, 0))
        axes.legend(loc="upper left", ncols=2, handlelength=1.4, columnspacing=1)

    return sketch(
        "a sigmoid's bias from z = −5, −10 and −12, learning rate 1", draw, size=drawing.HALF
    )


def _neurons(neurons: dict[str, TrainedNeuron]) -> Illustration:
    def draw(axes: Any) -> None:
        for one in neurons.values():
            axes.plot(one.outputs, **one.style)
        axes.set(xlabel="updates", ylabel="output y, target 0", ylim=(0, 1.85))
        axes.set(yticks=(0, 0.25, 0.5, 0.75, 1))
        axes.legend(loc="upper right")

    runs = (neurons[name].run for name in ("SE", "slow BCE"))
    return sketch(
        "Nielsen's neuron from w = b = 2, at both of his learning rates",
        draw,
        *runs,
        size=drawing.HALF,
    )


SLIDES = (
    Slide(
        30,
        "A small gradient is a small step",
        small_steps,
        "A small gradient is a small step; it should be large when really wrong.",
    ),
)
