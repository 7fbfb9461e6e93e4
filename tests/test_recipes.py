"""Recipes of the packages' docstrings, all followed in one copy of the tree, and trained there."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mlr.heads import Sigmoid
from mlr.losses import SquaredError
from mlr.objectives import KERNELS, Kernel, Objective, register
from tests.objectives.test_objective import Quartic

ROOT = Path(__file__).parents[1]

HEAD = '''"""The steep sigmoid."""

from mlr.core.domains import OPEN_UNIT
from mlr.heads.base import Head


class Steep(Head):
    """y = σ(2z)."""

    name = "steep"
    range = OPEN_UNIT
    middle = 0.0

    def __call__(self, logits):
        """y (…, K)."""
        return (2 * logits).sigmoid()

    def potential(self, logits):
        """A(z) (…)."""
        return ((2 * logits).exp().log1p() / 2).sum(-1)

    def slope(self, logits):
        """∂y/∂z (…, K)."""
        return 2 * (2 * logits).sigmoid() * (-2 * logits).sigmoid()
'''
HEAD_TERMS = '''def steep_terms(z: Tensor) -> ClassTerms:
    """σ(2z) and σ(−2z)."""
    y, rest = sigmoid(2 * z), sigmoid(-2 * z)
    rates = 2 * rest, 2 * y
    return ClassTerms.of((y, rest), (softplus(-2 * z), softplus(2 * z)), rates, 2 * y * rest)


'''
HEAD_YAML = """# y = σ(2z), in (0, 1)
_target_: mlr.heads.Steep
"""
LOSS = '''"""Polynomial cross-entropy."""

from mlr.core.domains import SIMPLEX
from mlr.losses.base import Loss, floored_log, floored_log_of_complement


class Poly(Loss):
    """L = Σ_k t_k (−log y_k + ε(1 − y_k)); one output y stands for the pair (1 − y, y).

    Source: Leng et al., PolyLoss, ICLR (2022).
    """

    name = "poly"
    domain = SIMPLEX
    target_domain = SIMPLEX

    def __init__(self, epsilon=1.0):
        self.epsilon = float(epsilon)

    def __call__(self, predictions, targets):
        """L (…)."""
        y, t = predictions, targets
        cost = t * (self.epsilon * (1 - y) - floored_log(y))
        if y.shape[-1] == 1:
            cost = cost + (1 - t) * (self.epsilon * y - floored_log_of_complement(y))
        return cost.sum(-1)
'''
LOSS_COST = '''def poly(epsilon: float) -> ClassCost:
    """f(p) = −log p + ε(1 − p), with the fall 1 + εp."""
    return ClassCost(
        lambda term: term.cost + epsilon * term.rest, lambda term: 1 + epsilon * term.p
    )


'''
LOSS_YAML = """# polynomial cross-entropy, Σ_k t_k (−log y_k + ε(1 − y_k))
_target_: mlr.losses.Poly
epsilon: 1.0  # ε; at 0 it is ce
"""
PAGE = (ROOT / "mlr" / "docs" / "extending.md").read_text(encoding="utf-8")
PROBE = re.findall(r"<!-- example: largest_logit.py -->\n```python\n(.*?)```", PAGE, re.DOTALL)[0]
FAMILY = 'Family("largest_logit", "largest logit of the batch"),'
DATA = '''"""Spirals: two arms of one turn around the origin, which no straight line separates."""

from dataclasses import dataclass

from mlr.core.checks import non_negative
from mlr.data.generated import Generated
from mlr.data.prepare import generator


@dataclass(eq=False, kw_only=True)
class Spiral(Generated):
    """Two arms of a spiral.

    Args:
        noise: standard deviation of the points around their arm.
    """

    name = "spiral"
    noise: float = 0.1

    def __post_init__(self):
        super().__post_init__()
        non_negative("data.noise", self.noise)

    def draw(self, seed):
        """Draw points (n, 2) and labels (n,)."""
        import numpy as np

        rng = generator(seed, self.name, "points")
        labels = rng.permutation(self.n) % 2
        radius = rng.uniform(0.2, 1.0, self.n)
        angle = 2 * np.pi * radius + np.pi * labels
        points = radius * np.stack([np.cos(angle), np.sin(angle)])
        return points.T + self.noise * rng.standard_normal((self.n, 2)), labels
'''
DATA_YAML = """# Two arms of a spiral.
_target_: mlr.data.Spiral
n: 1000  # examples in all three splits together
noise: 0.1  # standard deviation of the points around their arm
label_noise: 0.0  # share of the training labels replaced by another class
val_fraction: 0.2  # share of the examples for validation; 0: none
test_fraction: 0.2  # share of the examples for testing
scale: standardize  # none, standardize or minmax, fitted on the training examples
seed: null  # seed of the generated data; null: the run's seed
order: shuffled  # shuffled or given
drop_last: false  # true: leave out the last examples of an epoch that do not fill a batch
"""
EXPERIMENT_YAML = """# @package _global_
# A steep sigmoid on spirals.
#
#   python scripts/train.py experiment=mine
#
# Source: none.
# Claim: it trains.
# Outcome: it does.
defaults:
  - override /head: steep
  - override /loss: poly
  - override /data: spiral
