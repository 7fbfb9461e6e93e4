"""Every tag that a run records is on the page of the dashboards, and no other."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from mlr.docs import build
from mlr.probes.base import Subject
from mlr.probes.families import FAMILIES, probe_class

TEXT = (build.PAGES / "dashboards.md").read_text(encoding="utf-8")
NOT_SERIES = ("_hparams_/", "custom_scalars__config__")
"""How TensorBoard stores its own pages."""


def listed(text: str = TEXT) -> set[str]:
    """Tags of the tables' first columns; one without a group has that of the tag before it."""
    found: set[str] = set()
    for cell in re.findall(r"^\| (`.+?) \|", text, re.MULTILINE):
        group = ""
        for name in re.findall(r"`([^`]+)`", cell):
            if "/" in name:
                group = name.partition("/")[0] + "/"
                found.add(name)
            else:
                found.add(group + name)
    return found


def pattern(tag: str, layers: set[str]) -> str:
    """The tag as a page writes it: <k> for a class, <layer> for a layer."""
    group, _, name = tag.partition("/")
    if group in ("logit_grad_class", "pr_curve"):
        return f"{group}/<k>"
    return f"{group}/<layer>" if name in layers and group != "figure" else tag


def test_a_cell_is_read():
    cells = "| `a/b`, `c`, `d/<layer>` | `e/f` |\n| `g` | what |\n| tag | `h/i` |\n"
    assert listed(cells) == {"a/b", "a/c", "d/<layer>", "g"}


def test_tags_of_all_probes_are_on_the_page_and_no_others_of_their_groups():
    layers = {"hidden1", "output"}
    subjects = [
        Subject(3, False, ("hidden1", "output"), ("hidden1", "output"), ("hidden1",)),
        Subject(None, True, ("output",), ("output",), ()),
        Subject(None, False, ("output",), ("output",), (), multilabel=True),
    ]
    declared = {
        pattern(tag, layers)
        for subject in subjects
        for family in FAMILIES
        for tag in probe_class(family.name)(subject, 0.01).tags
    }
    assert len(declared) > 40
    groups = {tag.partition("/")[0] for tag in declared}
    of_splits = {tag for tag in listed() if tag.endswith(("/val", "/test"))}
    assert {tag for tag in listed() - of_splits if tag.partition("/")[0] in groups} == declared


def test_the_summary_of_a_sweep_counts_its_runs():
    from mlr.records.summary import COUNT

    assert COUNT in listed()


def recorded(run: Path) -> set[str]:
    """Tags of a run: those of its event files, and the columns of metrics.csv."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    tags = {
        value.tag
        for path in run.glob("events*")
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
        if not value.tag.startswith(NOT_SERIES)
    }
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return tags | {*next(csv.reader(file))} - {"step", "epoch"}


RUNS = (
    "model=mlp model.widths=[8] evaluate.test_every_epoch=true max_grad_norm=1 optimizer=adam "
    "optimizer.lr=0.01 schedule=cosine",
    "model=cnn data=synthetic_mnist data.n=200",
    "data=line head=gaussian loss=gaussian_nll",
    "data=line head=linear loss=se",
    "data=multilabel head=sigmoid loss=bce",
    "data=neuron head=clipped_linear loss=se batch_size=1",
    "data=moons model=mlp head=sigmoid loss=bce data.val_fraction=0",
)


@pytest.mark.slow
def test_recorded_tags_are_on_the_page_and_all_on_the_page_are_recorded(tmp_path, script):
    found: set[str] = set()
    for number, line in enumerate(RUNS):
        options = [*line.split(), "epochs=2", "probes=full", "probes.prediction=true"]
        shown = script("train.py", *options, f"hydra.run.dir={number}", folder=tmp_path)
        assert shown.code == 0, shown.err
        run = tmp_path / str(number)
        tags = recorded(run)
        layers = {tag.partition("/")[2] for tag in tags if tag.startswith("update_to_weight/")}
        found |= {pattern(tag, layers) for tag in tags}
    own_loop(tmp_path / "own")
    own = recorded(tmp_path / "own")
    found |= {pattern(tag, {"0", "2"}) for tag in own}
    assert found == listed() - {"runs/counted"}


def own_loop(folder: Path) -> None:
    """Record a loop of plain PyTorch with all that GradientProbe measures."""
    import torch

    from mlr import GradientProbe

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientProbe(model, optimizer, folder, head="softmax", settings="full") as probe:
        for _ in range(5):
            logits = model(torch.randn(16, 4))
            targets = torch.randint(3, (16,))
            loss = torch.nn.functional.cross_entropy(logits, targets)
            probe.watch(logits, targets, loss)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
