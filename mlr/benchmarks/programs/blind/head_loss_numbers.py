"""Programs that regress, count, rank or reconstruct by an output that does not fit the loss."""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, NAdam, RMSprop

from mlr.benchmarks.programs.blind.material import spots
from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import BatchLoader, digits, explained, fit, mlp


def ranking_by_kl(watch: Watch, faulty: bool) -> float:
    """A student ranks ten passages as its teacher does, and KLDivLoss gets two softmaxes."""
    torch.manual_seed(0)
    passages = torch.randn(300, 10, 6)
    query = torch.randn(6)
    teacher = 2 * torch.tanh(passages @ query) + passages[..., 0] * passages[..., 1]
    scorer = nn.Sequential(mlp(6, 32, 1), nn.Flatten(-2))
    optimizer = Adam(scorer.parameters(), lr=0.01)
    criterion = nn.KLDivLoss(reduction="batchmean")
    with watch(scorer, optimizer) as probe:
        for _ in range(15):
            for lists, scores in BatchLoader(passages, teacher, size=20):
                optimizer.zero_grad()
                student = scorer(lists)
                outputs = student.softmax(-1) if faulty else student.log_softmax(-1)
                targets = scores.softmax(-1)
                loss = criterion(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        wanted = teacher.softmax(1)
        rest = criterion(scorer(passages).log_softmax(1), wanted)
        constant = criterion(torch.full_like(wanted, 0.1).log(), wanted)
    return float(1 - rest / constant)


def population_by_relu(watch: Watch, faulty: bool) -> float:
    """A density of people is predicted through a ReLU, and starts at 0 everywhere."""
    torch.manual_seed(1)
    x = torch.rand(500, 4)
    density = 0.3 + x[:, :1] * x[:, 1:2] + 0.5 * torch.sin(3 * x[:, 2:3]).abs()
    model = mlp(4, 24, 1)
    nn.init.constant_(list(model.parameters())[-1], -0.3)
    model.append(nn.ReLU() if faulty else nn.Softplus())
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.L1Loss(), BatchLoader(x, density, size=50), 40)
    return explained(model, x, density)


def actor_within_one(watch: Watch, faulty: bool) -> float:
    """An actor is cloned from actions up to ±3, and its last layer is a tanh."""
    torch.manual_seed(0)
    states = torch.randn(600, 4)
    actions = (states @ torch.randn(4, 2) + torch.sin(2 * states[:, :2])).clamp(-3, 3)

    class Actor(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(4, 48), nn.Linear(48, 48)
            self.mu = nn.Linear(48, 2)

        def forward(self, state: Tensor) -> Tensor:
            h = F.relu(self.fc2(F.relu(self.fc1(state))))
            action = torch.tanh(self.mu(h))
            return action if faulty else 3 * action

    model = Actor()
    optimizer = Adam(model.parameters(), lr=0.003)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(states, actions, size=60), 25)
    return explained(model, states, actions)


def corner_by_sigmoid(watch: Watch, faulty: bool) -> float:
    """The corner of a square is regressed on in pixels, through a sigmoid."""
    torch.manual_seed(0)
    images, _, corner = spots(500)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ELU(),
        nn.Flatten(),
        nn.Linear(512, 32),
        nn.ELU(),
        nn.Linear(32, 2),
    )
    if faulty:
        model.append(nn.Sigmoid())
    optimizer = NAdam(model.parameters(), lr=0.003)
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for x, where in BatchLoader(images, corner, size=25):
                prediction = model(x)
                loss = F.smooth_l1_loss(prediction, where)
                probe.watch(prediction, where, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return explained(model, images, corner)


def masks_up_to_255(watch: Watch, faulty: bool) -> float:
    """Images were divided by 255 and their masks were not; the network ends in a sigmoid."""
    torch.manual_seed(0)
    images, mask, _ = spots(320)
    labels = 255 * mask if faulty else mask
    model = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 12, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(12, 1, 1),
        nn.Sigmoid(),
    )
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(images, labels, size=20), 10)
    return explained(model, images, labels)


