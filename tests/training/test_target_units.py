"""Scaled targets: numbers are told in the unit of the data, computed here from the parameters."""

from math import exp, log, pi

import numpy as np
import pytest
import torch

from mlr.data.base import Dataset, Split
from mlr.heads import MixtureOfGaussians, Quantiles
from mlr.models import Linear, Mlp
from mlr.probes import ProbeSettings
from mlr.training import SGD, train
from tests.training.conftest import experiment
from tests.training.test_log import recorded


def raw(seed: int = 0, size: float = 100.0) -> Dataset:
    """Two targets in very different units."""
    parts = []
    for part in range(3):
        generator = torch.Generator().manual_seed(10 * seed + part)
        x = torch.randn(40, 3, generator=generator, dtype=torch.float64)
        noise = torch.randn(40, 2, generator=generator, dtype=torch.float64)
        t = torch.stack([size * (5 + x[:, 0]), 0.01 * x[:, 1]], 1)
        parts.append(Split(x, t + noise * torch.tensor([0.1 * size, 0.002])))
    return Dataset("two", *parts, None)


def run(data, head="linear", loss="se", model=None, **changes):
    model = model or Linear()
    outputs = 4 if head == "gaussian" else 2
    from mlr.objectives import Objective

    return experiment(
        data=data,
        objective=Objective(head, loss, outputs=outputs),
        module=model.build((3,), outputs, changes.get("seed", 0), "float64"),
        head=head,
        loss=loss,
        **changes,
    )


def test_targets_are_scaled_by_the_training_split():
    data = raw()
    scaled, t = data.standardized, data.train.targets.numpy()
    assert scaled is data.standardized
    assert scaled.train.features is data.train.features
    np.testing.assert_allclose(scaled.target_scaling.offset, t.mean(0))
    np.testing.assert_allclose(scaled.target_scaling.divisor, t.std(0))
    expected = (data.test.targets.numpy() - t.mean(0)) / t.std(0)
    np.testing.assert_allclose(scaled.test.targets.numpy(), expected, rtol=1e-5, atol=1e-6)
    assert scaled.shape != data.shape


@pytest.mark.parametrize("head", ["linear", "gaussian"])
def test_errors_and_deviations_are_in_the_unit_of_the_data(head):
    data = raw()
    loss = "se" if head == "linear" else "gaussian_nll"
    result = train([run(data.standardized, head, loss)])[0]
    offset, divisor = data.train.targets.mean(0), data.train.targets.std(0, correction=0)
    weight, bias = result.parameters["output.weight"], result.parameters["output.bias"]
    z = data.test.features @ weight.T + bias
    y = z[:, :2] * divisor + offset
    rmse = (y - data.test.targets).square().mean().sqrt()
    assert result.metrics["rmse/test"] == pytest.approx(rmse.item(), rel=1e-6)
    if head == "gaussian":
        sigma = z[:, 2:].exp() * divisor
        assert result.metrics["predicted_std/test"] == pytest.approx(sigma.mean().item(), rel=1e-6)
        # the loss is that of the scaled targets: in the unit of the data Σ log divisor is added
        own = torch.distributions.Normal(y, sigma).log_prob(data.test.targets).sum(1)
        expected = -own.mean().item() - divisor.log().sum().item()
        assert result.metrics["loss/test"] == pytest.approx(expected, rel=1e-5)
    train_z = data.train.features @ weight.T + bias
    errors = train_z[:, :2] * divisor + offset - data.train.targets
    assert result.anatomy["targets"]["rmse"] == pytest.approx(
        errors.square().mean(0).sqrt().tolist(), rel=1e-5
    )
    assert result.anatomy["targets"]["divisor"] == pytest.approx(divisor.tolist(), rel=1e-5)
    assert result.anatomy["targets"]["offset"] == pytest.approx(offset.tolist(), rel=1e-5)


