"""Sound programs that have the looks of faulty ones, written blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import LBFGS, SGD, Adadelta, Adam, SparseAdam

from mlr.benchmarks.programs.blind.material import pictures, sentences, spots, texts
from mlr.benchmarks.programs.case import LookAlike, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    binary_accuracy,
    clouds,
    digits,
    explained,
    fit,
    houses,
    least_recall,
    mlp,
    rings,
    wave,
)


def logarithm_twice(watch: Watch) -> float:
    """Log-probabilities go to cross_entropy, whose log_softmax leaves them as they are."""
    torch.manual_seed(0)
    x, t = clouds(5)
    model = nn.Sequential(mlp(8, 24, 5), nn.LogSoftmax(dim=1))
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=30), 8)
    return accuracy(model, x, t)


def brier_of_rain(watch: Watch) -> float:
    """Probabilities by a sigmoid are trained on outcomes by the Brier score, a squared error."""
    torch.manual_seed(0)
    x, t = rings()
    model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1), nn.Sigmoid())
    optimizer = Adam(model.parameters(), lr=0.02)
    loader = BatchLoader(x, t.float()[:, None], size=30)
    fit(watch, model, optimizer, nn.MSELoss(), loader, 12)
    return binary_accuracy(model, x, t, 0.5)


def three_quantiles(watch: Watch) -> float:
    """Three outputs are compared with one target, broadcast on purpose, by the pinball loss."""
    torch.manual_seed(0)
    x, y = houses()
    levels = torch.tensor([0.1, 0.5, 0.9])

    def pinball(outputs: Tensor, targets: Tensor) -> Tensor:
        error = targets - outputs
        return torch.maximum(levels * error, (levels - 1) * error).mean()

    model = mlp(5, 32, 32, 3)
    optimizer = Adam(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, pinball, BatchLoader(x, y, size=32), 25)
    with torch.no_grad():
        return float(1 - (model(x)[:, 1:2] - y).square().mean() / y.var())


def captions_and_pictures(watch: Watch) -> float:
    """Two towers learn by cross_entropy over rows and columns, whose classes are places."""
    torch.manual_seed(0)
    x, t = clouds(20, features=12, count=800, spread=0.4)
    caption = F.one_hot(t, 20).float() + 0.1 * torch.randn(800, 20)

    class Towers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.picture, self.text = mlp(12, 32, 12), mlp(20, 32, 12)
            self.logit_scale = nn.Parameter(torch.tensor(2.0))

        def forward(self, picture: Tensor, text: Tensor) -> Tensor:
            a = F.normalize(self.picture(picture), dim=1)
            return self.logit_scale.exp() * a @ F.normalize(self.text(text), dim=1).T

    model = Towers()
    optimizer = Adam(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(120):
            chosen = torch.stack(
                [torch.nonzero(t == k)[torch.randint(40, ())][0] for k in range(20)]
            )
            logits, own = model(x[chosen], caption[chosen]), torch.arange(20)
            loss = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
            probe.watch(logits, own, loss)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return float((model(x, torch.eye(20)).argmax(1) == t).float().mean())


def winners_only(watch: Watch) -> float:
    """Every pair holds the winner first, so that the targets of the logistic loss are all 1."""
    torch.manual_seed(0)
    first, second = torch.randn(700, 5), torch.randn(700, 5)

    def strength(x: Tensor) -> Tensor:
        return x[:, 0] + x[:, 1] * x[:, 2]

    swap = strength(first) < strength(second)
    first[swap], second[swap] = second[swap], first[swap]
    model = mlp(5, 32, 1)
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(20):
            for winner, loser in BatchLoader(first, second, size=50):
                difference = model(winner) - model(loser)
                ones = torch.ones_like(difference)
                loss = F.binary_cross_entropy_with_logits(difference, ones)
                probe.watch(difference, ones, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return float((model(first) > model(second)).float().mean())


def steps_of_quality(watch: Watch) -> float:
    """Ordered grades 0 to 4 are learned as four questions, whether the grade is above each step."""
    torch.manual_seed(0)
    x = torch.randn(700, 6)
    grade = torch.bucketize(x[:, 0] + x[:, 1].abs(), torch.tensor([-0.3, 0.4, 1.0, 1.7]))
    above = (grade[:, None] > torch.arange(4)).float()

    class Ordinal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.score, self.steps = mlp(6, 32, 1), nn.Parameter(torch.tensor([1.0, 0, -1, -2]))

        def forward(self, x: Tensor) -> Tensor:
            return self.score(x) + self.steps

    model = Ordinal()
    optimizer = Adam(model.parameters(), lr=0.02)
    fit(watch, model, optimizer, nn.BCEWithLogitsLoss(), BatchLoader(x, above, size=35), 25)
    with torch.no_grad():
        return float(((model(x) > 0).sum(1) == grade).float().mean())


def sums_of_digits(watch: Watch) -> float:
    """The targets are whole numbers, 0 to 27, as classes are, but they are sums, so quantities."""
    torch.manual_seed(0)
    numbers = torch.randint(10, (900, 3))
    total = numbers.sum(1).float()
    model = nn.Sequential(nn.Embedding(10, 8), nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = Adam(model.parameters(), lr=0.01)
    criterion = nn.SmoothL1Loss()
    with watch(model, optimizer) as probe:
        for _ in range(25):
            for inputs, targets in BatchLoader(numbers, total, size=30):
                optimizer.zero_grad()
                outputs = model(inputs).squeeze(2).sum(1)
                loss = criterion(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return float((model(numbers).squeeze(2).sum(1).round() == total).float().mean())


def whole_data_by_lbfgs(watch: Watch) -> float:
    """Every update sees all data, and the closure of LBFGS is called several times a step."""
    torch.manual_seed(0)
    x, t = clouds(3, spread=1.5)
    model = nn.Linear(8, 3)
    optimizer = LBFGS(model.parameters(), lr=0.3, max_iter=2)
    with watch(model, optimizer) as probe:

        def closure() -> Tensor:
            optimizer.zero_grad()
            logits = model(x)
            loss = F.cross_entropy(logits, t) + 1e-3 * model.weight.square().sum()
            probe.watch(logits, t, loss)
            loss.backward()
            return loss

        for _ in range(60):
            optimizer.step(closure)
    return accuracy(model, x, t)


def pictures_to_bits(watch: Watch) -> float:
    """Codes are rounded to −1 and 1, and the gradient goes straight through by a detached part."""
    torch.manual_seed(0)
    x, t = digits()

    class Hash(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode, self.classify = mlp(64, 48, 16), nn.Linear(16, 10)

        def forward(self, x: Tensor) -> Tensor:
            soft = torch.tanh(self.encode(x))
            return self.classify(soft + (soft.sign() - soft).detach())

    model = Hash()
    optimizer = Adam(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=60), 10)
    return accuracy(model, x, t)


def slices_of_a_batch(watch: Watch) -> float:
    """Gradients of four slices are summed before each step, and each loss is a quarter."""
    torch.manual_seed(0)
    x, t = pictures()
    model = nn.Sequential(nn.Conv2d(1, 12, 3), nn.ReLU(), nn.Flatten(), nn.Linear(432, 10))
    optimizer = Adam(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(6):
            for step, (images, labels) in enumerate(BatchLoader(x, t, size=24), 1):
                outputs = model(images)
                loss = F.cross_entropy(outputs, labels) / 4
                probe.watch(outputs, labels, loss)
                loss.backward()
                if step % 4 == 0:
                    optimizer.step()
                    optimizer.zero_grad()
    return accuracy(model, x, t)


def waves_of_random_features(watch: Watch) -> float:
    """Only a linear head is trained, on a layer of random sines that is frozen by design."""
    torch.manual_seed(0)
    x, y = wave()

    class RandomFeatures(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.random = nn.Linear(1, 60).requires_grad_(False)
            nn.init.normal_(self.random.weight, std=3.0)
            nn.init.uniform_(self.random.bias, 0, 6.28)
            self.head = nn.Linear(60, 1)
            nn.init.zeros_(self.head.weight)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.sin(self.random(x)))

    model = RandomFeatures()
    optimizer = SGD(model.head.parameters(), lr=0.02, momentum=0.9)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(x, y, size=32), 15)
    return explained(model, x, y)


def words_behind_a_mask(watch: Watch) -> float:
    """Most targets are −100, which cross_entropy leaves out: only hidden words are predicted."""
    torch.manual_seed(0)
    text = sentences(300)

    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(13, 20)
            self.rnn = nn.GRU(20, 24, batch_first=True, bidirectional=True)
            self.out = nn.Linear(48, 12)

        def forward(self, words: Tensor) -> Tensor:
            return self.out(self.rnn(self.embed(words))[0])

    model = Masked()
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(14):
            for (batch,) in BatchLoader(text, size=40):
                hidden = torch.rand(batch.shape) < 0.2
                logits = model(batch.masked_fill(hidden, 12)).flatten(0, 1)
                labels = batch.masked_fill(~hidden, -100).flatten()
                loss = F.cross_entropy(logits, labels)
                probe.watch(logits, labels, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        found = torch.stack(
            [
                model(text.index_fill(1, torch.tensor([place]), 12))[:, place].argmax(1)
                for place in range(1, 9)
            ],
            1,
        )
        return float((found == text[:, 1:9]).float().mean())


def letters_of_a_signal(watch: Watch) -> float:
    """CTC takes log-probabilities with time first, and targets shorter than the outputs."""
    torch.manual_seed(0)
    letters = torch.stack([torch.randperm(4)[:2] + 1 for _ in range(300)])
    signal = F.one_hot(letters.repeat_interleave(3, 1), 5).float() + 0.2 * torch.randn(300, 6, 5)
    model = nn.Sequential(nn.Linear(5, 24), nn.ReLU(), nn.Linear(24, 5), nn.LogSoftmax(dim=-1))
    optimizer = Adam(model.parameters(), lr=0.01)
    ctc = nn.CTCLoss()
    with watch(model, optimizer) as probe:
        for _ in range(20):
            for inputs, targets in BatchLoader(signal, letters, size=30):
                log_probs = model(inputs).transpose(0, 1)
                lengths = torch.full((2, len(targets)), 6)
                lengths[1] = 2
                loss = ctc(log_probs, targets, lengths[0], lengths[1])
                probe.watch(log_probs, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        right = 0
        for path, wanted in zip(model(signal).argmax(2), letters, strict=True):
            read = [int(letter) for letter in path.unique_consecutive() if letter]
            right += read == wanted.tolist()
    return right / 300


def attention_down_the_batch(watch: Watch) -> float:
    """Time comes first, so that a softmax over dim 0 is one over time, for weights of attention."""
    torch.manual_seed(0)
    words, t = texts(600)

    class Attentive(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.score = nn.Embedding(40, 16), nn.Linear(16, 1)
            self.out = nn.Linear(16, 2)

        def forward(self, words: Tensor) -> Tensor:
            states = self.embed(words)  # (time, batch, 16)
            weights = torch.softmax(self.score(states), dim=0)
            return self.out((weights * states).sum(0))

    model = Attentive()
    optimizer = Adam(model.parameters(), lr=0.02)
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for inputs, targets in BatchLoader(words, t, size=40):
                logits = model(inputs.T)
                loss = F.cross_entropy(logits, targets)
                probe.watch(logits, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return float((model(words.T).argmax(1) == t).float().mean())


def narrow_likelihood(watch: Watch) -> float:
    """The loss is negative, and falls on: it is the likelihood of a narrow Gaussian."""
    torch.manual_seed(0)
    x, y = wave()
    model = mlp(1, 48, 48, 2, activation=nn.Tanh)
    optimizer = Adam(model.parameters(), lr=0.005)

    def loss_fn(outputs: Tensor, targets: Tensor) -> Tensor:
        mean, log_variance = outputs.chunk(2, dim=1)
        return F.gaussian_nll_loss(mean, targets, log_variance.exp())

    fit(watch, model, optimizer, loss_fn, BatchLoader(x, y, size=32), 25)
    with torch.no_grad():
        return float(1 - (model(x)[:, :1] - y).square().mean() / y.var())


def corners_within_tanh(watch: Watch) -> float:
    """A tanh bounds the output, and the corners of squares are scaled into its range."""
    torch.manual_seed(0)
    x, _, corner = spots(400)
    y = (corner - 2.5) / 3

    class Corner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 12, 3, stride=2), nn.Linear(108, 2)

        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(self.fc(torch.relu(self.conv(x)).flatten(1)))

    model = Corner()
    optimizer = Adadelta(model.parameters(), lr=1.0)
    fit(watch, model, optimizer, nn.L1Loss(), BatchLoader(x, y, size=25), 25)
    return explained(model, x, y)


def weights_for_the_rare(watch: Watch) -> float:
    """One example in sixteen is of the second class, and its weight in the loss is fifteen."""
    torch.manual_seed(0)
    x, t = clouds(2, features=6, count=1800, spread=1.0)
    keep = (t == 0) | (torch.arange(1800) % 30 == 1)
    x, t = x[keep], t[keep]
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = Adam(model.parameters(), lr=0.005)
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(15.0))
    fit(watch, model, optimizer, criterion, BatchLoader(x, t.float()[:, None], size=40), 10)

    class TwoClasses(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([-model(x), model(x)], 1)

    return least_recall(TwoClasses(), x, t)


def two_optimizers(watch: Watch) -> float:
    """Sparse embeddings have an optimizer of their own, and the dense layers another."""
    torch.manual_seed(0)
    words, t = texts(600)

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.EmbeddingBag(40, 16, mode="sum", sparse=True)
            self.body = mlp(16, 16, 2)

        def forward(self, words: Tensor) -> Tensor:
            return self.body(self.embed(words))

    model = Reader()
    optimizers = [
        SparseAdam(model.embed.parameters(), lr=0.01),
        Adam(model.body.parameters(), lr=0.005),
    ]
    with watch(model, optimizers) as probe:
        for _ in range(10):
            for inputs, targets in BatchLoader(words, t, size=30):
                model.zero_grad()
                logits = model(inputs)
                loss = F.cross_entropy(logits, targets)
                probe.watch(logits, targets, loss)
                loss.backward()
                for optimizer in optimizers:
                    optimizer.step()
    return accuracy(model, words, t)


CASES = (
    LookAlike(logarithm_twice, learns=0.95),
    LookAlike(brier_of_rain, learns=0.95),
    LookAlike(three_quantiles, learns=0.85),
    LookAlike(captions_and_pictures, learns=0.95),
    LookAlike(winners_only, learns=0.95),
    LookAlike(steps_of_quality, learns=0.85),
    LookAlike(sums_of_digits, learns=0.95),
    LookAlike(whole_data_by_lbfgs, learns=0.9),
    LookAlike(pictures_to_bits, learns=0.9),
    LookAlike(slices_of_a_batch, learns=0.95),
    LookAlike(waves_of_random_features, learns=0.95),
    LookAlike(words_behind_a_mask, learns=0.8),
    LookAlike(letters_of_a_signal, learns=0.95),
    LookAlike(attention_down_the_batch, learns=0.9),
    LookAlike(narrow_likelihood, learns=0.95),
    LookAlike(corners_within_tanh, learns=0.9),
    LookAlike(weights_for_the_rare, learns=0.9),
    LookAlike(two_optimizers, learns=0.95),
)
