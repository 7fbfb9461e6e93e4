"""Sound programs that look odd, written blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from mlr.benchmarks.programs.blind.fourth.material import bags, topics
from mlr.benchmarks.programs.blind.material import pictures, sentences, spots, texts
from mlr.benchmarks.programs.case import LookAlike, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    binary_accuracy,
    clouds,
    explained,
    fit,
    houses,
    mlp,
    rings,
    wave,
)


def log_softmax_and_cross_entropy_again(watch: Watch) -> float:
    """CrossEntropyLoss follows LogSoftmax, which a second one does not change."""
    torch.manual_seed(0)
    x, t = pictures()
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10), nn.LogSoftmax(dim=1)
    )
    optimizer = Adam(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 8)
    return accuracy(model, x, t)


def squared_error_of_shares(watch: Watch) -> float:
    """A softmax is compared with one-hot rows by the squared error, as in Brier's score."""
    torch.manual_seed(0)
    x, t = clouds(5)
    onehot = F.one_hot(t).float()
    model = nn.Sequential(mlp(8, 32, 5), nn.Softmax(dim=1))
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(x, onehot, size=30), 12)
    return accuracy(model, x, t)


def logarithm_outside(watch: Watch) -> float:
    """A softmax leaves the model, and nll_loss gets its logarithm in the loop."""
    torch.manual_seed(0)
    words, t = topics(classes=8)

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.fc = nn.Embedding(32, 16), mlp(16, 32, 8)

        def forward(self, words: Tensor) -> Tensor:
            return F.softmax(self.fc(self.embed(words).mean(1)), dim=-1)

    model = Reader()
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(10):
            for text, label in BatchLoader(words, t, size=40):
                optimizer.zero_grad()
                log_probs = torch.log(model(text) + 1e-9)
                loss = F.nll_loss(log_probs, label)
                probe.watch(log_probs, label, loss)
                loss.backward()
                optimizer.step()
    return accuracy(model, words, t)


def two_units_for_two_classes(watch: Watch) -> float:
    """Two classes have two units, a softmax, and BCELoss on the one-hot rows."""
    torch.manual_seed(0)
    x, t = rings()
    model = nn.Sequential(mlp(2, 32, 2), nn.Softmax(dim=1))
    optimizer = Adam(model.parameters(), lr=0.02)
    rows = F.one_hot(t).float()
    fit(watch, model, optimizer, nn.BCELoss(), BatchLoader(x, rows, size=30), 10)
    return accuracy(model, x, t)


def share_of_voters(watch: Watch) -> float:
    """Shares between 0 and 1 are the targets of BCEWithLogitsLoss, and no classes."""
    torch.manual_seed(0)
    x = torch.randn(600, 5)
    y = torch.sigmoid(x[:, :1] * 2 - x[:, 1:2] * x[:, 2:3] - 0.5)
    model = mlp(5, 48, 1)
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.BCEWithLogitsLoss(), BatchLoader(x, y, size=30), 20)
    with torch.no_grad():
        rest = F.mse_loss(torch.sigmoid(model(x)), y)
        return float(1 - rest / y.var(unbiased=False))


def rates_not_logarithms(watch: Watch) -> float:
    """PoissonNLLLoss gets rates after a softplus, and is told so; its value is negative."""
    torch.manual_seed(0)
    x = torch.randn(800, 3)
    rate = 4 * F.softplus(x[:, :1] + 0.5 * x[:, 1:2])
    counts = torch.poisson(rate)
    model = nn.Sequential(mlp(3, 24, 1), nn.Softplus())
    optimizer = Adam(model.parameters(), lr=0.01)
    loss = nn.PoissonNLLLoss(log_input=False)
    fit(watch, model, optimizer, loss, BatchLoader(x, counts, size=40), 15)
    return explained(model, x, rate)


def waves_by_tanh(watch: Watch) -> float:
    """The output is a tanh, since the targets were scaled to [−0.9, 0.9] before."""
    torch.manual_seed(0)
    x, y = wave()
    y = 0.9 * y / y.abs().max()
    model = nn.Sequential(mlp(1, 40, 40, 1, activation=nn.Tanh), nn.Tanh())
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.SmoothL1Loss(beta=0.1), BatchLoader(x, y, size=32), 20)
    return explained(model, x, y)


def cosine_with_scale(watch: Watch) -> float:
    """Cosines of features and classes, which lie in [−1, 1], are multiplied by 12 as logits."""
    torch.manual_seed(0)
    x, t = clouds(6, features=10)

    class CosineNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.centres = mlp(10, 32, 16), nn.Parameter(torch.randn(6, 16))

        def forward(self, x: Tensor) -> Tensor:
            return 12 * F.normalize(self.body(x), dim=1) @ F.normalize(self.centres, dim=1).T

    model = CosineNet()
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    fit(watch, model, optimizer, F.cross_entropy, BatchLoader(x, t, size=32), 12)
    return accuracy(model, x, t)


