"""Counts of a known truth, and that heads of counts find it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlr.core.checks import InputError
from mlr.data import Counts
from mlr.objectives import Objective


def whole(source: Counts) -> tuple[torch.Tensor, torch.Tensor]:
    data = source.load(3)
    splits = (data.train, data.val, data.test)
    return torch.cat([one.features for one in splits]), torch.cat([one.targets for one in splits])


@pytest.mark.parametrize("size", [None, 2.0])
def test_mean_and_variance_of_the_counts(size):
    x, t = (one.double().numpy() for one in whole(Counts(n=40_000, slope=0.0, size=size)))
    assert (t == np.floor(t)).all()
    mean = np.e
    variance = mean if size is None else mean + mean**2 / size
    assert t.mean() == pytest.approx(mean, abs=5 * (variance / 40_000) ** 0.5)
    assert t.var() == pytest.approx(variance, rel=0.05)
    assert x.min() >= -1
    assert x.max() <= 1


@pytest.mark.parametrize(("head", "size"), [("poisson", None), ("negative_binomial", 2.0)])
def test_maximum_likelihood_finds_the_truth(head, size):
    """By Newton's method of torch (LBFGS) on the whole data."""
    x, t = (one.double() for one in whole(Counts(n=20_000, slope=0.8, intercept=1.2, size=size)))
    weights = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    spread = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    objective = Objective(head, "nll")
    optimizer = torch.optim.LBFGS([weights, spread], line_search_fn="strong_wolfe", max_iter=60)

    def cost() -> torch.Tensor:
        optimizer.zero_grad()
        z = weights[0] * x + weights[1]
        parts = [z] if size is None else [z, spread.expand_as(z)]
        mean = objective(torch.cat(parts, -1), t).mean()
        mean.backward()
        return mean

    optimizer.step(cost)
    assert weights.tolist() == pytest.approx([0.8, 1.2], abs=0.04)
    if size is not None:
        assert spread.exp().item() == pytest.approx(size, rel=0.1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": 0.0}, "data.size=0.0 must be a finite number above 0"),
        ({"size": -1.0}, "data.size=-1.0 must be"),
        ({"slope": 12.0, "intercept": 3.0}, r"give means up to e\^15; .* may be at most 14"),
    ],
)
def test_options_that_are_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        Counts(**options)
