"""The README's picture, drawn from the program's own formulas and runs."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch

from mlr.core.durable import atomic_write
from mlr.data import Digits, Neuron
from mlr.models import Linear
from mlr.objectives import Objective
from mlr.records import Recorder, RunFolder
from mlr.training import SGD, Experiment, train
from mlr.training.log import run_tags

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# one colour and one line style a pair, in every panel; told apart in grey print too
PAIRS = {
    ("clipped_linear", "se"): ("#999999", ":"),
    ("sigmoid", "se"): ("#d55e00", "--"),
    ("sigmoid", "bce"): ("#0072b2", "-"),
}


def label(pair: tuple[str, str]) -> str:
    """`head + loss`, as a person writes it."""
    return f"{pair[0].replace('_', '-')} + {pair[1].upper()}"


def draw_readme_picture(path: Path) -> None:
    """Three panels: gradient against logit, the saturated neuron, and real digits."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.9), layout="constrained", dpi=110)
    against_logit, neuron, digits = figure.subplots(1, 3)
    gradient_against_logit(against_logit)
    saturated_neuron(neuron)
    wrong_digits(digits)
    figure.legend(*against_logit.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    atomic_write(path, drawn.getvalue())


def gradient_against_logit(axes: Axes) -> None:
    """|dL/dz| of one example with target 1, from the objectives' closed form."""
    z = torch.linspace(-8, 8, 1601, dtype=torch.float64).unsqueeze(1)
    for pair, (colour, style) in PAIRS.items():
        sizes = Objective(*pair, outputs=1).gradient(z, torch.ones_like(z)).abs()
        axes.plot(z[:, 0], sizes[:, 0], style, color=colour, label=label(pair), linewidth=2)
    axes.set(title="Who gets gradient?  target 1", xlabel="logit z", ylabel="|dL/dz|")


def saturated_neuron(axes: Axes) -> None:
    """Input 1, target 0, started at z = 4: confidently wrong."""
    for pair, (colour, style) in PAIRS.items():
        experiment = Experiment(
            objective=Objective(*pair, outputs=1),
            module=Linear(weight=2.0, bias=2.0).build((1,), 1, 0),
            data=Neuron().load(0),
            optimizer=SGD(lr=0.15),
            batch_size=1,
            steps=300,
        )
        steps, losses = series(experiment, "loss/train")
        axes.plot(steps, losses, style, color=colour, linewidth=2)
    axes.set(title="A confidently wrong neuron", xlabel="updates", ylabel="loss", yscale="log")


def wrong_digits(axes: Axes) -> None:
    """Mean |dL/dz| of the wrongly predicted training digits, batch by batch."""
    data = Digits().load(0)
    for pair, (colour, style) in PAIRS.items():
        experiment = Experiment(
            objective=Objective(*pair, outputs=10),
            module=Linear(init="normal").build(data.feature_shape, 10, 0),
            data=data,
            optimizer=SGD(lr=0.5),
            batch_size=32,
            epochs=20,
        )
        steps, sizes = series(experiment, "logit_grad/wrong")
        axes.plot(steps, sizes, style, color=colour, linewidth=1.3)
    axes.set(
        title="Digits: the wrong ones", xlabel="updates", ylabel="mean |dL/dz|", ylim=(0, None)
    )


def series(experiment: Experiment, tag: str) -> tuple[Sequence[int], Sequence[float]]:
    """Steps and values of `tag` in the metrics.csv of a run made for it."""
    with TemporaryDirectory() as folder:
        claimed = RunFolder.claim(Path(folder) / "run")
        with Recorder(claimed, run_tags(experiment), {}) as recorder:
            (result,) = train([experiment], [recorder])
            recorder.finish(result.status, result.metrics)
        with claimed.metrics.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row[tag]]
    return [int(row["step"]) for row in rows], [float(row[tag]) for row in rows]
