"""Slides 16–19: output units, and the loss that belongs to each."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Normal
from torch.nn.functional import one_hot

from mlr.data import Blobs
from mlr.data.base import Split
from mlr.heads import ClippedLinear, Sigmoid, Softmax
from mlr.information import HALF_LOG_TAU, log_likelihood
from mlr.lecture.lab import Lab, Trained
from mlr.lecture.page.answer import Answer, Claim, Illustration, Slide, close, number
from mlr.lecture.page.drawing import (
    BLUE,
    HALF,
    INK,
    PAPER,
    PURPLE,
    VERMILLION,
    canvas,
    curves,
    line,
    of_head,
    of_pair,
    picture,
)
from mlr.objectives import Objective


def conditional(lab: Lab) -> Answer:
    """How does maximum likelihood train a model that predicts Y from X?

    Source: lecture, P(Y|X; θ); Goodfellow et al., Deep Learning, 5.5.1, 5.7.1 (probabilistic
    supervised learning: logistic regression) and 6.2.1.1.
    """
    own = ("data=blobs", "data.seed=0", "data.noise=0.6", "head=sigmoid", "loss=bce")
    run = lab.run(*own, "dtype=float64", "epochs=20", "optimizer.lr=0.5")
    data = Blobs(noise=0.6, seed=0).load(0)
    z = _logits(run, data.train.features)
    model = Bernoulli(logits=z[:, 0])
    mean = float(log_likelihood(model, data.train.targets.double())) / len(data.train)
    start = float(run.series["loss/train"][1][0])
    claims = (
        close("the loss of the run is −1/m ∑ log P(y|x)", run.metrics["loss/train"], -mean, 1e-12),
        close("the same for the test data", run.metrics["loss/test"], _cost(run, data.test), 1e-12),
    )
    return Answer(
        "It maximises ∑ log P(y|x; θ), so that the labels are most probable given their inputs. "
        f"The loss of sigmoid + BCE, {start:.2f} for the first batch and {number(-mean, 4)} after "
        "training, is −1/m of this log-likelihood.",
        claims,
        (
            _chances(run, data.train),
            curves(
                "−1/m log-likelihood of the batches",
                [(*run.series["loss/train"], of_pair("sigmoid", "bce"))],
                run,
                size=HALF,
                xlabel="updates",
                ylabel="loss",
                ylim=(0, None),
            ),
        ),
    )


def _cost(run: Trained, data: Split) -> float:
    model = Bernoulli(logits=_logits(run, data.features)[:, 0])
    return -float(log_likelihood(model, data.targets.double())) / len(data)


def _logits(run: Trained, x: Tensor) -> Tensor:
    weight, bias = (run.parameters[f"output.{name}"] for name in ("weight", "bias"))
    return x.double() @ weight.double().T + bias.double()


def _chances(run: Trained, data: Split) -> Illustration:
    """Draw P(Y = 1|x) over the plane, and the data."""
    axis = torch.linspace(-3.2, 3.2, 131, dtype=torch.float64)
    plane = torch.cartesian_prod(axis, axis)
    chance = Sigmoid()(_logits(run, plane)).reshape(131, 131).T
    with canvas(**HALF) as (figure, axes):
        for label, (colour, marker) in enumerate(((VERMILLION, "s"), (BLUE, "o"))):
            x = data.features[data.targets == label]
            style = {"color": colour, "markeredgecolor": PAPER, "label": f"Y = {label}"}
            axes.plot(x[:, 0], x[:, 1], marker, markersize=7, **style)
        levels = [0.1, 0.5, 0.9]
        axes.contour(axis, axis, chance, levels, colors=INK, linestyles=[":", "-", ":"])
        axes.set(xlabel="x₁", ylabel="x₂", ylim=(-3.2, 4.4))
        axes.legend(loc="upper center", ncols=2)
        return picture("training data, and where P(Y = 1|x) is 0.1, ½ and 0.9", figure, run)


NATURAL = (("linear", "se", 1), ("sigmoid", "bce", 1), ("softmax", "ce", 3))
"""Head and loss of one distribution, and the number of outputs."""
BELOW = {
    Normal: ("Gaussian", HALF_LOG_TAU),
    Bernoulli: ("Bernoulli", 0),
    Categorical: ("categorical", 0),
}
"""Name of each distribution, and the difference of −log p and its loss."""


def units_and_costs(lab: Lab) -> Answer:
    """What decides the form of the cross-entropy?

    Source: lecture; Goodfellow et al., Deep Learning, 6.2.2.
    """
    claims: list[Claim] = []
    drawn = []
    x = torch.linspace(-5, 5, 501, dtype=torch.float64)
    for head, loss, outputs in NATURAL:
        objective = Objective(head, loss, outputs=outputs)
        claims += _of_its_distribution(objective, outputs)
        logits = torch.nn.functional.pad(x[:, None], (0, outputs - 1))
        first = one_hot(torch.zeros(501, dtype=torch.int64), outputs).double()
        slope = objective.gradient(logits, first)[:, 0]
        drawn.append((head, loss, objective.head(logits)[:, 0], slope))
    against_logit = curves(
        "gradient against logit, target 1 (softmax: the other two logits are 0)",
        [(x, slope, of_pair(head, loss)) for head, loss, _, slope in drawn],
        size=HALF,
        xlabel="logit z",
        ylabel="dL/dz",
        ylim=(-2, 1),
    )
    against_output = curves(
        "the same against the prediction: all are y − t",
        [(y, slope, of_pair(head, loss)) for head, loss, y, slope in drawn],
        size=HALF,
        xlabel="prediction y",
        ylabel="dL/dz",
        xlim=(-1, 2),
        ylim=(-2, 1),
    )
    return Answer(
        "The output unit: it fixes the distribution p, and −log p is the loss. For linear, sigmoid "
        "and softmax units the gradient is then dL/dz = y − t, as in "
        f"{number(float(drawn[1][3][250]))} for a sigmoid at z = 0, t = 1.",
        tuple(claims),
        (against_logit, against_output),
    )


def _of_its_distribution(objective: Objective, outputs: int) -> list[Claim]:
    """Claim that loss and gradient follow from the distribution, at 10,000 random logits."""
    generator = torch.Generator().manual_seed(0)
    z = 5 * torch.randn(10_000, outputs, generator=generator, dtype=torch.float64)
    z.requires_grad_()
    classes = torch.randint(max(outputs, 2), (10_000,), generator=generator)
    t = one_hot(classes).double() if outputs > 1 else classes.double()[:, None]
    model = objective.loss.likelihood(objective.head(z))
    costs = -model.log_prob(classes if outputs > 1 else t)
    (slopes,) = torch.autograd.grad(costs.sum(), z)
    name, constant = BELOW[type(getattr(model, "base_dist", model))]
    above = float((costs - objective.losses(z, t) - constant).detach().abs().max())
    pulled = float((objective.gradient(z, t) - (objective.head(z) - t)).detach().abs().max())
    of_torch = float((slopes - objective.gradient(z, t)).detach().abs().max())
    less = " − ½ log 2π" if constant else ""
    way = f"{objective.head.name} → {name} → {objective.loss.name.upper()}"
    # torch's Bernoulli takes log(1 − y), which loses digits where y is near 1
    return [
        close(f"{way}: L = −log p{less}", above, 0, 1e-8),
        close("its dL/dz = y − t", pulled, 0, 5e-15),
        close("torch's derivative of −log p is the same", of_torch, 0, 1e-8),
    ]


def one_number(lab: Lab) -> Answer:
    """How many outputs do two classes need?

    Source: lecture; Goodfellow et al., Deep Learning, 6.2.2.2.
    """
    z = torch.linspace(-40, 40, 8001, dtype=torch.float64)
    two = torch.stack([z, torch.zeros_like(z)], -1)
    one, pair = Sigmoid()(z), Softmax()(two)
    generator = torch.Generator().manual_seed(0)
    t = torch.rand(8001, generator=generator, dtype=torch.float64)
    both = torch.stack([t, 1 - t], -1)
    binary = Objective("sigmoid", "bce").losses(z[:, None], t[:, None])
    several = Objective("softmax", "ce").losses(two, both)
    claims = (
        close(
            "softmax([z, 0])₁ = σ(z) (relative)",
            float((pair[:, 0] / one - 1).abs().max()),
            0,
            1e-15,
        ),
        close("P(0) = 1 − P(1)", float((pair[:, 1] - (1 - pair[:, 0])).abs().max()), 0, 1e-15),
        close(
            "CE of the softmax is BCE of the sigmoid, for soft targets too",
            float((binary - several).abs().max()),
            0,
            1e-14,
        ),
    )
    near = z.abs() <= 6
    x = z[near]
    return Answer(
        "One, since P(0) = 1 − P(1). A softmax of the logits z and 0 is the sigmoid of z, measured "
        f"to within {number(float((pair[:, 0] / one - 1).abs().max()), 1)}.",
        claims,
        (
            curves(
                "two outputs and one",
                [
                    (x, pair[near, 0], line(PURPLE, "softmax([z, 0]), P(1)", linewidth=9)),
                    (x, one[near], line(BLUE, "σ(z)", "--")),
                    (x, pair[near, 1], line(VERMILLION, "softmax([z, 0]), P(0)", ":")),
                ],
                xlabel="logit z",
                ylabel="probability",
                legend="center right",
            ),
        ),
    )


def clipped_unit(lab: Lab) -> Answer:
    """How can the output of a linear unit be restricted to probabilities?

    At z = 0 and z = 1 themselves the derivative does not exist; here it is 1, as in torch.clamp.

    Source: lecture; Goodfellow et al., Deep Learning, 6.2.2.2, eq. 6.18.
    """
    head = ClippedLinear()
    z = torch.linspace(-2, 3, 1001, dtype=torch.float64)
    y, slope = head(z), head.slope(z)
    inside = (z >= 0) & (z <= 1)
    claims = (
        close(
            "inside [0, 1] the prediction is the logit", float((y - z)[inside].abs().max()), 0, 0
        ),
        close("below it is 0", float(y[z < 0].max()), 0, 0),
        close("above it is 1", float(y[z > 1].min()), 1, 0),
        close("the slope inside is 1", float(slope[inside].min()), 1, 0),
        close("the slope outside is 0", float(slope[~inside].abs().max()), 0, 0),
    )
    return Answer(
        f"By clipping it, y = max(0, min(1, z)): its slope is {float(slope[inside].min()):g} "
        f"in [0, 1], and {float(slope[~inside].max()):g} everywhere outside.",
        claims,
        (
            curves(
                "the clipped linear unit and its slope",
                [
                    (z, y, of_head("clipped_linear") | {"label": "y = max(0, min(1, z))"}),
                    (z, slope, line(VERMILLION, "slope dy/dz", linewidth=2.5)),
                ],
                xlabel="logit z",
                ylabel="y, dy/dz",
                ylim=(-0.05, 1.4),
                legend="upper left",
            ),
        ),
    )


SLIDES = (
    Slide(16, "Maximum likelihood of Y given X", conditional, "Conditional likelihood P(Y|X)."),
    Slide(
        17,
        "The output unit decides",
        units_and_costs,
        "The output units determine the form of the cross-entropy.",
    ),
    Slide(18, "One number for two classes", one_number, "One number is enough for 2 classes."),
    Slide(
        19, "The clipped linear unit", clipped_unit, "Clipped linear unit, y = max(0, min(1, z))."
    ),
)
