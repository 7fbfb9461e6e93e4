"""The best threshold of a single logit, against every threshold there is."""

from __future__ import annotations

import pytest
import torch

from mlr.training import SGD, train
from mlr.training.separability import best_threshold
from tests.training.conftest import dataset, experiment


def tried(logits, labels):
    """The fewest wrong over all thresholds, one after the other."""
    shares = []
    for threshold in [*logits.unique().tolist(), float("inf")]:
        found = (logits >= threshold).to(labels.dtype)
        shares.append(float((found != labels).double().mean()))
    return min(shares)


@pytest.mark.parametrize("digits", [0, 1, 8])  # 0 and 1: many logits are equal
def test_no_threshold_leaves_fewer_wrong(digits):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 40, generator=generator, dtype=torch.float64).round(decimals=digits)
    labels = (torch.rand(5, 40, generator=generator) < 0.4).double()
    at, wrong = best_threshold(logits, labels)
    for lane in range(5):
        assert wrong[lane] == pytest.approx(tried(logits[lane], labels[lane]))
        found = (logits[lane] >= at[lane]).double()
        assert (found != labels[lane]).double().mean() == pytest.approx(float(wrong[lane]))


def test_of_one_class_alone():
    logits, ones = torch.tensor([[1.0, 2.0, 3.0]]), torch.ones(1, 3)
    assert best_threshold(logits, ones)[1].item() == 0
    at, wrong = best_threshold(logits, 1 - ones)
    assert (at.item(), wrong.item()) == (float("inf"), 0.0)


def test_a_separable_line():
    at, wrong = best_threshold(torch.tensor([[0.4, 0.1, 0.9]]), torch.tensor([[1.0, 0.0, 1.0]]))
    assert (round(at.item(), 6), wrong.item()) == (0.4, 0.0)


@pytest.mark.parametrize(("classes", "there"), [(2, True), (3, False), (None, False)])
def test_runs_of_one_output_tell_it(classes, there):
    kinds = {"head": "linear", "loss": "se", "data": dataset(classes, 61)}
    runs = [experiment(**kinds, optimizer=SGD(lr=0.01), seed=seed) for seed in range(2)]
    for result in train(runs):
        assert ("boundary" in result.anatomy) is there
        if there:
            assert 0 <= result.anatomy["boundary"]["wrong"] <= result.anatomy["wrong"] + 1e-9
