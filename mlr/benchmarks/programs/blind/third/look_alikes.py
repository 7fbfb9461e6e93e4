"""Sound programs that look odd, written blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from mlr.benchmarks.programs.blind.material import pictures, sentences, texts
from mlr.benchmarks.programs.case import LookAlike, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    clouds,
    digits,
    explained,
    fit,
    houses,
    mlp,
    rings,
    wave,
)


def log_softmax_and_cross_entropy(watch: Watch) -> float:
    """A CNN returns log_softmax, of which cross_entropy's own log_softmax is the same again."""
    torch.manual_seed(0)
    x, t = (tensor[:800] for tensor in pictures())

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 10, 3, stride=2, padding=1), nn.Linear(160, 10)

        def forward(self, x: Tensor) -> Tensor:
            return F.log_softmax(self.fc(F.relu(self.conv(x)).flatten(1)), dim=1)

    model = Net()
    optimizer = Adam(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=40), 8)
    return accuracy(model, x, t)


def softmax_under_bce(watch: Watch) -> float:
    """Two units with a softmax are compared with one-hot rows by BCELoss."""
    torch.manual_seed(0)
    x, t = rings()
    model = nn.Sequential(mlp(2, 24, 24, 2), nn.Softmax(dim=1))
    optimizer = Adam(model.parameters(), lr=0.01)
    rows = F.one_hot(t, 2).float()
    fit(watch, model, optimizer, nn.BCELoss(), BatchLoader(x, rows, size=40), 12)
    return accuracy(model, x, t)


def brier_score(watch: Watch) -> float:
    """A recurrent net ends in a softmax, whose squared distance to one-hot rows is the loss."""
    torch.manual_seed(0)
    words, t = texts(640)

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(40, 12)
            self.rnn = nn.GRU(12, 16, batch_first=True)
            self.out = nn.Linear(16, 2)

        def forward(self, words: Tensor) -> Tensor:
            return self.out(self.rnn(self.embed(words))[0].mean(1)).softmax(-1)

    def brier(shares: Tensor, labels: Tensor) -> Tensor:
        return (shares - F.one_hot(labels, 2)).square().sum(1).mean()

    model = Reader()
    optimizer = RMSprop(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, brier, BatchLoader(words, t, size=40), 10)
    return accuracy(model, words, t)


