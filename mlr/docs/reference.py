"""Pages read from the program and README: public names, commands, experiments, citation."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from mlr.app.cli.main import COMMANDS
from mlr.heads import HEADS
from mlr.losses import LOSSES

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT / "configs" / "experiment"
PUBLIC = {
    "mlr": ("Objective", "GradientProbe", "check", "try_remedies"),
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
CHOICES = re.compile(r"^Choices, each .*?(?=^Useful flags)", re.MULTILINE | re.DOTALL)
"""Choices of `mlr train --help`, which have pages of their own."""


def public_names() -> str:
    """Return the page that lists the public classes and functions with their docstrings."""
    lines = ["# Reference", "", "This page lists the public classes and functions.", ""]
    for module, names in PUBLIC.items():
        lines += [f"## {module}", "", "```{eval-rst}", f".. currentmodule:: {module}", ""]
        for name in names:
            kind = "autofunction" if name[0].islower() else "autoclass"
            lines += [f".. {kind}:: {name}", *["   :members:"] * (kind == "autoclass"), ""]
        lines += ["```", ""]
    return "\n".join(lines)


def commands() -> str:
    """Return the page that lists the commands."""
    lines = ["# Commands", "", "This page lists the commands, each with what it takes.", ""]
    lines += ["In a clone of the repository the folder `scripts` has a script for each.", ""]
    lines += ["| command | does |", "|---|---|"]
    for name, text in COMMANDS.items():
        options_as_code = re.sub(r" (-+\w+)", r" `\1`", text)
        lines += [f"| [{name}](commands/{name}.md) | {options_as_code} |"]
    lines += ["", "[Runs](runs.md#exit-codes) lists their exit codes.", ""]
    return "\n".join(lines)


def command_page(name: str) -> str:
    """Describe a command by its --help."""
    lines = [f"# mlr {name}", "", f"This page shows what `mlr {name} --help` prints."]
    text, cut = CHOICES.subn("", help_of(name))
    if cut:
        lines += [
            "The choices of each group are left out here: see [heads and losses]"
            "(../heads_and_losses.md) and [configuration](../configuration.md)."
        ]
    return "\n".join([*lines, "", "```text", text.strip(), "```", ""])


def help_of(name: str) -> str:
    """Return what a command prints for --help, 80 columns wide."""
    code = "import sys; sys.argv[0] = 'mlr'; from mlr.app.cli.main import main; sys.exit(main())"
    shown = subprocess.run(
        [sys.executable, "-c", code, name, "--help"],
        env={**os.environ, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return shown.stdout


def experiment_page(path: Path) -> str:
    """Describe an experiment by the header of its file: command, source, claim and outcome."""
    header = re.match(r"(?:#.*\n)+", path.read_text(encoding="utf-8"))
    lines = [line[2:] for line in (header[0] if header else "").splitlines()[1:]]
    name = path.stem
    text = f"This page shows the header of `configs/experiment/{name}.yaml`."
    return "\n".join([f"# experiment={name}", "", text, "", "```text", *lines, "```", ""])


def citing() -> str:
    """Return the page with README's section on citing."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _, _, section = readme.partition("\n## Citing and credits\n")
    lines = ["# Citing and credits", "", "This page says how to cite mlr, and whose work it uses."]
    return "\n".join([*lines, section.replace("](mlr/docs/", "](")])