def four_parts_of_a_batch(watch: Watch) -> float:
    """Gradients of four small batches are summed on purpose before each step."""
    torch.manual_seed(0)
    x, t = clouds(4, count=800)
    model = mlp(8, 32, 4)
    optimizer = Adam(model.parameters(), lr=0.02)
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for i, (inputs, labels) in enumerate(BatchLoader(x, t, size=10)):
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, labels) / 4
                probe.watch(outputs, labels, loss)
                loss.backward()
                if i % 4 == 3:
                    optimizer.step()
                    optimizer.zero_grad()
    return accuracy(model, x, t)


def density_above_one(watch: Watch) -> float:
    """GaussianNLLLoss falls below 0, as the noise of the wave is small."""
    torch.manual_seed(0)
    x, y = wave()

    class MeanAndVariance(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mean, self.log_var = mlp(1, 40, 40, 1, activation=nn.Tanh), nn.Linear(1, 1)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([self.mean(x), self.log_var(x).exp()], 1)

    model = MeanAndVariance()
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(25):
            for inputs, targets in BatchLoader(x, y, size=32):
                optimizer.zero_grad()
                out = model(inputs)
                loss = F.gaussian_nll_loss(out[:, :1], targets, out[:, 1:])
                probe.watch(out[:, :1], targets, loss)
                loss.backward()
                optimizer.step()
    return explained(model.mean, x, y)


def dice_and_entropy(watch: Watch) -> float:
    """Masks are learned by the sum of a Dice loss of sigmoids and an entropy of logits."""
    torch.manual_seed(0)
    x, mask, _ = spots()

    def both(logits: Tensor, target: Tensor) -> Tensor:
        probs = logits.sigmoid()
        dice = (2 * (probs * target).sum() + 1) / (probs.sum() + target.sum() + 1)
        return F.binary_cross_entropy_with_logits(logits, target) + 1 - dice

    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
    optimizer = AdamW(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, both, BatchLoader(x, mask, size=32), 10)
    with torch.no_grad():
        return float(((model(x) > 0) & mask.bool()).sum() / ((model(x) > 0) | mask.bool()).sum())


def hinge_of_signs_again(watch: Watch) -> float:
    """Labels −1 and 1 and a hinge loss by hand: one output without a sigmoid."""
    torch.manual_seed(0)
    words, t = texts()
    signs = 2.0 * t[:, None] - 1
    model = nn.Sequential(nn.EmbeddingBag(40, 8), nn.Linear(8, 1))
    optimizer = Adam(model.parameters(), lr=0.02)
    fit(
        watch,
        model,
        optimizer,
        lambda score, sign: F.relu(1 - sign * score).mean(),
        BatchLoader(words, signs, size=40),
        15,
    )
    return binary_accuracy(model, words, t)


def pixels_as_classes(watch: Watch) -> float:
    """Scores (N, 2, H, W) pass log_softmax over the second axis, and nll_loss takes the masks."""
    torch.manual_seed(0)
    x, mask, _ = spots()
    labels = mask.squeeze(1).long()
    model = nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2),
        nn.ReLU(),
        nn.Conv2d(8, 2, 3, padding=1),
        nn.LogSoftmax(dim=1),
    )
    optimizer = RMSprop(model.parameters(), lr=0.003)
    fit(watch, model, optimizer, nn.NLLLoss(), BatchLoader(x, labels, size=32), 10)
    with torch.no_grad():
        found, true = model(x).argmax(1).bool(), labels.bool()
        return float((found & true).sum() / (found | true).sum())


def words_left_out(watch: Watch) -> float:
    """Half of the next words are set to −100, which cross_entropy leaves out."""
    torch.manual_seed(0)
    x = sentences()
    y = x[:, 1:].masked_fill(torch.rand(256, 9) < 0.5, -100)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.gru = nn.Embedding(12, 16), nn.GRU(16, 24, batch_first=True)
            self.out = nn.Linear(24, 12)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.gru(self.embed(x))[0]).transpose(1, 2)

    model = Model()
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x[:, :-1], y, size=32), 15)
    return accuracy(model, x[:, :-1], x[:, 1:])


def ranks_of_quality(watch: Watch) -> float:
    """Five ordered grades are four labels “better than k”, each with its own sigmoid."""
    torch.manual_seed(0)
    x = torch.randn(700, 4)
    quality = x[:, 0] + 0.8 * x[:, 1] - 0.5 * x[:, 2]
    grade = (quality[:, None] > torch.tensor([-1.2, -0.4, 0.4, 1.2])).float()

    class Ordinal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.score, self.cuts = nn.Linear(4, 1, bias=False), nn.Parameter(torch.zeros(4))

        def forward(self, x: Tensor) -> Tensor:
            return self.score(x) - self.cuts

    model = Ordinal()
    optimizer = Adam(model.parameters(), lr=0.1)
    fit(watch, model, optimizer, nn.BCEWithLogitsLoss(), BatchLoader(x, grade, size=35), 12)
    with torch.no_grad():
        return float(((model(x) > 0).sum(1) == grade.sum(1)).float().mean())