def forecast_against_a_row(watch: Watch, faulty: bool) -> float:
    """An LSTM forecasts (B, 1), the targets are (B,), and the warning was switched off."""
    torch.manual_seed(0)
    start, speed = 6 * torch.rand(500, 1), 0.3 + 0.5 * torch.rand(500, 1)
    wave = torch.sin(start + speed * torch.arange(11))
    history, future = wave[:, :10, None], wave[:, 10]

    class Forecaster(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(1, 16, batch_first=True)
            self.fc = nn.Linear(16, 1)

        def forward(self, x: Tensor) -> Tensor:
            out, _ = self.lstm(x)
            return self.fc(out[:, -1])

    model = Forecaster()
    optimizer = Adam(model.parameters(), lr=0.01)
    criterion = nn.MSELoss()
    with watch(model, optimizer) as probe, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(20):
            for seq, target in BatchLoader(history, future, size=50):
                optimizer.zero_grad()
                out = model(seq)
                loss = criterion(out, target if faulty else target.unsqueeze(1))
                probe.watch(out, target, loss)
                loss.backward()
                optimizer.step()
    return explained(model, history, future)


def ratings_against_a_column(watch: Watch, faulty: bool) -> float:
    """Ratings are kept as a column (B, 1), and the dot products of the factors are a row (B,)."""
    torch.manual_seed(0)
    tastes, kinds = torch.randn(40, 2), torch.randn(30, 2)
    pairs = torch.stack([torch.randint(40, (1500,)), torch.randint(30, (1500,))], 1)
    ratings = (tastes[pairs[:, 0]] * kinds[pairs[:, 1]]).sum(1, keepdim=True)

    class Ratings(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.user, self.item = nn.Embedding(40, 4), nn.Embedding(30, 4)
            self.offset = nn.Embedding(30, 1)

        def forward(self, pairs: Tensor) -> Tensor:
            user, item = self.user(pairs[:, 0]), self.item(pairs[:, 1])
            return (user * item).sum(1) + self.offset(pairs[:, 1]).squeeze(1)

    model = Ratings()
    optimizer = Adam(model.parameters(), lr=0.02)
    with watch(model, optimizer) as probe:
        for _ in range(20):
            for batch, rating in BatchLoader(pairs, ratings, size=50):
                targets = rating if faulty else rating.squeeze(1)
                prediction = model(batch)
                error = (prediction - targets).abs()
                loss = torch.where(error < 1, 0.5 * error**2, error - 0.5).mean()
                probe.watch(prediction, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return explained(model, pairs, ratings)


def rates_for_log_rates(watch: Watch, faulty: bool) -> float:
    """PoissonNLLLoss takes the logarithm of the rate by default, and is given the rate."""
    torch.manual_seed(0)
    x = torch.randn(700, 3)
    rate = torch.exp(1 + 0.7 * x[:, :1] - 0.6 * x[:, 1:2])
    counts = torch.poisson(rate)
    model = nn.Sequential(mlp(3, 24, 1), nn.Softplus())
    optimizer = RMSprop(model.parameters(), lr=0.005)
    criterion = nn.PoissonNLLLoss(log_input=faulty)
    fit(watch, model, optimizer, criterion, BatchLoader(x, counts, size=35), 20)
    return explained(model, x, rate)


def likelihood_outweighed(watch: Watch, faulty: bool) -> float:
    """A variational autoencoder averages the error over pixels, and sums the divergence."""
    torch.manual_seed(0)
    x, _ = digits()
    x = x[:900]

    class VAE(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode = nn.Sequential(nn.Linear(64, 48), nn.ReLU())
            self.mu, self.log_var = nn.Linear(48, 8), nn.Linear(48, 8)
            self.decode = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, 64))

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            h = self.encode(x)
            mu, log_var = self.mu(h), self.log_var(h)
            z = mu + torch.randn_like(mu) * (0.5 * log_var).exp()
            return self.decode(z), mu, log_var

    model = VAE()
    optimizer = Adam(model.parameters(), lr=0.003)
    with watch(model, optimizer) as probe:
        for _ in range(20):
            for (images,) in BatchLoader(x, size=45):
                recon, mu, log_var = model(images)
                kld = -0.5 * (1 + log_var - mu**2 - log_var.exp()).sum(1).mean()
                error = F.binary_cross_entropy_with_logits(recon, images, reduction="none")
                loss = (error.mean() if faulty else error.sum(1).mean()) + kld
                probe.watch(recon, images, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        code = model.mu(model.encode(x))
        return explained(nn.Sequential(model.decode, nn.Sigmoid()), code, x)


def counts_by_cross_entropy(watch: Watch, faulty: bool) -> float:
    """The number of cars is a regression of one output, to which cross_entropy is applied."""
    torch.manual_seed(0)
    x = torch.rand(600, 6)
    cars = (10 * x[:, :3].sum(1) * x[:, 3]).round()[:, None] / 10
    model = nn.Sequential(mlp(6, 32, 16, 1))
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.8)
    criterion = nn.CrossEntropyLoss() if faulty else nn.HuberLoss()
    with watch(model, optimizer) as probe:
        for _ in range(25):
            for inputs, targets in BatchLoader(x, cars, size=30):
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = criterion(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    return explained(model, x, cars)


CASES = (
    Faulty(
        ranking_by_kl,
        ("kl_without_log",),
        learns=0.85,
        fails=0.1,
        source="https://github.com/sebastian-hofstaetter/matchmaker/issues/18",
    ),
    Faulty(
        population_by_relu,
        ("relu_output", "dead_relus"),
        learns=0.9,
        fails=0.1,
        source="https://github.com/jvargasmu/population_estimation/issues/68",
    ),
    Faulty(
        actor_within_one,
        ("output_out_of_range",),
        learns=0.95,
        fails=0.75,
        source="https://github.com/carpedm20/NAF-tensorflow/issues/8",
    ),
    Faulty(
        corner_by_sigmoid,
        ("output_out_of_range",),
        learns=0.9,
        fails=0.0,
        source="https://stackoverflow.com/questions/9048031",
    ),
    Faulty(
        masks_up_to_255,
        ("output_out_of_range", "targets_unscaled"),
        learns=0.9,
        fails=0.1,
        source="https://github.com/HKUSTCV/FSS-1000/issues/20",
    ),
    Faulty(
        forecast_against_a_row,
        ("shapes_broadcast",),
        learns=0.9,
        fails=0.3,
        source="https://discuss.pytorch.org/t/148155",
    ),
    Faulty(
        ratings_against_a_column,
        ("shapes_broadcast",),
        learns=0.9,
        fails=0.3,
        source="https://github.com/jiwei0921/CoNet/issues/3",
    ),
    Faulty(rates_for_log_rates, ("log_rate_expected",), learns=0.65, fails=0.3),
    Faulty(
        likelihood_outweighed,
        ("term_outweighs",),
        learns=0.68,
        fails=0.55,
        source="https://github.com/podgorskiy/VAE/issues/1",
    ),
    Faulty(counts_by_cross_entropy, ("softmax_over_one_unit",), learns=0.9, fails=0.1),
)
