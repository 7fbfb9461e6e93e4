"""Build the documentation as a site: the pages of this folder, and those that are generated.

python -m mlr.docs.build runs/site

Generated are a page for each head and each loss, with curves drawn by the program, the details
of the experiments from the headers of their files, and the reference of public names.
"""

from __future__ import annotations

import inspect
import re
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from mlr.core.checks import InputError
from mlr.docs import notebook_pages
from mlr.heads import HEADS, Head
from mlr.losses import LOSSES, Loss
from mlr.objectives import Objective, check_pair
from mlr.objectives.compatibility import usual_loss
from mlr.objectives.display import REACH, curves

PAGES = Path(__file__).parent
EXPERIMENTS = PAGES.parents[1] / "configs" / "experiment"
CHAPTERS = (
    "tutorial", "heads_and_losses", "not_learning", "experiments", "configuration", "dashboards",
    "compare", "notebooks", "figures", "sweeps", "clusters", "runs", "objective", "numerics",
    "own_loop", "extending", "lecture", "api", "design", "contributing",
)  # fmt: skip
"""Pages in the order of the side bar."""
HEAD_CURVES = "The first output; of several outputs the others have logit 0."
LOSS_CURVES = "An example with target 1 for the first output; of several the others have logit 0."
REFERENCE = {
    "mlr": ("Objective", "GradientProbe"),
    "mlr.heads": ("Head", *(head.__name__ for head in HEADS)),
    "mlr.losses": ("Loss", *(loss.__name__ for loss in LOSSES)),
    "mlr.objectives": ("Kernel", "check_pair", "register"),
    "mlr.information": (
        "entropy", "cross_entropy", "kl_divergence", "gaussian_entropy", "gaussian_cross_entropy",
        "gaussian_kl_divergence", "log_likelihood", "likelihood", "fit_bernoulli",
        "fit_categorical", "fit_gaussian", "fit_by_descent",
    ),
    "mlr.records": ("load",),
    "mlr.analysis.notebook": (
        "run", "compare", "explain", "RunDisplay", "ComparisonDisplay", "DiagnosisDisplay",
    ),
    "mlr.analysis.plots": ("learning_curves", "wrong_gradients", "matrix", "pair_curves"),
}  # fmt: skip
"""Public names by the module that a program imports them from."""


def build(site: Path) -> int:
    """Build the site into a folder; return Sphinx's exit code, which warnings make 1."""
    from sphinx.cmd.build import main

    with TemporaryDirectory() as folder:
        source = Path(folder)
        write_source(source)
        notebook_pages.write_pages(source / "notebooks")
        return int(main(["-q", "-W", "--keep-going", "-b", "html", str(source), str(site)]))


def write_source(folder: Path) -> None:
    """Write all pages but notebooks, which take longer, as Sphinx reads them."""
    for page in (*PAGES.glob("*.md"), PAGES / "conf.py"):
        shutil.copy(page, folder)
    (folder / "heads").mkdir()
    (folder / "losses").mkdir()
    for head in HEADS:
        write(folder / "heads" / f"{head.name}.md", head_page(head, folder / "heads"))
    for loss in LOSSES:
        write(folder / "losses" / f"{loss.name}.md", loss_page(loss, folder / "losses"))
    write(folder / "api.md", reference())
    append(folder / "experiments.md", experiments())
    append(folder / "heads_and_losses.md", toctree("heads/*", "losses/*"))
    append(
        folder / "notebooks.md", toctree(*(f"notebooks/{name}" for name in notebook_pages.SHOWN))
    )
    append(folder / "index.md", toctree(*CHAPTERS))


def write(path: Path, text: str) -> None:
    """Write a page."""
    path.write_text(text, encoding="utf-8")


def append(path: Path, text: str) -> None:
    """Write a text at the end of a page."""
    write(path, f"{path.read_text(encoding='utf-8')}\n{text}")


def toctree(*names: str) -> str:
    """Return the contents of the side bar below a page."""
    lines = ["```{toctree}", ":hidden:", ":glob:", "", *names, "```"]
    return "\n".join(lines) + "\n"


def head_page(head: type[Head], folder: Path) -> str:
    """Describe a head: its docstring, its curve and slope, and the losses that go with it."""
    name = head.name
    lines = [f"# head={name}", "", documented(head), ""]
    if head.range.per_target == 1:
        draw_head(head(), folder / f"{name}.svg")
        lines += [f"![Prediction and slope against the logit]({name}.svg)", "", HEAD_CURVES, ""]
    lines += ["## When it fails", "", section("heads", name), ""]
    lines += ["## Losses", "", f"Without `loss=…` it is trained with `{usual_loss(name)}`.", ""]
    lines += ["| loss | one output | three outputs |", "|---|---|---|"]
    lines += [f"| [{loss.name}](../losses/{loss.name}.md) | {legal(head, loss, 1)} "
              f"| {legal(head, loss, 3)} |" for loss in LOSSES]  # fmt: skip
    return "\n".join(lines) + "\n"


