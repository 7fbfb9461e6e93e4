"""Draw the README's picture, from runs made for it.

python -m mlr.lecture.readme_picture
python -m mlr.lecture.readme_picture --out picture.png
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch

from mlr.app.config.output_paths import ROOT
from mlr.core.durable import atomic_write
from mlr.lecture.lab import Lab
from mlr.lecture.page.drawing import of_pair
from mlr.objectives import Objective

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TARGET = ROOT / ".assets" / "gradient.png"
PAIRS = (("clipped_linear", "se"), ("sigmoid", "se"), ("sigmoid", "bce"))


def main() -> int:
    """Draw the picture into the file that the command line names; returns the exit code."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", metavar="FILE", default=TARGET, help="default: .assets/gradient.png, the README's"
    )
    out = parser.parse_args().out
    draw_readme_picture(Path(out))
    print(f"drawn: {out}")
    return 0


def draw_readme_picture(path: Path) -> None:
    """Draw three panels: gradient against logit, the saturated neuron, and real digits."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.9), layout="constrained", dpi=110)
    against_logit, neuron, digits = figure.subplots(1, 3)
    gradient_against_logit(against_logit)
    with TemporaryDirectory() as folder:
        lab = Lab(Path(folder))
        saturated_neuron(neuron, lab)
        wrong_digits(digits, lab)
    figure.legend(*against_logit.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    atomic_write(path, drawn.getvalue())


def gradient_against_logit(axes: Axes) -> None:
    """Plot |dL/dz| of one example with target 1."""
    z = torch.linspace(-8, 8, 1601, dtype=torch.float64).unsqueeze(1)
    for pair in PAIRS:
        sizes = Objective(*pair, outputs=1).gradient(z, torch.ones_like(z)).abs()
        axes.plot(z[:, 0], sizes[:, 0], **of_pair(*pair), linewidth=2)
    axes.set(title="Who gets gradient?  target 1", xlabel="logit z", ylabel="|dL/dz|")


def saturated_neuron(axes: Axes, lab: Lab) -> None:
    """Plot the loss of a neuron with input 1 and target 0 that starts at z = 4."""
    for head, loss in PAIRS:
        run = lab.run("experiment=neuron", f"head={head}", f"loss={loss}")
        axes.plot(*run.series["loss/train"], **of_pair(head, loss), linewidth=2)
    axes.set(title="A confidently wrong neuron", xlabel="updates", ylabel="loss", yscale="log")


def wrong_digits(axes: Axes, lab: Lab) -> None:
    """Plot the mean |dL/dz| of the wrongly predicted training digits, batch by batch."""
    for head, loss in PAIRS:
        own = (f"head={head}", f"loss={loss}", "data=digits", "model.init=normal")
        run = lab.run(*own, "optimizer.lr=0.5", "batch_size=32", "epochs=20")
        axes.plot(*run.series["logit_grad/wrong"], **of_pair(head, loss), linewidth=1.3)
    axes.set(
        title="Digits: the wrong ones", xlabel="updates", ylabel="mean |dL/dz|", ylim=(0, None)
    )


if __name__ == "__main__":
    sys.exit(main())