def classes_come_first(watch: Watch) -> float:
    """Scores have the shape (classes, count), so that the softmax rightly runs over axis 0."""
    torch.manual_seed(0)
    x, t = clouds(5, 8, 700)
    weight1 = nn.Parameter(0.3 * torch.randn(24, 8))
    weight2 = nn.Parameter(0.2 * torch.randn(5, 24))
    bias = nn.Parameter(torch.zeros(5, 1))
    model = nn.ParameterList([weight1, weight2, bias])

    def scores(x: Tensor) -> Tensor:
        return weight2 @ torch.tanh(weight1 @ x.T) + bias

    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    with watch(model, optimizer) as probe:
        for _ in range(8):
            for inputs, labels in BatchLoader(x, t, size=35):
                log_shares = scores(inputs).log_softmax(dim=0)
                loss = -log_shares.gather(0, labels[None]).mean()
                probe.watch(log_shares, labels, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return float((scores(x).argmax(0) == t).float().mean())


def density_of_narrow_peaks(watch: Watch) -> float:
    """A net gives mean and log-deviation of a precise quantity: its loss falls far below 0."""
    torch.manual_seed(0)
    x = 2 * torch.rand(700, 1) - 1
    y = torch.sin(3 * x) + 0.02 * torch.randn(700, 1)
    model = mlp(1, 32, 32, 2, activation=nn.Tanh)
    optimizer = Adam(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(25):
            for inputs, targets in BatchLoader(x, y, size=50):
                outputs = model(inputs)
                mean, log_deviation = outputs.chunk(2, 1)
                density = torch.distributions.Normal(mean, log_deviation.exp())
                loss = -density.log_prob(targets).mean()
                probe.watch(mean, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimizer.step()
    with torch.no_grad():
        return float(1 - F.mse_loss(model(x)[:, :1], y) / y.var(unbiased=False))


def order_of_pairs(watch: Watch) -> float:
    """A ranking loss subtracts a row from a column on purpose: all pairs of the batch."""
    torch.manual_seed(0)
    x, y = houses(600)
    model = mlp(5, 32, 32, 1)
    optimizer = AdamW(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(15):
            for inputs, prices in BatchLoader(x, y, size=30):
                score = model(inputs)
                higher = (prices > prices.T).float()
                logits = score - score.T
                loss = F.binary_cross_entropy_with_logits(logits, higher)
                probe.watch(logits, higher, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        score = model(x)
        return float(((score > score.T) == (y > y.T)).float().mean())


def three_quantiles_again(watch: Watch) -> float:
    """Three quantiles are compared with one column of targets by the pinball loss."""
    torch.manual_seed(0)
    x, y = wave(640)
    shares = torch.tensor([0.1, 0.5, 0.9])

    def pinball(quantiles: Tensor, targets: Tensor) -> Tensor:
        error = targets - quantiles
        return torch.maximum(shares * error, (shares - 1) * error).mean()

    model = mlp(1, 32, 32, 3)
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, pinball, BatchLoader(x, y, size=40), 15)
    with torch.no_grad():
        return float(1 - F.mse_loss(model(x)[:, 1:2], y) / y.var(unbiased=False))


def four_batches_a_step(watch: Watch) -> float:
    """Gradients of four small batches are summed before a step, each loss divided by four."""
    torch.manual_seed(0)
    x, t = digits()
    model = mlp(64, 48, 10)
    optimizer = SGD(model.parameters(), lr=0.3, momentum=0.9)
    with watch(model, optimizer) as probe:
        optimizer.zero_grad()
        for _ in range(6):
            for step, (inputs, labels) in enumerate(BatchLoader(x, t, size=12), 1):
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, labels) / 4
                probe.watch(outputs, labels, loss)
                loss.backward()
                if step % 4 == 0:
                    optimizer.step()
                    optimizer.zero_grad()
    return accuracy(model, x, t)


def head_on_random_features(watch: Watch) -> float:
    """Only the last layer is trained, on many fixed random waves of the inputs."""
    torch.manual_seed(0)
    x, t = rings()

    class RandomFeatures(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.waves = nn.Linear(2, 200)
            nn.init.normal_(self.waves.weight, std=1.5)
            self.waves.requires_grad_(False)
            self.head = nn.Linear(200, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.cos(self.waves(x)))

    model = RandomFeatures()
    optimizer = SGD(model.head.parameters(), lr=0.05, momentum=0.9)
    fit(watch, model, optimizer, F.cross_entropy, BatchLoader(x, t, size=30), 12)
    return accuracy(model, x, t)


def code_of_plus_and_minus(watch: Watch) -> float:
    """An autoencoder's code is its sign, past which the gradient is passed straight through."""
    torch.manual_seed(0)
    x, _ = digits()

    class SignCode(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = mlp(64, 64, 32), mlp(32, 64, 64)

        def forward(self, x: Tensor) -> Tensor:
            soft = torch.tanh(self.encoder(x))
            code = soft + (soft.sign() - soft).detach()
            return self.decoder(code)

    model = SignCode()
    optimizer = Adam(model.parameters(), lr=0.003)
    with watch(model, optimizer) as probe:
        for _ in range(20):
            for (pixels,) in BatchLoader(x, size=60):
                again = model(pixels)
                loss = F.mse_loss(again, pixels)
                probe.watch(again, pixels, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return explained(model, x, x)


def mixed_examples(watch: Watch) -> float:
    """Examples are mixed in pairs, and cross_entropy gets their mixed rows of shares."""
    torch.manual_seed(0)
    x, t = digits()
    rows = F.one_hot(t, 10).float()
    model = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 10))
    optimizer = AdamW(model.parameters(), lr=0.005)
    weights = torch.distributions.Beta(0.4, 0.4)
    with watch(model, optimizer) as probe:
        for _ in range(8):
            for inputs, targets in BatchLoader(x, rows, size=50):
                share, other = weights.sample(), torch.randperm(len(inputs))
                inputs = share * inputs + (1 - share) * inputs[other]
                targets = share * targets + (1 - share) * targets[other]
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return accuracy(model, x, t)


def all_data_at_a_high_rate(watch: Watch) -> float:
    """Logistic regression from zero weights sees all data in each update, at a rate of 2."""
    torch.manual_seed(0)
    x, t = clouds(3, 6, 600)
    x = (x - x.mean(0)) / x.std(0)
    model = nn.Linear(6, 3)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    optimizer = SGD(model.parameters(), lr=2.0)
    fit(watch, model, optimizer, F.cross_entropy, [(x, t)] * 120, 1)
    return accuracy(model, x, t)


def logarithms_of_a_teacher(watch: Watch) -> float:
    """A student's kl_div gets logarithms on both sides, with log_target=True."""
    torch.manual_seed(0)
    x = torch.randn(800, 8)
    teacher = mlp(8, 16, 4)
    with torch.no_grad():
        wanted = F.log_softmax(5 * teacher(x), dim=1)
    student = mlp(8, 32, 4)
    optimizer = Adam(student.parameters(), lr=0.005)
    criterion = nn.KLDivLoss(reduction="batchmean", log_target=True)
    model = nn.Sequential(student, nn.LogSoftmax(dim=1))
    fit(watch, model, optimizer, criterion, BatchLoader(x, wanted, size=40), 14)
    with torch.no_grad():
        mean = wanted.exp().mean(0).log().expand_as(wanted)
        return float(1 - criterion(model(x), wanted) / criterion(mean, wanted))


def count_of_marks(watch: Watch) -> float:
    """A net regresses on whole numbers from 0 to 8, which are counts and no classes."""
    torch.manual_seed(0)
    x = (torch.rand(800, 1, 8, 8) < 0.06).float()
    x[:, :, 0] = 0
    t = x.sum((1, 2, 3)).clamp(max=8)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 1), nn.Flatten(0)
    )
    optimizer = Adam(model.parameters(), lr=0.002)
    fit(watch, model, optimizer, nn.SmoothL1Loss(), BatchLoader(x, t, size=40), 8)
    return explained(model, x, t)


def grades_by_thresholds(watch: Watch) -> float:
    """Five ordered grades are learned as four questions, whether the grade is above each."""
    torch.manual_seed(0)
    x, y = houses(800)
    grade = torch.bucketize(y[:, 0], torch.tensor([-1.0, -0.3, 0.3, 1.0]))
    above = (grade[:, None] > torch.arange(4)).float()

    class Ordinal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.score = mlp(5, 48, 48, 1)
            self.cuts = nn.Parameter(torch.tensor([1.0, 0.3, -0.3, -1.0]))

        def forward(self, x: Tensor) -> Tensor:
            return 3 * (self.score(x) + self.cuts)

    model = Ordinal()
    optimizer = Adam(model.parameters(), lr=0.005)
    criterion = nn.BCEWithLogitsLoss()
    fit(watch, model, optimizer, criterion, BatchLoader(x, above, size=40), 15)
    with torch.no_grad():
        return float(((model(x) > 0).sum(1) == grade).float().mean())


def grey_pixels_under_bce(watch: Watch) -> float:
    """An autoencoder's BCE has grey pixels as targets, and is summed: its least is far above 0."""
    torch.manual_seed(0)
    x, _ = digits()
    model = nn.Sequential(mlp(64, 64, 16), nn.ReLU(), mlp(16, 64, 64), nn.Sigmoid())
    optimizer = Adam(model.parameters(), lr=0.003)
    with watch(model, optimizer) as probe:
        for _ in range(18):
            for (pixels,) in BatchLoader(x, size=60):
                optimizer.zero_grad()
                again = model(pixels)
                loss = F.binary_cross_entropy(again, pixels, reduction="sum") / len(pixels)
                probe.watch(again, pixels, loss)
                loss.backward()
                optimizer.step()
    return explained(model, x, x)


def words_behind_a_mask_again(watch: Watch) -> float:
    """A transformer's targets are its inputs, but where they are masked: -100 elsewhere."""
    torch.manual_seed(0)
    text = sentences(400)

    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(13, 24)
            self.position = nn.Parameter(0.1 * torch.randn(10, 24))
            self.mix = nn.Conv1d(24, 48, 3, padding=1)
            self.out = nn.Linear(48, 12)

        def forward(self, words: Tensor) -> Tensor:
            h = self.embed(words) + self.position
            return self.out(torch.relu(self.mix(h.transpose(1, 2))).transpose(1, 2))

    def masked(words: Tensor) -> tuple[Tensor, Tensor]:
        hidden = torch.rand(words.shape) < 0.15
        return words.masked_fill(hidden, 12), words.masked_fill(~hidden, -100)

    model = Masked()
    optimizer = AdamW(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(20):
            for (words,) in BatchLoader(text, size=40):
                inputs, labels = masked(words)
                logits = model(inputs).flatten(0, 1)
                loss = F.cross_entropy(logits, labels.flatten())
                probe.watch(logits, labels.flatten(), loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        inputs, labels = masked(text)
        at = labels >= 0
        return float((model(inputs).argmax(-1)[at] == labels[at]).float().mean())


def rain_under_a_relu(watch: Watch) -> float:
    """The amount of rain is never negative, often 0, and the net ends in a ReLU."""
    torch.manual_seed(0)
    x, y = houses(700)
    rain = (y + 0.5).clamp(min=0)
    last = nn.Linear(48, 1)
    nn.init.constant_(last.bias, 0.5)
    model = nn.Sequential(mlp(5, 48, 48), nn.ReLU(), last, nn.ReLU())
    optimizer = Adam(model.parameters(), lr=0.003)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(x, rain, size=35), 15)
    return explained(model, x, rain)


CASES = (
    LookAlike(log_softmax_and_cross_entropy, learns=0.9),
    LookAlike(softmax_under_bce, learns=0.95),
    LookAlike(brier_score, learns=0.85),
    LookAlike(classes_come_first, learns=0.95),
    LookAlike(density_of_narrow_peaks, learns=0.95),
    LookAlike(order_of_pairs, learns=0.9),
    LookAlike(three_quantiles_again, learns=0.95),
    LookAlike(four_batches_a_step, learns=0.9),
    LookAlike(head_on_random_features, learns=0.95),
    LookAlike(code_of_plus_and_minus, learns=0.75),
    LookAlike(mixed_examples, learns=0.9),
    LookAlike(all_data_at_a_high_rate, learns=0.95),
    LookAlike(logarithms_of_a_teacher, learns=0.85),
    LookAlike(count_of_marks, learns=0.9),
    LookAlike(grades_by_thresholds, learns=0.8),
    LookAlike(grey_pixels_under_bce, learns=0.7),
    LookAlike(words_behind_a_mask_again, learns=0.8),
    LookAlike(rain_under_a_relu, learns=0.9),
)
