"""The lecture's line: squared error is the cross-entropy of a Gaussian, and σ can be learned."""

from __future__ import annotations

import math

import pytest
import torch

from tests.app.sweeping import rows

NOISE, COUNT = 0.5, 600
"""of the experiment: standard deviation, and training examples"""


@pytest.fixture
def swept(train):
    line = ("experiment=line", "head=linear,gaussian", "loss=se,gaussian_nll", "seed=range(0,6)")
    finished = train("-m", *line)
    assert finished.code == 0, finished.err
    return finished


def test_what_the_experiment_claims(swept):
    by_pair: dict[str, list[dict[str, str]]] = {}
    for row in rows(swept):
        by_pair.setdefault(f"{row['head']}+{row['loss']}", []).append(row)
    assert {row["status"] for row in by_pair.pop("gaussian+se")} == {"refused"}
    assert {row["status"] for rows in by_pair.values() for row in rows} == {"done"}

    def numbers(pair: str, tag: str) -> torch.Tensor:
        return torch.tensor([float(row[tag]) for row in by_pair[pair]])

    se, nll = (numbers(f"linear+{loss}", "loss/test") for loss in ("se", "gaussian_nll"))
    torch.testing.assert_close(nll - se, torch.full_like(se, 0.5 * math.log(2 * math.pi)))
    assert se.mean().item() == pytest.approx(NOISE**2 / 2, rel=0.1)
    learned = numbers("gaussian+gaussian_nll", "predicted_std/train")
    # the standard error of a standard deviation is σ/√(2m)
    assert ((learned / NOISE - 1).abs() < 3 / math.sqrt(2 * COUNT)).all()
    # and what squared error leaves of the same data is the deviation that is learned
    left = (2 * numbers("linear+se", "loss/train")).sqrt()
    torch.testing.assert_close(learned, left, rtol=0.01, atol=0)
    entropy = math.log(NOISE) + 0.5 * math.log(2 * math.pi * math.e)
    assert numbers("gaussian+gaussian_nll", "loss/test").mean().item() == pytest.approx(
        entropy, abs=0.1
    )
    assert "predicted std" in swept.out
    assert len(swept.runs) == 18


def test_linear_and_gaussian_learn_in_one_sweep_what_each_learns_alone(train, tmp_path):
    line = ("experiment=line", "loss=gaussian_nll", "seed=0", "epochs=3")
    train("-m", *line, "head=linear,gaussian", f"hydra.sweep.dir={tmp_path}/sweep")
    for head in ("linear", "gaussian"):
        alone = train(*line, f"head={head}", f"hydra.run.dir={tmp_path}/{head}")
        (together,) = (tmp_path / "sweep").glob(f"{head}+gaussian_nll*")
        table = (tmp_path / head / "metrics.csv").read_bytes()
        assert (together / "metrics.csv").read_bytes() == table
        assert ("predicted std" in alone.out) == (head == "gaussian")
        assert (b"predicted_std/val" in table) == (head == "gaussian")