def loss_page(loss: type[Loss], folder: Path) -> str:
    """Describe a loss: its docstring, its curve and gradient, and the heads that go with it."""
    name = loss.name
    lines = [f"# loss={name}", "", documented(loss), ""]
    drawn = draw_loss(loss, folder / f"{name}.svg")
    if drawn:
        lines += [f"![Loss and dL/dz against the logit]({name}.svg)", "", LOSS_CURVES, ""]
    lines += ["## When it fails", "", section("losses", name), ""]
    lines += ["## Heads", "", "| head | one output | three outputs |", "|---|---|---|"]
    lines += [f"| [{head.name}](../heads/{head.name}.md) | {legal(head, loss, 1)} "
              f"| {legal(head, loss, 3)} |" for head in HEADS]  # fmt: skip
    return "\n".join(lines) + "\n"


def section(kind: str, name: str) -> str:
    """Return the section of a head or a loss in its file of `parts`."""
    text = (PAGES / "parts" / f"{kind}.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {name}\n\n(.+?)\n*(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError(f"mlr/docs/parts/{kind}.md has no section {name}.")
    return found[1]


def documented(part: type) -> str:
    """Return a docstring as Markdown."""
    text = inspect.cleandoc(part.__doc__ or "")
    text = re.sub(r"^Source: ", "**Source:** ", text, flags=re.MULTILINE)
    return text.replace("_", r"\_").replace("*", r"\*").replace(r"\*\*Source:\*\*", "**Source:**")


def legal(head: type[Head], loss: type[Loss], outputs: int) -> str:
    """Say whether a pair is legal, as the program decides it."""
    try:
        count = head.range.per_target
        check_pair(head.name, loss.name, outputs * count, regression=count > 1 or None)
    except InputError:
        return "refused"
    return "yes"


def draw_head(head: Head, path: Path) -> None:
    """Draw y and dy/dz of the first output; of several, the others have logit 0."""
    z = torch.zeros(601, head.range.least_outputs, dtype=torch.float64)
    z[:, 0] = torch.linspace(-REACH, REACH, 601, dtype=torch.float64)
    figure, (left, right) = canvas()
    left.plot(z[:, 0], head(z)[:, 0])
    left.set(xlabel="logit z", ylabel="prediction y")
    right.plot(z[:, 0], head.slope(z)[:, 0])
    right.set(xlabel="logit z", ylabel="slope dy/dz")
    figure.savefig(path)


def draw_loss(loss: type[Loss], path: Path) -> bool:
    """Draw the loss and dL/dz of the first output, target 1, with the classic heads."""
    figure, (left, right) = canvas()
    for head in HEADS[:4]:
        if legal(head, loss, head.range.least_outputs) == "refused":
            continue
        objective = Objective(head.name, loss.name)
        curve, _ = curves(objective.head, objective.kernel)
        left.plot(curve.logits, curve.losses, label=head.name)
        right.plot(curve.logits, curve.gradient, label=head.name)
    drawn = bool(left.lines)
    if drawn:
        left.set(xlabel="logit z", ylabel="loss", ylim=(0, 6))
        right.set(xlabel="logit z", ylabel="dL/dz", ylim=(-2.5, 1))
        left.legend()
        figure.savefig(path)
    return drawn


def canvas():  # type: ignore[no-untyped-def]
    """Return a figure with two axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots(1, 2)
    for one in axes:
        one.grid(alpha=0.3)
    return figure, axes


def experiments() -> str:
    """Return the header of every experiment's file."""
    parts = ["## Claims and outcomes", ""]
    for path in sorted(EXPERIMENTS.glob("*.yaml")):
        header = re.match(r"(?:#.*\n)+", path.read_text(encoding="utf-8"))
        lines = [line[2:] for line in (header[0] if header else "").splitlines()[1:]]
        parts += [f"### {path.stem}", "", "```text", *lines, "```", ""]
    return "\n".join(parts)


def reference() -> str:
    """Return the page that lists the public classes and functions with their docstrings."""
    lines = ["# Reference", "", "This page lists the public classes and functions.", ""]
    for module, names in REFERENCE.items():
        lines += [f"## {module}", "", "```{eval-rst}", f".. currentmodule:: {module}", ""]
        for name in names:
            kind = "autofunction" if name[0].islower() else "autoclass"
            lines += [f".. {kind}:: {name}", "   :members:" if kind == "autoclass" else "", ""]
        lines += ["```", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1])))
