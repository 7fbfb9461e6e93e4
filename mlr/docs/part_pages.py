"""Pages of heads and losses: docstring, curves drawn by the program, partners, published values."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from cycler import cycler
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mlr.core.checks import InputError
from mlr.docs.published import published_section
from mlr.heads import HEADS, Head
from mlr.losses import LOSSES, Loss
from mlr.objectives import Objective, check_pair
from mlr.objectives.compatibility import usual_loss
from mlr.objectives.display import REACH, curves

PARTS = Path(__file__).parent / "parts"
HEAD_CURVES = "The first output; of several outputs the others have logit 0."
LOSS_CURVES = "An example with target 1 for the first output; of several the others have logit 0."
INKS = {"light": "#23272e", "dark": "#ced6dd"}
"""Colour of text and axes by the theme of the site; the ground is its own."""
LINES = ("#3b8ad8", "#e07b1f", "#2fa36b", "#c05bc9")
"""Colours of the first heads, seen on both grounds."""
MARGINS = {"left": 0.1, "right": 0.98, "bottom": 0.18, "top": 0.87, "wspace": 0.36}
"""Shares of a drawing; to measure texts takes as long as to draw them."""


def head_page(head: type[Head], folder: Path) -> str:
    """Describe a head: its docstring, its curve and slope, and the losses that go with it."""
    name = head.name
    lines = [f"# head={name}", ""]
    lines += [f"This page describes the output head `{name}`.", "", documented(head), ""]
    if head.range.per_target == 1:
        shown = in_both_themes(
            folder / name,
            "Prediction and slope against the logit",
            lambda *axes: draw_head(head(), *axes),
        )
        lines += [shown, "", HEAD_CURVES, ""]
    lines += ["## When it fails", "", section("heads", name), ""]
    lines += ["## Losses", "", f"Without `loss=…` it is trained with `{usual_loss(name)}`.", ""]
    lines += partners("loss", "losses", {one.name: (head, one) for one in LOSSES})
    lines += ["", "## Published values", "", published_section(f"heads/{name}")]
    return "\n".join(lines)


def loss_page(loss: type[Loss], folder: Path) -> str:
    """Describe a loss: its docstring, its curve and gradient, and the heads that go with it."""
    name = loss.name
    lines = [f"# loss={name}", ""]
    lines += [f"This page describes the loss `{name}`.", "", documented(loss), ""]
    able = [head for head in HEADS if legal(head, loss, head.range.least_outputs) == "yes"]
    # the classic four, or one of a family of its own
    heads = [head for head in able if head in HEADS[:4]] or [
        head for head in able[:1] if head.range.per_target == 1
    ]
    if heads:
        shown = in_both_themes(
            folder / name,
            "Loss and dL/dz against the logit",
            lambda *axes: draw_loss(heads, loss, *axes),
        )
        lines += [shown, "", LOSS_CURVES, ""]
    lines += ["## When it fails", "", section("losses", name), ""]
    lines += ["## Heads", ""]
    lines += partners("head", "heads", {one.name: (one, loss) for one in HEADS})
    lines += ["", "## Published values", "", published_section(f"losses/{name}")]
    return "\n".join(lines)


def partners(
    kind: str, folder: str, pairs: dict[str, tuple[type[Head], type[Loss]]]
) -> Iterator[str]:
    """Write a table of the legal pairs by the name of the partner, and a line of the refused."""
    refused = []
    yield from (f"| {kind} | one output | three outputs |", "|---|---|---|")
    for name, (head, loss) in pairs.items():
        cells = [legal(head, loss, outputs) for outputs in (1, 3)]
        if "yes" in cells:
            yield f"| [{name}](../{folder}/{name}.md) | {' | '.join(cells)} |"
        else:
            refused.append(f"[{name}](../{folder}/{name}.md)")
    if refused:
        yield from ("", f"Refused: {', '.join(refused)}.")


def section(kind: str, name: str) -> str:
    """Return the section of a head or a loss in its file of `parts`."""
    text = (PARTS / f"{kind}.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {name}\n\n(.+?)\n*(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError(f"mlr/docs/parts/{kind}.md has no section {name}.")
    return found[1]


def documented(part: type) -> str:
    """Return a docstring as Markdown."""
    text = inspect.cleandoc(part.__doc__ or "")
    plain = (part if part[0] == "`" else re.sub("[_*]", r"\\\g<0>", part)
             for part in re.split("(`+[^`]+`+)", text) if part)  # fmt: skip
    return re.sub(r"^Source: ", "**Source:** ", "".join(plain), flags=re.MULTILINE)


def legal(head: type[Head], loss: type[Loss], outputs: int) -> str:
    """Say whether a pair is legal, as the program decides it."""
    try:
        count = head.range.per_target
        check_pair(head.name, loss.name, outputs * count, regression=count > 1 or None)
    except InputError:
        return "refused"
    return "yes"


def in_both_themes(path: Path, description: str, draw: Callable[[Axes, Axes], None]) -> str:
    """Draw two axes for the light and the dark theme; return the Markdown that shows the one."""
    inked = ("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color")
    style: Any = {
        "axes.prop_cycle": cycler(color=LINES),
        "legend.frameon": False,
        **dict.fromkeys(inked, INKS["light"]),
    }
    text = StringIO()
    with rc_context(style):
        # small, so that its words are read on a phone
        figure = Figure(figsize=(5.8, 2.8))
        axes = figure.subplots(1, 2, gridspec_kw=MARGINS)
        for one in axes:
            one.grid(alpha=0.3)
            one.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        draw(*axes)
        figure.savefig(text, format="svg", transparent=True)
    shown = []
    for theme, ink in INKS.items():
        drawn = text.getvalue().replace(INKS["light"], ink)
        path.with_name(f"{path.name}-{theme}.svg").write_text(drawn, encoding="utf-8")
        shown.append(f"![{description}]({path.name}-{theme}.svg){{.only-{theme}}}")
    return "\n".join(shown)


def draw_head(head: Head, left: Axes, right: Axes) -> None:
    """Draw y and dy/dz of the first output; of several, the others have logit 0."""
    z = torch.zeros(601, head.range.least_outputs, dtype=torch.float64)
    z[:, 0] = torch.linspace(-REACH, REACH, 601, dtype=torch.float64)
    left.plot(z[:, 0], head(z)[:, 0])
    left.set(xlabel="logit z", ylabel="prediction y")
    right.plot(z[:, 0], head.slope(z)[:, 0])
    right.set(xlabel="logit z", ylabel="slope dy/dz")


def draw_loss(heads: list[type[Head]], loss: type[Loss], left: Axes, right: Axes) -> None:
    """Draw the loss and dL/dz of the first output, target 1, with each of the heads."""
    for head in heads:
        objective = Objective(head.name, loss.name)
        curve, _ = curves(objective.head, objective.kernel)
        colour = LINES[HEADS.index(head) % len(LINES)]
        left.plot(curve.logits, curve.losses, color=colour, label=head.name)
        right.plot(curve.logits, curve.gradient, color=colour)
    left.set(xlabel="logit z", ylabel="loss")
    right.set(xlabel="logit z", ylabel="dL/dz")
    if not loss.on_logits:  # whose loss may be large everywhere
        left.set_ylim(0, min(6, left.get_ylim()[1]))
        low, high = right.get_ylim()
        right.set_ylim(max(-2.5, low), min(1.1, high))
    left.figure.legend(*left.get_legend_handles_labels(), loc="upper center", ncols=4)
