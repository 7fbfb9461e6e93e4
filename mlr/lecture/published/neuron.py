"""Nielsen's single neuron: input 1, target 0, squared error against cross-entropy."""

from __future__ import annotations

from math import exp

from mlr.lecture.lab import Lab, Trained
from mlr.lecture.page import drawing
from mlr.lecture.page.answer import Answer, Illustration, PublishedNumber, close
from mlr.lecture.slides.small_steps import neuron_outputs

UPDATES = 301
"""Updates of his animations, which count from 0 to 300."""
MIDDLE = 150
BAD, WORSE = (0.6, 0.9), (2.0, 2.0)
"""Initial weight and bias."""
SLOW, FAST = 0.005, 0.15
"""Learning rates of his animations, of cross-entropy and of squared error."""
SHOWN = {BAD: (0.09375, 0.03996), WORSE: (0.2013, 0.0474)}
"""The output after the last update of his animations: squared error, cross-entropy."""
TEXT = "Nielsen, chapter 3, text"
CODE = "js/saturation{}.js of github.com/mnielsen/nnadl_site @ d7cd90c3"

Outputs = dict[tuple[str, float], list[float]]
"""By loss and learning rate: the neuron's output after 0, 1, … updates."""


def nielsen_neuron(lab: Lab) -> Answer:
    """Does a saturated neuron learn sooner with cross-entropy, as Nielsen's animations show?

    His figures use the learning rate η = 0.15 for squared error and 0.005 for cross-entropy. His
    animations of cross-entropy step along dC/da = 1/(1 − a) where gradient descent steps
    along dC/dz = a, from the worse start 57 times as far. So they reach at 0.005 what
    gradient descent does not; the text's claim holds at equal rates.

    Source: M. Nielsen, Neural Networks and Deep Learning, 2015, chapter 3.
    """
    runs = {start: _train(lab, start) for start in (BAD, WORSE)}
    outputs = {start: _outputs(found) for start, found in runs.items()}
    worse = outputs[WORSE]
    squared, entropy = worse["se", FAST][MIDDLE], worse["bce", FAST][MIDDLE]
    rows = [
        PublishedNumber("output at w = 0.6, b = 0.9", 0.82, outputs[BAD]["se", FAST][0], 2, TEXT),
        PublishedNumber("output at w = 2, b = 2", 0.98, worse["se", FAST][0], 2, TEXT),
    ]
    for number, start in enumerate((BAD, WORSE), start=1):
        rows += _comparisons(number, start, outputs[start])
    claims = (
        close(f"after {MIDDLE} updates squared error is at 0.9334", squared, 0.9334, 5e-5),
        close(f"after {MIDDLE} updates cross-entropy is at 0.0257", entropy, 0.0257, 5e-5),
    )
    sentence = (
        f"Yes, at equal rates: from w = b = 2 the output is {entropy:.4f} after {MIDDLE} updates "
        f"with cross-entropy and {squared:.4f} with squared error; at the rate of his animation, "
        f"though, it is still {worse['bce', SLOW][UPDATES]:.4f} after {UPDATES}, where that shows "
        f"{SHOWN[WORSE][1]}."
    )
    return Answer(sentence, claims, (_picture(worse, runs[WORSE][0]),), tuple(rows))


def _train(lab: Lab, start: tuple[float, float]) -> list[Trained]:
    """Train with squared error at both rates, then with cross-entropy."""
    return lab.sweep(
        "experiment=neuron",
        "loss=se,bce",
        f"optimizer.lr={SLOW},{FAST}",
        f"model.weight={start[0]:g}",
        f"model.bias={start[1]:g}",
        f"epochs={UPDATES}",
        f"probes.points={UPDATES}",
    )


def _outputs(runs: list[Trained]) -> Outputs:
    pairs = [(loss, rate) for loss in ("se", "bce") for rate in (SLOW, FAST)]
    return {
        (loss, rate): neuron_outputs(run, loss).tolist()
        for (loss, rate), run in zip(pairs, runs, strict=True)
    }


def _comparisons(
    number: int, start: tuple[float, float], outputs: Outputs
) -> list[PublishedNumber]:
    squared, entropy = SHOWN[start]
    at = f"output {UPDATES} updates after w = {start[0]:g}, b = {start[1]:g}"
    ours = outputs["se", FAST][UPDATES], as_animated(start), outputs["bce", SLOW][UPDATES]
    of_entropy = CODE.format(number + 2)
    return [
        PublishedNumber(f"{at}: SE, η = {FAST}", squared, ours[0], 4, CODE.format(number)),
        PublishedNumber(f"{at}: BCE along dC/da, η = {SLOW}", entropy, ours[1], 4, of_entropy),
        PublishedNumber(f"{at}: BCE along dC/dz, η = {SLOW}", entropy, ours[2], 4, of_entropy),
    ]


def as_animated(start: tuple[float, float], updates: int = UPDATES) -> float:
    """Compute the output after his animation's updates, of w and b by −η/(1 − a) each."""
    logit = sum(start)
    for _ in range(updates):
        logit -= 2 * SLOW * (1 + exp(logit))  # 1/(1 − σ(z)) = 1 + eᶻ
    return 1 / (1 + exp(-logit))


def _picture(outputs: Outputs, run: Trained) -> Illustration:
    with drawing.canvas() as (figure, axes):
        for loss in ("se", "bce"):
            axes.plot(outputs[loss, FAST], **drawing.of_pair("sigmoid", loss))
        style = drawing.of_pair("sigmoid", "bce") | {"linestyle": ":", "label": f"BCE, η = {SLOW}"}
        axes.plot(outputs["bce", SLOW], **style)
        axes.set(xlabel=f"updates, η = {FAST}", ylabel="output, target 0", ylim=(0, 1.02))
        axes.legend()
        return drawing.picture("the neuron's output from w = b = 2", figure, run)