loss: {epsilon: 0.5}
data: {n: 200, noise: 0.05}
probes: {largest_logit: "every:1", figures: 0}
epochs: 2
"""


def add(file: Path, *lines: tuple[str, str]) -> None:
    """Insert each text behind the only place where the text before it stands."""
    text = file.read_text()
    for before, inserted in lines:
        assert text.count(before) == 1, (file, before)
        text = text.replace(before, before + inserted)
    file.write_text(text)


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """A copy of the tree with a head, a loss, a probe, a dataset and an experiment added."""
    tree = tmp_path_factory.mktemp("recipes")
    for name in ("mlr", "configs", "scripts"):
        # compiled files too, which saves seconds, but none that is just being written
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("*.pyc.*"))
    kernels = tree / "mlr/objectives/kernels"

    # a head with its exact losses: mlr.objectives
    (tree / "mlr/heads/steep.py").write_text(HEAD)
    (tree / "configs/head/steep.yaml").write_text(HEAD_YAML)
    imported = "from mlr.heads.sparsemax import Sparsemax\n"
    add(
        tree / "mlr/heads/__init__.py",
        (imported, "from mlr.heads.steep import Steep\n"),
        ("HEADS: tuple[type[Head], ...] = (\n", "    Steep,\n"),
    )
    add(
        kernels / "class_terms.py",
        ("from mlr.heads.functions import sigmoid, softplus\n", "from mlr.heads import Steep\n"),
        ('"""Logits (…, K) → both classes of each output."""\n\n\n', HEAD_TERMS),
        ("TERMS: dict[type[Head], TermsOf] = {\n", "    Steep: steep_terms,\n"),
    )
    # a loss with exact kernels: mlr.losses
    (tree / "mlr/losses/poly.py").write_text(LOSS)
    (tree / "configs/loss/poly.yaml").write_text(LOSS_YAML)
    imported = "from mlr.losses.matching import Matching\n"
    add(
        tree / "mlr/losses/__init__.py",
        (imported, "from mlr.losses.poly import Poly\n"),
        ("LOSSES: tuple[type[Loss], ...] = (\n", "    Poly,\n"),
    )
    table = "CLASS_LOSSES: dict[type[Loss], Callable[[TermsOf, Any], Kernel]] = {\n"
    line = "    Poly: lambda terms, loss: class_costs(terms, poly(loss.epsilon)),\n"
    add(
        kernels / "class_losses.py",
        (
            "from mlr.objectives.kernels.kernel import Kernel, times\n",
            "from mlr.losses import Poly\n",
        ),
        ('"""f(p) = −log p."""\n\n\n', LOSS_COST),
        (table, line),
    )
    add(
        kernels / "softmax.py",
        ("from mlr.objectives.kernels.class_losses import (\n", "    poly,\n"),
        (
            "SOFTMAX: dict[type[Loss], Callable[[Any], Kernel]] = {\n",
            "    Poly: lambda loss: class_costs(poly(loss.epsilon)),\n",
        ),
        ("from mlr.losses import (\n", "    Poly,\n"),
    )
    # a probe: mlr.probes.families
    (tree / "mlr/probes/families/largest_logit.py").write_text(PROBE)
    add(
        tree / "mlr/probes/families/__init__.py",
        ("FAMILIES = (\n", f"    {FAMILY}\n"),
    )
    # a dataset: mlr.data
    (tree / "mlr/data/spiral.py").write_text(DATA)
    (tree / "configs/data/spiral.yaml").write_text(DATA_YAML)
    imported = "from mlr.data.npz_file import Npz\n"
    add(
        tree / "mlr/data/__init__.py",
        (imported, "from mlr.data.spiral import Spiral\n"),
        ("SOURCES: tuple[type[Source], ...] = (\n", "    Spiral,\n"),
    )
    # an experiment: configs
    (tree / "configs/experiment/mine.yaml").write_text(EXPERIMENT_YAML)
    return tree


def python(tree: Path, *line: str) -> str:
    done = subprocess.run(
        [sys.executable, *line],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_names_the_line_of_a_probe():
    assert f"With the line `{FAMILY}` in `FAMILIES`" in PAGE
    assert "`mlr/probes/families/largest_logit.py`" in PAGE


@pytest.mark.slow
def test_an_experiment_of_new_parts_is_trained(copy):
    python(copy, "scripts/train.py", "experiment=mine", "hydra.run.dir=run")
    status = json.loads((copy / "run/status.json").read_text())
    assert (status["status"], status["pair"]) == ("done", "steep+poly")
    assert status["metrics"]["accuracy/train"] > 0.5
    with (copy / "run/metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    largest = [float(row["largest_logit/batch"]) for row in rows[:-1]]
    assert len(largest) == status["steps"]
    assert min(largest) >= 0
    assert "epsilon: 0.5" in (copy / "run/.hydra/config.yaml").read_text()


@pytest.mark.parametrize(("probes", "on"), [("off", "false"), ("basic", "false"), ("full", "true")])
def test_a_new_probe_is_an_option_of_every_set_and_on_in_the_full_one(copy, probes, on):
    told = python(copy, "scripts/train.py", "--help", f"probes={probes}")
    assert f"\n  probes.largest_logit={on}" in told
    assert told.count("largest logit of the batch") == 1


@pytest.mark.slow
def test_a_new_probe_has_a_schedule_and_a_column(copy):
    line = ("data=moons", "probes=full", "probes.largest_logit=every:2", "steps=5")
    python(copy, "scripts/train.py", *line, "hydra.run.dir=full")
    with (copy / "full/metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows if row["largest_logit/batch"]] == ["0", "2", "4"]


EXACT = """
import torch
from mlr.objectives import Objective

