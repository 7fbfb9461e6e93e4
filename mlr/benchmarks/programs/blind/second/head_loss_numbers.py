"""Programs that predict numbers, whose output does not fit the loss, written blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam

from mlr.benchmarks.programs.blind.material import pictures
from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import BatchLoader, explained, fit, houses, mlp, wave


def chopped_pictures(watch: Watch, faulty: bool) -> float:
    """Standardised pictures are reconstructed by a decoder whose last layer is rectified."""
    torch.manual_seed(0)
    x, _ = pictures()
    x = (x[:600] - x.mean()) / x.std()

    class Autoencoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode = nn.Sequential(nn.Conv2d(1, 12, 3, 2, 1), nn.ELU(), nn.Flatten())
            self.code = nn.Linear(192, 48)
            self.decode = nn.Sequential(nn.Linear(48, 128), nn.ELU(), nn.Linear(128, 64))

        def forward(self, x: Tensor) -> Tensor:
            out = self.decode(self.code(self.encode(x))).reshape(-1, 1, 8, 8)
            return torch.relu(out) if faulty else out

    model = Autoencoder()
    optimizer = Adam(model.parameters(), lr=0.003)
    with watch(model, optimizer) as probe:
        for _ in range(15):
            for (images,) in BatchLoader(x, size=40):
                optimizer.zero_grad()
                restored = model(images)
                loss = F.mse_loss(restored, images)
                probe.watch(restored, images, loss)
                loss.backward()
                optimizer.step()
    return explained(model, x, x)


def policy_of_a_model(watch: Watch, faulty: bool) -> float:
    """A policy must be positive, so its output passes a ReLU, and sticks at 0 from the start."""
    torch.manual_seed(0)
    x = torch.rand(400, 1) * 2 - 1
    policy = 0.6 + 0.5 * torch.sin(3 * x)

    class Approximator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 16), nn.Tanh())
            self.output_layer = nn.Linear(16, 1)
            nn.init.constant_(self.output_layer.bias, -1.0)

        def forward(self, x: Tensor) -> Tensor:
            out = self.output_layer(self.hidden(x))
            return F.relu(out) if faulty else F.softplus(out)

    model = Approximator()
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(x, policy, size=40), 40)
    return explained(model, x, policy)


def grades_by_tanh(watch: Watch, faulty: bool) -> float:
    """A network learns the grades 1 to 4, and its output unit is a tanh."""
    torch.manual_seed(0)
    x = torch.rand(500, 4) * 2 - 1
    grades = 2.5 + 0.7 * x[:, :1] + 0.6 * x[:, 1:2] * x[:, 2:3]
    model = mlp(4, 24, 24, 1, activation=nn.Tanh)
    if faulty:
        model.append(nn.Tanh())
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(x, grades, size=25), 20)
    return explained(model, x, grades)


def cars_at_a_crossing(watch: Watch, faulty: bool) -> float:
    """Counts of cars are predicted by a softplus, which PoissonNLLLoss takes for a logarithm."""
    torch.manual_seed(0)
    x = torch.randn(1200, 4)
    rate = torch.exp(1.5 + 0.6 * x[:, 0] - 0.5 * x[:, 1].abs() + 0.3 * x[:, 2])
    cars = torch.poisson(rate)

    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = mlp(4, 32, 1)

        def forward(self, x: Tensor) -> Tensor:
            return F.softplus(self.net(x)).squeeze(1)

    model = Counter()
    optimizer = Adam(model.parameters(), lr=0.01)
    criterion = nn.PoissonNLLLoss(log_input=faulty)
    fit(watch, model, optimizer, criterion, BatchLoader(x, cars, size=40), 12)
    return explained(model, x, rate)


def prices_against_columns(watch: Watch, faulty: bool) -> float:
    """A Huber loss by hand compares a column of outputs with a row of prices, pair by pair."""
    torch.manual_seed(0)
    x, price = houses()
    price = price.squeeze(1)

    def huber(prediction: Tensor, target: Tensor, delta: float = 1.0) -> Tensor:
        error = (prediction - target).abs()
        return torch.where(error < delta, error**2 / 2, delta * (error - delta / 2)).mean()

    class Regressor(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2, self.fc3 = nn.Linear(5, 32), nn.Linear(32, 16), nn.Linear(16, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x)))))
            return x if faulty else x.squeeze(1)

    model = Regressor()
    optimizer = Adam(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(25):
            for features, target in BatchLoader(x, price, size=32):
                prediction = model(features)
                loss = huber(prediction, target)
                probe.watch(prediction, target, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return explained(model, x, price)


def noise_of_a_wave(watch: Watch, faulty: bool) -> float:
    """A Gaussian likelihood broadcasts a column of means against rows of targets and spreads."""
    torch.manual_seed(0)
    x, y = wave()
    y = y.squeeze(1)

    class Gaussian(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(1, 48), nn.Tanh(), nn.Linear(48, 24), nn.Tanh())
            self.mean, self.log_std = nn.Linear(24, 1), nn.Linear(24, 1)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            hidden = self.body(x)
            mean, log_std = self.mean(hidden), self.log_std(hidden)
            return mean if faulty else mean.squeeze(1), log_std.squeeze(1)

    model = Gaussian()
    optimizer = Adam(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(30):
            for inputs, targets in BatchLoader(x, y, size=32):
                optimizer.zero_grad()
                mean, log_std = model(inputs)
                loss = (log_std + ((targets - mean) / log_std.exp()).square() / 2).mean()
                probe.watch(mean, targets, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return float(1 - (model(x)[0].flatten() - y).square().mean() / y.var())


CASES = (
    Faulty(
        chopped_pictures,
        ("relu_output", "output_out_of_range"),
        learns=0.85,
        fails=0.7,
        source="https://github.com/mikesj-public/convolutional_autoencoder/pull/9",
    ),
    Faulty(
        policy_of_a_model,
        ("relu_output", "dead_relus"),
        learns=0.95,
        fails=0.3,
        source="https://discuss.pytorch.org/t/enforcing-positive-output-values/106851",
    ),
    Faulty(
        grades_by_tanh,
        ("output_out_of_range",),
        learns=0.9,
        fails=0.1,
        source="http://ansaurus.com/question/3644795-neural-network-python",
    ),
    Faulty(cars_at_a_crossing, ("log_rate_expected",), learns=0.85, fails=0.6),
    Faulty(
        prices_against_columns,
        ("shapes_broadcast",),
        learns=0.85,
        fails=0.2,
        source="https://github.com/LAMDA-Tabular/TALENT/pull/92",
    ),
    Faulty(
        noise_of_a_wave,
        ("shapes_broadcast",),
        learns=0.9,
        fails=0.3,
        source="https://github.com/pytorch/pytorch/issues/16045",
    ),
)
