"""Sound programs that have the looks of faulty ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import CosineAnnealingLR

from mlr.benchmarks.programs.case import LookAlike, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    binary_accuracy,
    digits,
    explained,
    fit,
    least_recall,
    mlp,
)


def gradient_accumulation(watch: Watch) -> float:
    """Each update sums the gradients of four batches."""
    torch.manual_seed(0)
    x, t = digits()
    model = mlp(64, 32, 10)
    optimizer = SGD(model.parameters(), lr=0.5)
    with watch(model, optimizer, accumulate=4) as probe:
        for _ in range(12):
            for number, (inputs, targets) in enumerate(BatchLoader(x[:1792], t[:1792], size=16)):
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                (loss / 4).backward()
                if (number + 1) % 4 == 0:
                    optimizer.step()
                    optimizer.zero_grad()
    return accuracy(model, x, t)


def autoencoder(watch: Watch) -> float:
    """An autoencoder reconstructs centred pixels under MSE: inputs are the targets."""
    torch.manual_seed(0)
    x, _ = digits()
    x = x - x.mean(0)
    model = nn.Sequential(mlp(64, 32, 12), mlp(12, 32, 64))
    optimizer = Adam(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(10):
            for (inputs,) in BatchLoader(x, size=64):
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.mse_loss(outputs, inputs)
                probe.watch(outputs, inputs, loss)
                loss.backward()
                optimizer.step()
    return explained(model, x, x)


def binary_autoencoder(watch: Watch) -> float:
    """A sigmoid and BCE reconstruct pixels anywhere in [0, 1], so that the loss stays above 0."""
    torch.manual_seed(0)
    x, _ = digits()
    model = nn.Sequential(*mlp(64, 32, 16, 32, 64), nn.Sigmoid())
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.BCELoss(), BatchLoader(x, x, size=64), 12)
    return explained(model, x, x)


def poisson_counts(watch: Watch) -> float:
    """Counts are regressed on by PoissonNLLLoss, which is no error of the outputs."""
    torch.manual_seed(0)
    x = torch.randn(600, 4)
    rate = torch.exp(0.8 * x[:, :1] - 0.5 * x[:, 1:2] + 0.5)
    t = torch.poisson(rate)
    model = mlp(4, 16, 1)
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.PoissonNLLLoss(log_input=True), BatchLoader(x, t), 15)
    with torch.no_grad():
        return 1 - float(F.mse_loss(model(x), rate.log()) / rate.log().var())


def gaussian_likelihood(watch: Watch) -> float:
    """A network gives mean and log-variance, and learns by gaussian_nll_loss."""
    torch.manual_seed(0)
    x = 2 * torch.rand(600, 1) - 1
    t = torch.sin(4 * x) + (0.05 + 0.3 * (x > 0)) * torch.randn(600, 1)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(1, 32), nn.Tanh())
            self.mean, self.log_variance = nn.Linear(32, 1), nn.Linear(32, 1)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            h = self.body(x)
            return self.mean(h), self.log_variance(h)

    model = Net()
    optimizer = Adam(model.parameters(), lr=0.02)
    with watch(model, optimizer) as probe:
        for _ in range(20):
            for inputs, targets in BatchLoader(x, t):
                mean, log_variance = model(inputs)
                loss = F.gaussian_nll_loss(mean, targets, log_variance.exp())
                probe.watch(mean, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return 1 - float(F.mse_loss(model(x)[0], torch.sin(4 * x)) / t.var())


def sigmoid_regression(watch: Watch) -> float:
    """A number in [0, 1] is regressed on by a sigmoid under MSE."""
    torch.manual_seed(0)
    x = torch.randn(600, 4)
    t = torch.sigmoid(2 * x[:, :1] - x[:, 1:2] * x[:, 2:3])
    model = nn.Sequential(*mlp(4, 32, 1), nn.Sigmoid())
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(x, t), 15)
    return explained(model, x, t)


def dropout_accuracy(watch: Watch) -> float:
    """Under dropout the training accuracy is far below that of the model."""
    torch.manual_seed(0)
    x, t = digits()
    model = nn.Sequential(
        nn.Dropout(0.2),
        nn.Linear(64, 64),
        nn.ReLU(),
        nn.Dropout(0.6),
        nn.Linear(64, 10),
    )
    optimizer = Adam(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 12)
    return accuracy(model, x, t)


def cosine_to_zero(watch: Watch) -> float:
    """The rate follows a cosine to 0 at the end, where nothing moves."""
    torch.manual_seed(0)
    x, t = digits()
    model = mlp(64, 32, 10)
    optimizer = SGD(model.parameters(), lr=0.2, momentum=0.9)
    schedule = CosineAnnealingLR(optimizer, T_max=10)
    with watch(model, optimizer) as probe:
        for _ in range(10):
            for inputs, targets in BatchLoader(x, t, size=64):
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
            schedule.step()
    return accuracy(model, x, t)


def label_smoothing(watch: Watch) -> float:
    """Smoothed labels keep the loss of a model that is always right far above 0."""
    torch.manual_seed(0)
    x, t = digits()
    model = mlp(64, 32, 10)
    optimizer = Adam(model.parameters(), lr=0.01)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.2)
    fit(watch, model, optimizer, criterion, BatchLoader(x, t, size=64), 8)
    return accuracy(model, x, t)


def two_players(watch: Watch) -> float:
    """A generator and a discriminator hold each other, so that the loss stays at log 2."""
    torch.manual_seed(0)
    generator, critic = mlp(2, 16, 1), mlp(1, 16, 1)
    of_critic = Adam(critic.parameters(), lr=0.005, betas=(0.5, 0.9))
    of_generator = Adam(generator.parameters(), lr=0.005, betas=(0.5, 0.9))
    ones, zeros = torch.ones(64, 1), torch.zeros(64, 1)
    with watch(nn.ModuleList([critic, generator]), [of_critic, of_generator]) as probe:
        for _ in range(300):
            real = 3 + 0.5 * torch.randn(64, 1)
            made = generator(torch.randn(64, 2))
            outputs = critic(torch.cat([real, made.detach()]))
            targets = torch.cat([ones, zeros])
            loss = F.binary_cross_entropy_with_logits(outputs, targets)
            probe.watch(outputs, targets, loss)
            of_critic.zero_grad()
            loss.backward()
            of_critic.step()
            of_generator.zero_grad()
            F.binary_cross_entropy_with_logits(critic(made), ones).backward()
            of_generator.step()
    with torch.no_grad():
        return 1 - abs(float(generator(torch.randn(2000, 2)).mean()) - 3) / 3


def padded_embedding(watch: Watch) -> float:
    """Texts are padded by the word 0, whose row of the embedding never gets a gradient."""
    torch.manual_seed(0)
    words = torch.randint(1, 30, (600, 12))
    words[torch.arange(12) >= torch.randint(4, 13, (600, 1))] = 0
    t = ((words > 0) & (words < 8)).sum(1) > (words > 21).sum(1)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(30, 8, padding_idx=0)
            self.out = nn.Linear(8, 1)

        def forward(self, words: Tensor) -> Tensor:
            return self.out(self.embedding(words).sum(1))

    model = Net()
    optimizer = Adam(model.parameters(), lr=0.01)
    loader = BatchLoader(words, t.float()[:, None])
    fit(watch, model, optimizer, nn.BCEWithLogitsLoss(), loader, 15)
    return binary_accuracy(model, words, t)


def focal_by_hand(watch: Watch) -> float:
    """A focal loss by hand weighs a rare class, and is none of torch's losses."""
    torch.manual_seed(0)
    t = (torch.arange(1000) % 10 == 0).long()
    x = torch.randn(1000, 6) + 1.5 * t[:, None]

    def focal(outputs: Tensor, targets: Tensor) -> Tensor:
        cost = F.cross_entropy(outputs, targets, reduction="none")
        weight = torch.where(targets == 1, 0.9, 0.1)
        return (weight * (1 - torch.exp(-cost)) ** 2 * cost).mean()

    model = mlp(6, 16, 2)
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, focal, BatchLoader(x, t), 10)
    return least_recall(model, x, t)