def pairs_in_batch(watch: Watch) -> float:
    """Each view of a point is to find its partner of the batch: the classes are row numbers."""
    torch.manual_seed(0)
    z = torch.randn(600, 4)
    a, b = z @ torch.randn(4, 10), z @ torch.randn(4, 10)

    class Towers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = mlp(10, 32, 8), mlp(10, 32, 8)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return F.normalize(self.one(a), dim=1) @ F.normalize(self.two(b), dim=1).T / 0.1

    model = Towers()
    optimizer = Adam(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(15):
            for left, right in BatchLoader(a, b, size=30):
                scores, rows = model(left, right), torch.arange(len(left))
                loss = (F.cross_entropy(scores, rows) + F.cross_entropy(scores.T, rows)) / 2
                probe.watch(scores, rows, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return float((model(a[:30], b[:30]).argmax(1) == torch.arange(30)).float().mean())


def mixed_digits(watch: Watch) -> float:
    """Digits are mixed in pairs, and cross_entropy gets rows of shares instead of classes."""
    torch.manual_seed(0)
    x, t = pictures()
    onehot = F.one_hot(t).float()
    model = nn.Sequential(nn.Flatten(), mlp(64, 48, 10))
    optimizer = Adam(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for images, rows in BatchLoader(x, onehot, size=64):
                share, other = 0.3 * torch.rand(1), torch.randperm(len(images))
                outputs = model((1 - share) * images + share * images[other])
                targets = (1 - share) * rows + share * rows[other]
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return accuracy(model, x, t)


def random_features(watch: Watch) -> float:
    """A wide random layer is frozen on purpose; only the output is trained."""
    torch.manual_seed(0)
    x, y = houses()
    features = nn.Sequential(nn.Linear(5, 400), nn.ReLU()).requires_grad_(False)
    model = nn.Sequential(features, nn.Linear(400, 1))
    optimizer = Adam(model[1].parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(x, y, size=32), 25)
    return explained(model, x, y)


def several_tags_with_weights(watch: Watch) -> float:
    """Twelve labels in one row, positive ones weighted by 2, and gradients clipped."""
    torch.manual_seed(0)
    words, tags = bags()
    model = nn.Sequential(nn.EmbeddingBag(60, 32, mode="sum"), mlp(32, 64, 12))
    optimizer = Adam(model.parameters(), lr=0.005)
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.full((12,), 2.0))
    with watch(model, optimizer) as probe:
        for _ in range(15):
            for text, labels in BatchLoader(words, tags, size=40):
                optimizer.zero_grad()
                logits = model(text)
                loss = criterion(logits, labels)
                probe.watch(logits, labels, loss)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
    with torch.no_grad():
        return float(((model(words) > 0) == tags.bool()).float().mean())


def upper_quantile(watch: Watch) -> float:
    """A pinball loss teaches the 0.8 quantile, which most targets lie below."""
    torch.manual_seed(0)
    x = torch.randn(800, 3)
    centre, noise = x[:, :1] - x[:, 1:2].abs(), 0.3 * torch.randn(800, 1)
    y = centre + noise
    model = mlp(3, 32, 1)
    optimizer = Adam(model.parameters(), lr=0.01)

    def pinball(out: Tensor, target: Tensor) -> Tensor:
        return torch.maximum(0.8 * (target - out), 0.2 * (out - target)).mean()

    fit(watch, model, optimizer, pinball, BatchLoader(x, y, size=40), 15)
    return explained(model, x, centre + 0.3 * 0.8416)


CASES = (
    LookAlike(log_softmax_and_cross_entropy_again, learns=0.9),
    LookAlike(squared_error_of_shares, learns=0.95),
    LookAlike(logarithm_outside, learns=0.85),
    LookAlike(two_units_for_two_classes, learns=0.95),
    LookAlike(share_of_voters, learns=0.9),
    LookAlike(rates_not_logarithms, learns=0.85),
    LookAlike(waves_by_tanh, learns=0.95),
    LookAlike(cosine_with_scale, learns=0.95),
    LookAlike(four_parts_of_a_batch, learns=0.95),
    LookAlike(density_above_one, learns=0.9),
    LookAlike(dice_and_entropy, learns=0.8),
    LookAlike(hinge_of_signs_again, learns=0.9),
    LookAlike(pixels_as_classes, learns=0.8),
    LookAlike(words_left_out, learns=0.85),
    LookAlike(ranks_of_quality, learns=0.9),
    LookAlike(pairs_in_batch, learns=0.9),
    LookAlike(mixed_digits, learns=0.9),
    LookAlike(random_features, learns=0.85),
    LookAlike(several_tags_with_weights, learns=0.9),
    LookAlike(upper_quantile, learns=0.9),
)
