"""Exact kernels of users' own pairs, and the recipe for a head of mlr's own."""

from __future__ import annotations

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

ROOT = Path(__file__).parents[2]


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


HEAD = '''"""The steep sigmoid."""

from mlr.heads.base import Head
from mlr.core.domains import OPEN_UNIT


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
TERMS = '''

def steep_terms(z: Tensor) -> ClassTerms:
    """σ(2z) and σ(−2z)."""
    y, rest = sigmoid(2 * z), sigmoid(-2 * z)
    rates = 2 * rest, 2 * y
    return ClassTerms.of((y, rest), (softplus(-2 * z), softplus(2 * z)), rates, 2 * y * rest)


from mlr.heads.steep import Steep  # noqa: E402

TERMS[Steep] = steep_terms
'''
PROGRAM = """
import torch
from mlr.heads import HEADS
from mlr.losses import LOSSES
from mlr.objectives import Objective
for loss in ("se", "bce", "ce", "mae", "hinge", "focal", "gce", "smoothed_ce", "gaussian_nll"):
    objective = Objective("steep", loss)
    assert objective.exact, loss
z, t = torch.tensor([[20.0]]), torch.tensor([[1.0]])
slope = Objective("steep", "bce").gradient(z, t).item()
assert abs(slope / -8.496708e-18 - 1) < 1e-6, slope
assert Objective("steep", "matching").gradient(z, t).shape == (1, 1)
"""


def test_a_head_with_exact_losses_takes_four_files(tmp_path):
    """The recipe of `mlr.objectives`, done in a copy."""
    for name in ("__init__.py", "information.py"):
        (tmp_path / "mlr").mkdir(exist_ok=True)
        shutil.copy(ROOT / "mlr" / name, tmp_path / "mlr" / name)
    for name in ("core", "heads", "losses", "objectives"):
        shutil.copytree(ROOT / "mlr" / name, tmp_path / "mlr" / name)
    (tmp_path / "mlr" / "heads" / "steep.py").write_text(HEAD)
    package = tmp_path / "mlr" / "heads" / "__init__.py"
    text = package.read_text()
    text = text.replace(
        "from mlr.heads.sparsemax", "from mlr.heads.steep import Steep\nfrom mlr.heads.sparsemax"
    )
    package.write_text(text.replace("    Sparsemax,\n)", "    Sparsemax,\n    Steep,\n)"))
    with (tmp_path / "mlr" / "objectives" / "kernels" / "class_terms.py").open("a") as file:
        file.write(TERMS)
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