def relu_for_counts(watch: Watch) -> float:
    """Amounts that cannot be negative are regressed on by a ReLU, and a few are 0."""
    torch.manual_seed(0)
    x = torch.randn(600, 4)
    t = torch.relu(x[:, :1] + 0.5 * x[:, 1:2] + 1.5)
    model = nn.Sequential(*mlp(4, 32, 1), nn.ReLU())
    nn.init.constant_(list(model.parameters())[-1], 1.0)
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(x, t), 15)
    return explained(model, x, t)


def positive_weight(watch: Watch) -> float:
    """One example in 20 is positive, and pos_weight makes up for it."""
    torch.manual_seed(0)
    t = (torch.arange(2000) % 20 == 0).float()[:, None]
    x = torch.randn(2000, 6) + 1.2 * t
    model = mlp(6, 16, 1)
    optimizer = Adam(model.parameters(), lr=0.01)
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([19.0]))
    fit(watch, model, optimizer, criterion, BatchLoader(x, t, size=64), 8)
    with torch.no_grad():
        found = model(x) > 0
    recalls = (found[t == 1].float().mean(), (~found[t == 0]).float().mean())
    return float(min(recalls))


def mixup(watch: Watch) -> float:
    """Inputs and one-hot targets are mixed, so that no target is 0 or 1."""
    torch.manual_seed(0)
    x, t = digits()
    model = mlp(64, 32, 10)
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(8):
            for inputs, labels in BatchLoader(x, F.one_hot(t, 10).float(), size=64):
                share = torch.distributions.Beta(0.4, 0.4).sample()
                other = torch.randperm(len(inputs))
                inputs = share * inputs + (1 - share) * inputs[other]
                targets = share * labels + (1 - share) * labels[other]
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    return accuracy(model, x, t)


