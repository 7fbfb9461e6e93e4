"""Data of several labels: every number against counts written down by hand, and scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mlr.data.base import Dataset, Split
from mlr.models import Linear, Mlp
from mlr.objectives import Objective
from mlr.probes import ProbeSettings
from mlr.training import SGD, Experiment, train
from mlr.training.log import run_tags
from tests.training.test_log import recorded

T = torch.tensor([[1, 0, 1], [1, 1, 0], [0, 0, 0], [0, 1, 0]], dtype=torch.float64)
"""Labels of four examples, of which one has none."""
Z = torch.tensor([[2, -1, 1], [1, -2, -1], [-1, -1, 3], [-2, 3, -1]], dtype=torch.float64)
"""Logits: two labels are wrong, one each of the second and the third example."""


def by_hand(split: Split, **changes) -> Experiment:
    """A run whose network passes its features on as logits."""
    module = nn.Sequential(nn.Linear(3, 3, bias=False)).double()
    nn.init.eye_(module[0].weight)
    whole = {
        "objective": Objective("sigmoid", "bce", outputs=3),
        "module": module,
        "data": Dataset("by hand", split, split, split, None, multilabel=True),
        "optimizer": SGD(lr=1e-300),
        "steps": 1,
        "batch_size": len(split),
        "shuffle": False,
        "dtype": "float64",
    }
    return Experiment(**{**whole, **changes})


def test_final_numbers_are_those_counted_by_hand():
    metrics = train([by_hand(Split(Z, T))])[0].metrics
    for name in ("val", "test", "train"):
        assert metrics[f"label_accuracy/{name}"] == pytest.approx(10 / 12, abs=1e-15)
        assert metrics[f"exact_match/{name}"] == 2 / 4
    # found (2, 1, 1), predicted (2, 1, 2), there (2, 2, 1)
    assert metrics["f1_micro/test"] == 2 * 4 / 10
    assert metrics["f1_macro/test"] == pytest.approx((1 + 2 / 3 + 2 / 3) / 3, abs=1e-15)
    assert "accuracy/test" not in metrics
    assert "rmse/test" not in metrics


@pytest.mark.slow
def test_scores_agree_with_scikit_learn():
    from sklearn.metrics import accuracy_score, f1_score, hamming_loss

    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(50, 3)), rng.integers(0, 2, (50, 3)).astype(float)
    # a label that is neither there nor predicted has F1 = 0 in both
    z[:, 2], t[:, 2] = -1, 0
    metrics = train([by_hand(Split(torch.tensor(z), torch.tensor(t)))])[0].metrics
    y = (z >= 0).astype(int)
    for average in ("micro", "macro"):
        theirs = f1_score(t, y, average=average, zero_division=0)
        assert metrics[f"f1_{average}/test"] == pytest.approx(theirs, abs=1e-12)
    assert metrics["exact_match/test"] == pytest.approx(accuracy_score(t, y), abs=1e-12)
    assert metrics["label_accuracy/test"] == pytest.approx(1 - hamming_loss(t, y), abs=1e-12)


def test_numbers_of_a_batch(tmp_path):
    everything = replace(ProbeSettings(), prediction=True, slopes=True, points="every:1")
    run = by_hand(Split(Z, T), probes=everything)
    first = recorded(tmp_path, [run])[0][0]
    y = torch.sigmoid(Z)
    gradient = (y - T).square().sum(-1).sqrt()
    wrong = torch.tensor([False, True, True, False])
    expected = {
        "loss/train": nn.functional.binary_cross_entropy(y, T, reduction="none").sum(1).mean(),
        "label_accuracy/train": torch.tensor(10 / 12),
        "exact_match/train": torch.tensor(0.5),
        "prediction/target_1": y[T == 1].mean(),
        "prediction/target_0": y[T == 0].mean(),
        "logit_grad/wrong": gradient[wrong].mean(),
        "logit_grad/right": gradient[~wrong].mean(),
        "slope/head": (y * (1 - y)).mean(),
    }
    for tag, value in expected.items():
        assert first[tag] == pytest.approx(value.item(), rel=1e-6), tag
    assert set(first) - {"epoch"} <= set(run_tags(run))


def test_stuck_examples_are_those_with_a_wrong_label():
    z = torch.tensor([[40.0, 40, 40], [-40, -40, -40]], dtype=torch.float64)
    t = torch.tensor([[1.0, 1, 1], [0, 0, 1]], dtype=torch.float64)
    run = by_hand(Split(z, t), objective=Objective("sigmoid", "se", outputs=3))
    metrics = train([run])[0].metrics
    assert metrics["stuck/fraction"] == 0.5
    assert metrics["exact_match/train"] == 0.5


def test_anatomy_counts_each_label():
    data = Dataset("named", *[Split(Z, T)] * 3, None, ("a", "b", "c"), multilabel=True)
    anatomy = train([by_hand(Split(Z, T), data=data)])[0].anatomy
    assert anatomy["targets"] == {
        "labels": ["a", "b", "c"],
        "count": [2, 2, 1],
        "recall": [1, 0.5, 1],
        "precision": [1, 1, 0.5],
    }
    assert "classes" not in anatomy


@pytest.mark.parametrize("model", [Linear(), Mlp(widths=[20])], ids=["lanes", "narrow"])
def test_a_run_in_a_sweep_is_the_run_alone(model):
    def run(seed, head="sigmoid", loss="bce"):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(40, 3, generator=generator, dtype=torch.float64)
        split = Split(x, (x > 0.3).double())
        return by_hand(
            split,
            module=model.build((3,), 3, seed, "float64"),
            objective=Objective(head, loss, outputs=3),
            optimizer=SGD(lr=0.5),
            steps=12,
            batch_size=16,
            seed=seed,
        )

    runs = [run(0), run(1, loss="se"), run(2), run(3, "linear", "se")]
    together = train(runs)
    for own, one in zip(together, runs, strict=True):
        assert own.metrics == train([one])[0].metrics


def test_sigmoid_with_bce_learns_the_boundaries():
    from mlr.data import Multilabel

    data = Multilabel(n=600, noise=0.05, seed=0).load(0)
    module = Linear().build(data.feature_shape, 4, 0, "float32")
    run = Experiment(
        objective=Objective("sigmoid", "bce", outputs=4),
        module=module,
        data=data,
        optimizer=SGD(lr=2.0),
        epochs=40,
    )
    metrics = train([run])[0].metrics
    assert metrics["f1_micro/test"] > 0.95
    assert metrics["label_accuracy/test"] > 0.97
