"""Imports of a program of one's own."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch


def test_objective_heads_and_losses_come_from_mlr_itself():
    from mlr import Objective, heads, losses

    objective = Objective(heads.Sigmoid(), losses.BinaryCrossEntropy())
    assert isinstance(objective, torch.nn.Module)
    z = torch.tensor([[20.0]], requires_grad=True)
    objective(z, torch.ones(1, 1)).mean().backward()
    assert z.grad.item() == pytest.approx(-2.0611537e-9, rel=1e-6)


def test_nothing_heavy_is_imported_with_it():
    program = "import sys, mlr; assert not {'torch', 'numpy'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.slow
def test_former_names_of_packages_still_import():
    program = (
        "import mlr.watch, mlr.loop, mlr.interval; from mlr.watch.lightning import *; "
        "from mlr.interval import OPEN_UNIT; from mlr.core import domains; "
        "assert mlr.watch is mlr.loop and OPEN_UNIT is domains.OPEN_UNIT"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_other_names_are_unknown():
    import mlr

    with pytest.raises(AttributeError, match="has no attribute 'Objektiv'"):
        _ = mlr.Objektiv
