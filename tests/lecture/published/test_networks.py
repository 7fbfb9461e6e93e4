from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from mlr.lecture.published.networks import CementNetwork, LeNet5


def test_lenet_is_two_convolutions_and_three_layers():
    torch.manual_seed(0)
    network, images = LeNet5(10), torch.randn(3, 1, 28, 28)
    # of 6 and 16 maps, 120, 84 and 10 units
    assert [p.numel() for p in network.parameters()] == [
        *(150, 6, 2400, 16, 48_000, 120, 10_080, 84, 840, 10)
    ]
    w1, b1, w2, b2, *dense = network.parameters()
    hidden = functional.avg_pool2d(functional.conv2d(images, w1, b1, padding=2).clamp(min=0), 2)
    hidden = functional.avg_pool2d(functional.conv2d(hidden, w2, b2).clamp(min=0), 2).flatten(1)
    for weight, bias in zip(dense[:-2:2], dense[1:-2:2], strict=True):
        hidden = (hidden @ weight.T + bias).clamp(min=0)
    torch.testing.assert_close(network(images), hidden @ dense[-2].T + dense[-1])


def test_lenets_weights_are_a_normal_distribution_cut_at_two_deviations():
    torch.manual_seed(0)
    network = LeNet5(10)
    weights = network.features[7].weight
    assert 0.199 < weights.abs().max() <= 0.2
    # scipy.stats.truncnorm(-2, 2, scale=0.1).std()
    assert weights.std().item() == pytest.approx(0.0879626, rel=0.01)
    assert 0.049 < network.features[7].bias.abs().max() <= 0.05, "1/√400"
    assert all(p.abs().max() <= 0.2 for p in network.parameters())


def by_hand(network, features, statistics=None):
    """Logits of a CementNetwork without its own modules: dropout and batch statistics in training.

    statistics: running mean and variance of each normalization in evaluation, None in training.
    """
    first, g1, c1, second, g2, c2, weight, bias = network.parameters()
    hidden = features
    for at, (w, gain, shift) in enumerate(((first, g1, c1), (second, g2, c2))):
        hidden = hidden @ w.T
        hidden = torch.where(hidden > 0, hidden, 0.01 * hidden)
        if statistics is None:
            hidden = functional.dropout(hidden, 0.2)
            mean, variance = hidden.mean(0), hidden.var(0, correction=0)
        else:
            mean, variance = statistics[at]
        hidden = (hidden - mean) / (variance + 1e-5).sqrt() * gain + shift
    return hidden @ weight.T + bias


def test_the_network_of_cement_drops_and_normalizes():
    torch.manual_seed(0)
    network, features = CementNetwork((8,), 5), torch.randn(20, 8)
    sizes = [p.numel() for p in network.parameters()]
    assert sizes == [2400, 300, 300, 90_000, 300, 300, 1500, 5]
    state = torch.get_rng_state()
    expected = by_hand(network, features)
    torch.set_rng_state(state)
    torch.testing.assert_close(network(features), expected)
    norms = [one for one in network.modules() if isinstance(one, nn.BatchNorm1d)]
    moved = [(one.running_mean, one.running_var) for one in norms]
    assert all(mean.abs().max() > 0 for mean, _ in moved)
    torch.testing.assert_close(network.eval()(features), by_hand(network, features, moved))


def test_shared_weights_leave_the_thresholds_of_coral():
    torch.manual_seed(0)
    logits = CementNetwork((8,), 4, shared=True).eval()(torch.randn(20, 8))
    steps = (logits[:, :-1] - logits[:, 1:]).detach()
    torch.testing.assert_close(steps, torch.full((20, 3), 0.25))
    zero = CementNetwork((8,), 4, shared=True).eval()(torch.zeros(1, 8))
    torch.testing.assert_close(zero.detach(), torch.tensor([[1.0, 0.75, 0.5, 0.25]]))
