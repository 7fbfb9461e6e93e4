"""Programs of numbers, counts and pixels whose output does not fit the loss, written blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    digits,
    explained,
    fit,
    houses,
    mlp,
)


def statistic_of_a_set(watch: Watch, faulty: bool) -> float:
    """A net of sets gives a column, which a squared error by hand takes from a plain row."""
    torch.manual_seed(0)
    scale = 0.5 + 1.5 * torch.rand(800, 1, 1)
    sets = scale * torch.randn(800, 12, 1)
    statistic = sets.abs().mean((1, 2))
    statistic = (statistic - statistic.mean()) / statistic.std()

    class DeepSet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.phi = mlp(1, 24, 24)
            self.rho = mlp(24, 24, 1)

        def forward(self, sets: Tensor) -> Tensor:
            y = self.rho(self.phi(sets).mean(1))
            return y if faulty else y.squeeze(1)

    model = DeepSet()
    optimizer = Adam(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(10):
            for x, y in BatchLoader(sets, statistic, size=40):
                optimizer.zero_grad()
                y_pred = model(x)
                loss = ((y_pred - y) ** 2).mean()
                probe.watch(y_pred, y, loss)
                loss.backward()
                optimizer.step()
    return explained(model, sets, statistic)


def energy_of_molecules(watch: Watch, faulty: bool) -> float:
    """Labels of a graph net come as a column, and its readout is a row; the loss is log-cosh."""
    torch.manual_seed(0)
    nodes = torch.randn(600, 6, 4)
    bonds = (torch.rand(600, 6, 6) < 0.4).float().triu(1)
    bonds = bonds + bonds.transpose(1, 2)
    part = (nodes[:, :, 0] * (bonds @ nodes)[:, :, 1]).sum(1) + nodes[:, :, 2].abs().sum(1)
    energy = ((part - part.mean()) / part.std())[:, None]

    class GraphNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.message = mlp(8, 48, 24)
            self.readout = mlp(24, 24, 1)

        def forward(self, nodes: Tensor, bonds: Tensor) -> Tensor:
            h = self.message(torch.cat([nodes, bonds @ nodes], -1)).sum(1)
            return self.readout(torch.relu(h)).squeeze(-1)

    class LogCosh(nn.Module):
        def forward(self, y_pred: Tensor, y: Tensor) -> Tensor:
            error = y_pred - (y if faulty else y.view_as(y_pred))
            return torch.log(torch.cosh(error)).mean()

    model, criterion = GraphNet(), LogCosh()
    optimizer = AdamW(model.parameters(), lr=0.004)
    with watch(model, optimizer) as probe:
        for _ in range(30):
            for x, a, y in BatchLoader(nodes, bonds, energy, size=30):
                optimizer.zero_grad()
                y_pred = model(x, a)
                loss = criterion(y_pred, y)
                probe.watch(y_pred, y, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return float(1 - F.mse_loss(model(nodes, bonds), energy[:, 0]) / energy.var())


def standardised_pixels(watch: Watch, faulty: bool) -> float:
    """An autoencoder ends in a sigmoid, and its pixels were standardised."""
    torch.manual_seed(0)
    x, _ = digits()
    x = x[:, x.std(0) > 0.1]
    x = (x - x.mean(0)) / x.std(0)
    wide = x.shape[1]
    model = nn.Sequential(mlp(wide, 64, 16), nn.ReLU(), mlp(16, 64, wide))
    if faulty:
        model.append(nn.Sigmoid())
    optimizer = Adam(model.parameters(), lr=0.003)
    with watch(model, optimizer) as probe:
        for _ in range(14):
            for (pixels,) in BatchLoader(x, size=60):
                optimizer.zero_grad()
                again = model(pixels)
                loss = F.mse_loss(again, pixels)
                probe.watch(again, pixels, loss)
                loss.backward()
                optimizer.step()
    return explained(model, x, x)


def mobility_of_peptides(watch: Watch, faulty: bool) -> float:
    """An LSTM of peptides ends in a ReLU, and its standardised targets are negative too."""
    torch.manual_seed(0)
    peptides = torch.randint(20, (700, 8))
    mass = torch.randn(20)
    target = mass[peptides].sum(1, keepdim=True) + 0.5 * mass[peptides[:, :1]].abs()
    target = (target - target.mean()) / target.std()

    class Mobility(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(20, 8)
            self.lstm = nn.LSTM(8, 24, batch_first=True)
            self.final = nn.Linear(24, 1)

        def forward(self, peptides: Tensor) -> Tensor:
            states, _ = self.lstm(self.embed(peptides))
            y = self.final(states.mean(1))
            return torch.relu(y) if faulty else y

    model = Mobility()
    optimizer = RMSprop(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, nn.L1Loss(), BatchLoader(peptides, target, size=35), 12)
    return explained(model, peptides, target)


def calls_per_hour(watch: Watch, faulty: bool) -> float:
    """A model of counts ends in softplus, and PoissonNLLLoss takes its output as a logarithm."""
    torch.manual_seed(0)
    x = torch.randn(900, 3)
    rate = torch.exp(0.8 * x[:, 0] - 0.6 * x[:, 1] * x[:, 0] + 0.5)
    calls = torch.poisson(rate.clamp(max=30))
    model = nn.Sequential(mlp(3, 32, 32, 1, activation=nn.Tanh), nn.Softplus(), nn.Flatten(0))
    optimizer = Adam(model.parameters(), lr=0.01)
    criterion = nn.PoissonNLLLoss(log_input=faulty)
    fit(watch, model, optimizer, criterion, BatchLoader(x, calls, size=45), 15)
    with torch.no_grad():
        ideal, none = (
            F.poisson_nll_loss(share, calls, log_input=False)
            for share in (rate.clamp(max=30), calls.mean().expand(900))
        )
        loss = F.poisson_nll_loss(model(x), calls, log_input=False)
        return float((none - loss) / (none - ideal))


def prices_and_their_variance(watch: Watch, faulty: bool) -> float:
    """A net gives a price and its log-variance, whose exponential multiplies the squared error."""
    torch.manual_seed(0)
    x, y = houses(600)
    y = y + 0.3 * (0.5 * x[:, 4:]).exp() * torch.randn(600, 1)

    class MeanAndVariance(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(5, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh())
            self.mean, self.log_variance = nn.Linear(48, 1), nn.Linear(48, 1)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            h = self.body(x)
            return self.mean(h), self.log_variance(h)

    model = MeanAndVariance()
    optimizer = SGD(model.parameters(), lr=0.02, momentum=0.9)
    with watch(model, optimizer) as probe:
        for _ in range(30):
            for inputs, prices in BatchLoader(x, y, size=30):
                mean, log_variance = model(inputs)
                precision = torch.exp(log_variance if faulty else -log_variance)
                loss = 0.5 * (precision * (mean - prices).square() + log_variance).mean()
                probe.watch(mean, prices, loss)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 2.0)
                optimizer.step()
    with torch.no_grad():
        return float(1 - F.mse_loss(model(x)[0], y) / y.var(unbiased=False))


CASES = (
    Faulty(
        statistic_of_a_set,
        ("shapes_broadcast",),
        learns=0.85,
        fails=0.2,
        source="https://github.com/manzilzaheer/DeepSets/pull/2",
    ),
    Faulty(
        energy_of_molecules,
        ("shapes_broadcast",),
        learns=0.8,
        fails=0.2,
        source="https://github.com/IntelLabs/matsciml/pull/347",
    ),
    Faulty(
        standardised_pixels,
        ("output_out_of_range",),
        learns=0.7,
        fails=0.5,
        source="https://github.com/mikesj-public/convolutional_autoencoder/pull/9",
    ),
    Faulty(
        mobility_of_peptides,
        ("relu_output", "output_out_of_range"),
        learns=0.85,
        fails=0.6,
        source="https://github.com/ProteomicsML/ProteomicsML/pull/203",
    ),
    Faulty(calls_per_hour, ("log_rate_expected",), learns=0.8, fails=0.4),
    Faulty(prices_and_their_variance, ("precision_inverted", "wrong_loss"), learns=0.7, fails=0.4),
)
