"""Programs that predict numbers, whose output does not fit the loss, written blind."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer

from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import BatchLoader, explained, fit, houses, mlp


def share(rest: Tensor, targets: Tensor) -> float:
    """Return R² for a squared error that is left."""
    return float(1 - rest / targets.var(unbiased=False))


def peptide_mobility(watch: Watch, faulty: bool) -> float:
    """An LSTM predicts a standardised property of peptides, with a ReLU on its last layer."""
    torch.manual_seed(0)
    peptides = torch.randint(1, 20, (640, 9))
    weight = torch.randn(20)
    y = weight[peptides].sum(1, keepdim=True) + 0.5 * weight[peptides[:, :1]]
    y = (y - y.mean()) / y.std()

    class Mobility(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(20, 12)
            self.lstm = nn.LSTM(12, 24, batch_first=True)
            self.linear = nn.Linear(24, 1)

        def forward(self, peptides: Tensor) -> Tensor:
            states, _ = self.lstm(self.embedding(peptides))
            out = self.linear(states[:, -1])
            return F.relu(out) if faulty else out

    model = Mobility()
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(peptides, y, size=32), 12)
    return explained(model, peptides, y)


def autoencoder_of_sensors(watch: Watch, faulty: bool) -> float:
    """An autoencoder of standardised readings repeats Linear and ReLU to its very last layer."""
    torch.manual_seed(0)
    x = torch.randn(768, 3) @ torch.randn(3, 16) / 3**0.5 + 0.1 * torch.randn(768, 16)
    x = (x - x.mean(0)) / x.std(0)

    def layers(*widths: int) -> list[nn.Module]:
        found: list[nn.Module] = []
        for i in range(len(widths) - 1):
            found += [nn.Linear(widths[i], widths[i + 1]), nn.ReLU()]
        return found

    encoder = nn.Sequential(*layers(16, 32), nn.Linear(32, 4))
    decoder = nn.Sequential(*layers(4, 32, 16))
    model = nn.Sequential(encoder, decoder if faulty else decoder[:-1])
    optimizer = AdamW(model.parameters(), lr=0.005, weight_decay=1e-4)
    with watch(model, optimizer) as probe:
        for _ in range(15):
            for (batch,) in BatchLoader(x, size=32):
                optimizer.zero_grad()
                decoded = model(batch)
                loss = F.mse_loss(decoded, batch)
                probe.watch(decoded, batch, loss)
                loss.backward()
                optimizer.step()
    return explained(model, x, x)


def sine_forecast(watch: Watch, faulty: bool) -> float:
    """Cells of an LSTM forecast waves between −3 and 3, and the output is a hidden state itself."""
    torch.manual_seed(0)
    start = 6.2832 * torch.rand(300, 1)
    series = 3 * torch.sin(0.5 * torch.arange(17) + start)
    x, y = series[:, :-1], series[:, 1:]

    class Sequence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm1 = nn.LSTM(1, 20, batch_first=True)
            self.lstm2 = nn.LSTM(20, 1 if faulty else 20, batch_first=True)
            self.linear = nn.Identity() if faulty else nn.Linear(20, 1)

        def forward(self, x: Tensor) -> Tensor:
            h, _ = self.lstm1(x.unsqueeze(2))
            return self.linear(self.lstm2(h)[0]).squeeze(2)

    model = Sequence()
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(x, y, size=30), 15)
    return explained(model, x, y)


def ratings_by_sigmoid(watch: Watch, faulty: bool) -> float:
    """Factors of users and films end in a sigmoid, while the ratings lie between 1 and 5."""
    torch.manual_seed(0)
    users, films = torch.randint(50, (2400,)), torch.randint(40, (2400,))
    tastes, kinds = torch.randn(50, 2), torch.randn(40, 2)
    ratings = (3 + 1.2 * (tastes[users] * kinds[films]).sum(1)).clamp(1, 5)

    class Recommender(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.user, self.film = nn.Embedding(50, 12), nn.Embedding(40, 12)
            self.layers = mlp(24, 48, 24, 1)

        def forward(self, users: Tensor, films: Tensor) -> Tensor:
            z = self.layers(torch.cat([self.user(users), self.film(films)], 1)).squeeze(1)
            return torch.sigmoid(z) if faulty else 1 + 4 * torch.sigmoid(z)

    model = Recommender()
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for u, f, r in BatchLoader(users, films, ratings, size=60):
                prediction = model(u, f)
                loss = F.mse_loss(prediction, r)
                probe.watch(prediction, r, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return share(F.mse_loss(model(users, films), ratings), ratings)


def variational_profiles(watch: Watch, faulty: bool) -> float:
    """The decoder of a VAE ends in a sigmoid, but the profiles it should draw are standardised."""
    torch.manual_seed(0)
    z = torch.randn(640, 2)
    x = torch.tanh(z @ torch.randn(2, 12)) + 0.1 * torch.randn(640, 12)
    x = (x - x.mean(0)) / x.std(0)

    class VAE(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc21, self.fc22 = nn.Linear(12, 32), nn.Linear(32, 3), nn.Linear(32, 3)
            self.decoder = mlp(3, 32, 12)

        def decode(self, z: Tensor) -> Tensor:
            return torch.sigmoid(self.decoder(z)) if faulty else self.decoder(z)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            h = F.relu(self.fc1(x))
            mu, logvar = self.fc21(h), self.fc22(h)
            return self.decode(mu + (0.5 * logvar).exp() * torch.randn_like(mu)), mu, logvar

    model = VAE()
    optimizer = Adam(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(20):
            for (batch,) in BatchLoader(x, size=32):
                optimizer.zero_grad()
                recon, mu, logvar = model(batch)
                kld = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum(1).mean()
                loss = F.mse_loss(recon, batch) + 0.01 * kld
                probe.watch(recon, batch, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        h = F.relu(model.fc1(x))
        return share(F.mse_loss(model.decode(model.fc21(h)), x), x)


def initial_condition(watch: Watch, faulty: bool) -> float:
    """A physics network learns an initial state of shape (N,) from its output of shape (N, 1)."""
    torch.manual_seed(0)
    x = 2 * torch.rand(400, 2) - 1
    u = torch.sin(3 * x[:, 0]) * torch.exp(-(x[:, 1] ** 2))
    model = mlp(2, 40, 40, 1, activation=nn.Tanh)
    optimizer = Adam(model.parameters(), lr=0.005)

    def initial_loss(prediction: Tensor, u: Tensor) -> Tensor:
        return torch.mean((prediction - u) ** 2)

    with watch(model, optimizer) as probe:
        for _ in range(30):
            for points, states in BatchLoader(x, u, size=40):
                prediction = model(points) if faulty else model(points).reshape(-1)
                loss = initial_loss(prediction, states)
                probe.watch(prediction, states, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return explained(model, x, u)


def price_trainer(watch: Watch, faulty: bool) -> float:
    """A Trainer squeezes its predictions while the labels keep a column, and takes |p − y|."""
    torch.manual_seed(0)
    x, y = houses()

    class RegressionHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.norm, self.top = nn.Linear(5, 64), nn.LayerNorm(64), mlp(64, 32, 1)

        def forward(self, x: Tensor) -> Tensor:
            out = self.top(F.gelu(self.norm(self.body(x))))
            return out.squeeze(-1) if faulty else out

    class Trainer:
        def __init__(self, model: nn.Module, optimizer: Optimizer) -> None:
            self.model, self.optimizer = model, optimizer

        def logits_to_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
            return (logits - labels).abs().mean()

        def train(self, epochs: int) -> None:
            with watch(self.model, self.optimizer) as probe:
                for _ in range(epochs):
                    for features, labels in BatchLoader(x, y, size=32):
                        logits = self.model(features)
                        loss = self.logits_to_loss(logits, labels)
                        probe.watch(logits, labels, loss)
                        loss.backward()
                        self.optimizer.step()
                        self.optimizer.zero_grad()

    model = RegressionHead()
    Trainer(model, Adam(model.parameters(), lr=0.004)).train(15)
    return explained(model, x, y)


def counts_of_calls(watch: Watch, faulty: bool) -> float:
    """Calls per hour are Poisson; the rate after a softplus is taken for its logarithm."""
    torch.manual_seed(0)
    x = torch.randn(800, 4)
    rate = torch.exp(1.2 + 0.8 * x[:, :1] - 0.5 * x[:, 1:2].abs())
    calls = torch.poisson(rate)
    model = nn.Sequential(mlp(4, 32, 1), nn.Softplus())
    optimizer = Adam(model.parameters(), lr=0.01)
    criterion: Callable[[Tensor, Tensor], Tensor]
    criterion = nn.PoissonNLLLoss() if faulty else nn.PoissonNLLLoss(log_input=False)
    with watch(model, optimizer) as probe:
        for _ in range(25):
            for hours, counts in BatchLoader(x, calls, size=40):
                optimizer.zero_grad()
                expected = model(hours)
                loss = criterion(expected, counts)
                probe.watch(expected, counts, loss)
                loss.backward()
                optimizer.step()
    return explained(model, x, rate)


CASES = (
    Faulty(
        peptide_mobility,
        ("relu_output",),
        learns=0.85,
        fails=0.7,
        source="https://github.com/ProteomicsML/ProteomicsML/pull/203",
    ),
    Faulty(
        autoencoder_of_sensors,
        ("relu_output",),
        learns=0.85,
        fails=0.6,
        source="https://github.com/jcjohnson/pytorch-examples/issues/30",
    ),
    Faulty(
        sine_forecast,
        ("output_out_of_range",),
        learns=0.9,
        fails=0.7,
        source="https://github.com/pytorch/examples/pull/250",
    ),
    Faulty(
        ratings_by_sigmoid,
        ("output_out_of_range",),
        learns=0.8,
        fails=0.2,
        source="https://github.com/maxjcohen/transformer/issues/49",
    ),
    Faulty(
        variational_profiles,
        ("output_out_of_range",),
        learns=0.8,
        fails=0.6,
    ),
    Faulty(
        initial_condition,
        ("shapes_broadcast",),
        learns=0.9,
        fails=0.3,
        source="https://github.com/Photon-AI-Research/NeuralSolvers/issues/20",
    ),
    Faulty(
        price_trainer,
        ("shapes_broadcast",),
        learns=0.85,
        fails=0.3,
        source="https://github.com/deepset-ai/FARM/issues/229",
    ),
    Faulty(counts_of_calls, ("log_rate_expected",), learns=0.8, fails=0.6),
)
