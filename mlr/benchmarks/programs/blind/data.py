"""Programs whose data are at fault, written blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW
from torch.utils.data import DataLoader, TensorDataset

from mlr.benchmarks.programs.blind.material import pictures, sentences, sequences, spots, texts
from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import BatchLoader, accuracy, explained, fit, mlp


def examples_read_as_steps(watch: Watch, faulty: bool) -> float:
    """A GRU without batch_first takes the examples for steps, and the steps for examples."""
    torch.manual_seed(0)
    x, t = sequences()

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(2, 16, batch_first=not faulty)
            self.fc = nn.Linear(16, 4)

        def forward(self, x: Tensor) -> Tensor:
            out, _ = self.gru(x)
            return self.fc(out[:, -1])

    model = Reader()
    optimizer = Adam(model.parameters(), lr=0.02)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t), 12)
    return accuracy(model, x, t)


def fourth_powers(watch: Watch, faulty: bool) -> float:
    """Numbers up to 100 and their fourth powers are fed as they are."""
    torch.manual_seed(0)
    x = 200 * torch.rand(600, 1) - 100
    y = x**4
    if not faulty:
        x, y = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    model = nn.Sequential(
        nn.Linear(1, 50), nn.Sigmoid(), nn.Linear(50, 50), nn.ELU(), nn.Linear(50, 1)
    )
    optimizer = Adam(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(x, y, size=30), 20)
    return explained(model, x, y)


def pixels_of_255(watch: Watch, faulty: bool) -> float:
    """A convolutional network is fed pixels up to 255, with the rate for pixels up to 1."""
    torch.manual_seed(0)
    x, t = pictures()
    x = 255 * x if faulty else x
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 8)
    return accuracy(model, x, t)


def constant_feature(watch: Watch, faulty: bool) -> float:
    """Features are divided by their largest value, which is 0 for a sensor that was off."""
    torch.manual_seed(0)
    x = torch.rand(500, 3) @ torch.rand(3, 12)
    x[:, 7] = 0.0
    largest = x.max(0).values
    x = x / (largest if faulty else largest.clamp(min=1e-6))
    model = nn.Sequential(mlp(12, 24, 4, 24, 12))
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(30):
            for (batch,) in BatchLoader(x, size=25):
                reconstruction = model(batch)
                loss = ((reconstruction - batch) ** 2).mean()
                probe.watch(reconstruction, batch, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return explained(model, x, x)


def texts_sorted_by_opinion(watch: Watch, faulty: bool) -> float:
    """All bad opinions come before all good ones, and the loader keeps their order."""
    torch.manual_seed(0)
    words, t = texts()
    order = t.argsort(stable=True)

    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bag = nn.EmbeddingBag(40, 12, mode="mean")
            self.out = nn.Linear(12, 2)

        def forward(self, words: Tensor) -> Tensor:
            return self.out(self.bag(words))

    model = Bag()
    optimizer = SGD(model.parameters(), lr=1.0)
    data = TensorDataset(words[order], t[order])
    loader = DataLoader(data, batch_size=20, shuffle=not faulty)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), loader, 8)
    return accuracy(model, words, t)


def split_of_sorted_data(watch: Watch, faulty: bool) -> float:
    """The first four fifths of data sorted by class are for training, the rest for validation."""
    torch.manual_seed(0)
    x, t = pictures()
    order = t.argsort(stable=True) if faulty else torch.randperm(len(t))
    x, t = x[order], t[order]
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(128, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )
    optimizer = Adam(model.parameters(), lr=0.005)
    cut = 4 * len(t) // 5
    right = 0.0
    with watch(model, optimizer) as probe:
        for _ in range(8):
            model.train()
            for images, labels in BatchLoader(x[:cut], t[:cut], size=40):
                optimizer.zero_grad()
                outputs = model(images)
                loss = F.cross_entropy(outputs, labels)
                probe.watch(outputs, labels, loss)
                loss.backward()
                optimizer.step()
            right = accuracy(model, x[cut:], t[cut:])
    return right


def inputs_shuffled_alone(watch: Watch, faulty: bool) -> float:
    """Each epoch shuffles the inputs, and leaves the targets in their old order."""
    torch.manual_seed(0)
    x = torch.randn(600, 6)
    y = x[:, :1] * x[:, 1:2] + torch.tanh(2 * x[:, 2:3])
    model = mlp(6, 48, 24, 1)
    optimizer = AdamW(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(20):
            order = torch.randperm(len(x))
            targets = y if faulty else y[order]
            for a, b in zip(x[order].split(30), targets.split(30), strict=True):
                optimizer.zero_grad()
                outputs = model(a)
                loss = F.l1_loss(outputs, b)
                probe.watch(outputs, b, loss)
                loss.backward()
                optimizer.step()
    return explained(model, x, y)


def few_foreground_pixels(watch: Watch, faulty: bool) -> float:
    """One pixel in 64 is a cell, hard to tell from noise, and all pixels weigh the same."""
    torch.manual_seed(0)
    images, mask, _ = spots(400, size=1)
    images = mask + 0.7 * torch.randn_like(images)

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Conv2d(1, 8, 3, padding=1)
            self.bottom = nn.Conv2d(8, 8, 3, padding=1)
            self.out = nn.Conv2d(16, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            skip = torch.relu(self.down(x))
            deep = F.interpolate(torch.relu(self.bottom(F.max_pool2d(skip, 2))), scale_factor=2)
            return self.out(torch.cat([skip, deep], 1))

    model = UNet()
    optimizer = Adam(model.parameters(), lr=0.01)
    weight = None if faulty else torch.tensor(63.0)
    criterion = nn.BCEWithLogitsLoss(pos_weight=weight)
    fit(watch, model, optimizer, criterion, BatchLoader(images, mask, size=20), 10)
    with torch.no_grad():
        found = model(images) > 0
    recalls = (found[mask == 1].float().mean(), (~found[mask == 0]).float().mean())
    return float(min(recalls))


def next_word_of_itself(watch: Watch, faulty: bool) -> float:
    """A language model is trained on the words that it reads, not on those that follow."""
    torch.manual_seed(0)
    words = sentences()

    class LanguageModel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wte = nn.Embedding(12, 24)
            self.block = nn.TransformerEncoderLayer(24, 2, 48, dropout=0.0, batch_first=True)
            self.lm_head = nn.Linear(24, 12, bias=False)

        def forward(self, words: Tensor) -> Tensor:
            mask = nn.Transformer.generate_square_subsequent_mask(words.shape[1])
            return self.lm_head(self.block(self.wte(words), src_mask=mask, is_causal=True))

    model = LanguageModel()
    optimizer = AdamW(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for (batch,) in BatchLoader(words, size=16):
                logits = model(batch)
                labels = batch
                if not faulty:
                    logits, labels = logits[:, :-1], labels[:, 1:]
                loss = F.cross_entropy(logits.reshape(-1, 12), labels.reshape(-1))
                probe.watch(logits, labels, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        right = model(words)[:, :-1].argmax(-1) == words[:, 1:]
    return float(right.float().mean())


CASES = (
    Faulty(
        examples_read_as_steps,
        ("inputs_scrambled",),
        learns=0.9,
        fails=0.5,
        source="https://github.com/closeheat/pytorch-lstm-text-generation-tutorial/issues/3",
    ),
    Faulty(
        fourth_powers,
        ("targets_unscaled", "inputs_unscaled"),
        learns=0.85,
        fails=0.1,
        source="https://stackoverflow.com/questions/52800582",
    ),
    Faulty(
        pixels_of_255,
        ("inputs_unscaled", "rate_too_high", "dead_relus"),
        learns=0.95,
        fails=0.75,
        source="https://github.com/hill-a/stable-baselines/issues/328",
    ),
    Faulty(
        constant_feature,
        ("not_finite",),
        learns=0.9,
        fails=0.1,
        source="https://github.com/evandowning/deepreflect/issues/11",
    ),
    Faulty(
        texts_sorted_by_opinion,
        ("sorted_data",),
        learns=0.95,
        fails=0.7,
        source="https://github.com/cleverhans-lab/cleverhans/issues/232",
    ),
    Faulty(
        split_of_sorted_data,
        ("class_missing",),
        learns=0.9,
        fails=0.3,
        source="https://github.com/zalandoresearch/fashion-mnist/pull/5",
    ),
    Faulty(
        inputs_shuffled_alone,
        ("targets_shuffled",),
        learns=0.9,
        fails=0.2,
        source="https://github.com/udacity/sdc-issue-reports/issues/1326",
    ),
    Faulty(
        few_foreground_pixels,
        ("imbalance",),
        learns=0.65,
        fails=0.2,
        source="https://github.com/jakeret/tf_unet/issues/234",
    ),
    Faulty(
        next_word_of_itself,
        ("targets_not_shifted",),
        learns=0.9,
        fails=0.3,
        source="https://github.com/huggingface/transformers/pull/404",
    ),
)