def tied_weights(watch: Watch) -> float:
    """The next word is predicted by the embedding's own matrix, and words follow a table."""
    torch.manual_seed(0)
    follows = torch.randint(1, 20, (20,))
    words = torch.randint(0, 20, (800,))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(20, 16)
            self.body = nn.Linear(16, 16)
            self.out = nn.Linear(16, 20, bias=False)
            self.out.weight = self.embedding.weight

        def forward(self, words: Tensor) -> Tensor:
            return self.out(torch.tanh(self.body(self.embedding(words))))

    model = Net()
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(words, follows[words]), 10)
    return accuracy(model, words, follows[words])


def validation_between(watch: Watch) -> float:
    """Each epoch ends with a validation in eval mode without gradients, and saves the best."""
    torch.manual_seed(0)
    x, t = digits()
    model = nn.Sequential(
        nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 10)
    )
    optimizer = Adam(model.parameters(), lr=0.01)
    best, right = {}, 0.0
    with watch(model, optimizer) as probe:
        for _ in range(8):
            model.train()
            for inputs, targets in BatchLoader(x[400:], t[400:], size=64):
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
            now = accuracy(model, x[:400], t[:400])
            if now > right:
                right, best = now, {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(best)
    return accuracy(model, x[:400], t[:400])


CASES = (
    LookAlike(gradient_accumulation, learns=0.9),
    LookAlike(autoencoder, learns=0.6),
    LookAlike(binary_autoencoder, learns=0.6),
    LookAlike(poisson_counts, learns=0.8),
    LookAlike(gaussian_likelihood, learns=0.8),
    LookAlike(sigmoid_regression, learns=0.8),
    LookAlike(dropout_accuracy, learns=0.9),
    LookAlike(cosine_to_zero, learns=0.9),
    LookAlike(label_smoothing, learns=0.9),
    LookAlike(two_players, learns=0.7),
    LookAlike(padded_embedding, learns=0.85),
    LookAlike(focal_by_hand, learns=0.8),
    LookAlike(relu_for_counts, learns=0.9),
    LookAlike(positive_weight, learns=0.8),
    LookAlike(mixup, learns=0.9),
    LookAlike(tied_weights, learns=0.95),
    LookAlike(validation_between, learns=0.9),
)