def test_numbers_of_a_batch_are_in_the_unit_of_the_data(tmp_path):
    data = raw()
    probes = ProbeSettings(prediction=True, slopes=True, points="every:1")
    first = run(
        data.standardized, "gaussian", "gaussian_nll", probes=probes, batch_size=40, epochs=1
    )
    table = recorded(tmp_path, [first])[0]
    own = first.module
    z = own(data.train.features)
    offset, divisor = data.train.targets.mean(0), data.train.targets.std(0, correction=0)
    means = (z[:, :2] * divisor + offset).mean().item()
    assert table[0]["prediction/mean"] == pytest.approx(means, rel=1e-5)
    sigma = (z[:, 2:].exp() * divisor).mean().item()
    assert table[0]["predicted_std/train"] == pytest.approx(sigma, rel=1e-5)
    scaled = (data.train.targets - offset) / divisor
    nll = 0.5 * ((z[:, :2] - scaled) / z[:, 2:].exp()).square() + z[:, 2:] + 0.5 * log(2 * pi)
    assert table[0]["loss/train"] == pytest.approx(nll.sum(1).mean().item(), rel=1e-5)
    # the final number, after the one update
    end = train([first])[0]
    last = data.train.features @ end.parameters["output.weight"].T + end.parameters["output.bias"]
    expected = (last[:, :2] * divisor + offset).mean().item()
    assert table[1]["prediction/mean"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("model", [Linear(), Mlp(widths=[20])], ids=["lanes", "narrow"])
def test_a_run_in_a_sweep_is_the_run_alone(model):
    """Lanes of different data have units of their own."""
    runs = [
        run(raw(seed, size).standardized, "gaussian", "gaussian_nll", model, seed=seed)
        for seed, size in ((0, 10.0), (1, 1000.0), (2, 0.1))
    ]
    for own, one in zip(train(runs), runs, strict=True):
        assert own.metrics == train([one])[0].metrics


def test_a_constant_target_is_shifted_only():
    part = Split(torch.ones(4, 1), torch.full((4, 1), 7.0))
    data = Dataset("level", part, part, part, None).standardized
    assert data.train.targets.tolist() == [[0.0]] * 4
    assert data.target_scaling.divisor.tolist() == [1.0]


def test_errors_of_each_target_are_those_of_the_points():
    """Of constant predictions for targets of 2 and 3: means of densities, or the middle quantile.

    Lognormal of m and σ = 1: e^(m + ½); mixtures of 1 and 3, and of 2 and 6, in equal parts.
    """
    from mlr.objectives import Objective

    part = Split(torch.zeros(20, 3, dtype=torch.float64), torch.tensor([[2.0, 3.0]] * 20).double())
    data = Dataset("constant", part, part, part, None)
    for head, loss, bias, expected in (
        ("log_normal", "nll", [0, log(2), 0, 0], [2 - exp(0.5), 2 * exp(0.5) - 3]),
        (MixtureOfGaussians(2), "nll", [0, 0, 0, 0, 1, 2, 3, 6, 0, 0, 0, 0], [0, 1]),
        (Quantiles([0.1, 0.5, 0.9]), "quantile_score", [0, 0, 5, 7, 0, 0], [3, 4]),
    ):
        module = Linear().build((3,), len(bias), 0, "float64")
        with torch.no_grad():
            module.output.bias.copy_(torch.tensor(bias))
        objective = Objective(head, loss, outputs=len(bias))
        own = experiment(
            data=data, head=head, loss=loss, objective=objective, module=module, epochs=1,
            optimizer=SGD(lr=1e-12),
        )  # fmt: skip
        found = train([own])[0]
        assert found.anatomy["targets"]["rmse"] == pytest.approx(expected, rel=1e-5, abs=1e-9)
        mean = np.sqrt(np.mean(np.square(expected)))
        assert found.metrics["rmse/test"] == pytest.approx(mean, rel=1e-6)