for loss in "se bce ce mae hinge focal gce smoothed_ce gaussian_nll poly".split():
    assert Objective("steep", loss).exact, loss
for head in "sigmoid softmax clipped_linear probit cloglog hard_sigmoid sparsemax".split():
    assert Objective(head, "poly").exact, head
z, t = torch.tensor([[20.0]]), torch.tensor([[1.0]])
slope = Objective("steep", "bce").gradient(z, t).item()
assert abs(slope / -8.496708e-18 - 1) < 1e-6, slope
assert Objective("steep", "matching").gradient(z, t).shape == (1, 1)

h = 1e-5
for head, width in (("steep", 1), ("softmax", 3)):
    objective = Objective(head, "poly")
    z = torch.linspace(-3, 3, 8 * width, dtype=torch.float64).view(8, width)
    t = torch.eye(width, dtype=z.dtype)[torch.arange(8) % width]
    if width == 1:
        t = (torch.arange(8) % 2).to(z.dtype).unsqueeze(-1)
    composed = objective.loss(objective.head(z), t)
    torch.testing.assert_close(objective.losses(z, t), composed, rtol=1e-13, atol=0)
    for k in range(width):
        step = h * torch.eye(width, dtype=z.dtype)[k]
        slopes = (objective.losses(z + step, t) - objective.losses(z - step, t)) / (2 * h)
        torch.testing.assert_close(objective.gradient(z, t)[:, k], slopes, rtol=1e-7, atol=1e-9)
"""


@pytest.mark.slow
def test_new_heads_and_losses_have_exact_kernels(copy):
    python(copy, "-c", EXACT)


class Quarter(Quartic):
    """A loss with a scalar."""

    def __init__(self, factor: float):
        self.factor = factor


@pytest.fixture
def table(monkeypatch):
    """A copy of the table, that what is registered is forgotten."""
    monkeypatch.setattr("mlr.objectives.kernels.table.KERNELS", dict(KERNELS))


def quartic(factor: float = 1.0) -> Kernel:
    def losses(z, t):
        return factor * ((z.sigmoid() - t) ** 4).sum(-1)

    def gradient(z, t):
        y = z.sigmoid()
        return 4 * factor * (y - t) ** 3 * y * (1 - y)

    return Kernel(losses, gradient)


def test_a_registered_kernel_computes_the_pair(table):
    composed = Objective(Sigmoid(), Quartic())
    register(Sigmoid, Quartic, quartic())
    exact = Objective(Sigmoid(), Quartic())
    assert (composed.exact, exact.exact) == (False, True)
    z = torch.linspace(-4, 4, 8, dtype=torch.float64).unsqueeze(1).requires_grad_()
    t = (z.detach() > 1).double()
    for function in ("losses", "gradient"):
        torch.testing.assert_close(
            getattr(exact, function)(z, t), getattr(composed, function)(z, t)
        )
    slopes = torch.autograd.grad(exact(z, t).sum(), z)[0]
    torch.testing.assert_close(slopes, composed.gradient(z, t))


def test_a_kernel_may_be_made_of_the_scalars(table):
    register(Sigmoid, Quarter, lambda head, loss: quartic(loss.factor))
    z, t = torch.zeros(1, 1), torch.ones(1, 1)
    assert Objective(Sigmoid(), Quarter(0.25)).losses(z, t).item() == 2**-6


@pytest.mark.parametrize(("head", "loss"), [("sigmoid", Quartic), (Sigmoid, SquaredError())])
def test_classes_are_registered(table, head, loss):
    with pytest.raises(TypeError, match="must be a class derived from"):
        register(head, loss, quartic())
