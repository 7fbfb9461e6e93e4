"""Programs with a fault in the data, written blind."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW

from mlr.benchmarks.programs.blind.material import pictures, sentences, sequences
from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    digits,
    explained,
    fit,
    houses,
    mlp,
)


def labels_not_shifted(watch: Watch, faulty: bool) -> float:
    """A causal transformer's labels are a copy of its inputs, and no one shifts them."""
    torch.manual_seed(0)
    text = sentences(320)

    class CausalLM(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(12, 24)
            self.block = nn.TransformerEncoderLayer(24, 2, 48, dropout=0.0, batch_first=True)
            self.lm_head = nn.Linear(24, 12)

        def forward(self, ids: Tensor) -> Tensor:
            mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
            return self.lm_head(self.block(self.embed(ids), src_mask=mask))

    model = CausalLM()
    optimizer = AdamW(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(8):
            for (ids,) in BatchLoader(text, size=32):
                labels = ids.clone()
                logits = model(ids)
                if not faulty:
                    logits, labels = logits[:, :-1], labels[:, 1:]
                logits, labels = logits.reshape(-1, 12), labels.reshape(-1)
                loss = F.cross_entropy(logits, labels)
                probe.watch(logits, labels, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    model.eval()
    with torch.no_grad():
        return float((model(text[:, :-1]).argmax(-1) == text[:, 1:]).float().mean())


def view_for_transpose(watch: Watch, faulty: bool) -> float:
    """Videos become time-first for an LSTM by view, which mixes them, and not by transpose."""
    torch.manual_seed(0)
    x, t = sequences(640, 6)
    t = (x[:, :, 0].sum(1) > 0).long()

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(2, 16)
            self.fc = nn.Linear(16, 2)

        def forward(self, x: Tensor) -> Tensor:
            count, length, width = x.shape
            x = x.reshape(length, count, width) if faulty else x.transpose(0, 1)
            states, _ = self.lstm(x)
            return self.fc(states[-1])

    model = Decoder()
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=40), 8)
    return accuracy(model, x, t)


def first_batch_again(watch: Watch, faulty: bool) -> float:
    """The loop takes the next of a new iterator in each step: without shuffling, the same batch."""
    torch.manual_seed(0)
    x, y = houses(800)
    loader = BatchLoader(x, y, size=10, shuffle=False)

    def endless() -> Iterator[tuple[Tensor, ...]]:
        while True:
            yield from loader

    model = mlp(5, 48, 48, 1)
    optimizer = Adam(model.parameters(), lr=0.003)
    batches = endless()
    with watch(model, optimizer) as probe:
        for _ in range(500):
            inputs, prices = next(iter(loader)) if faulty else next(batches)
            outputs = model(inputs)
            loss = F.huber_loss(outputs, prices)
            probe.watch(outputs, prices, loss)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return explained(model, x, y)


def shuffled_apart_again(watch: Watch, faulty: bool) -> float:
    """Features and labels are shuffled before training, each in an order of its own."""
    torch.manual_seed(0)
    x, t = pictures()
    order = torch.randperm(len(x))
    features, labels = x[order], t[torch.randperm(len(x)) if faulty else order]
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 40), nn.LeakyReLU(), nn.BatchNorm1d(40), nn.Linear(40, 10)
    )
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    fit(watch, model, optimizer, F.cross_entropy, BatchLoader(features, labels, size=50), 8)
    return accuracy(model, x, t)


def sorted_by_digit(watch: Watch, faulty: bool) -> float:
    """The digits are stored sorted by class, and the loader does not shuffle them."""
    torch.manual_seed(0)
    x, t = digits()
    order = t.argsort()
    x, t = x[order], t[order]
    model = mlp(64, 32, 10)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.5)
    loader = BatchLoader(x, t, size=30, shuffle=not faulty)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), loader, 6)
    return accuracy(model, x, t)


CASES = (
    Faulty(
        labels_not_shifted,
        ("targets_not_shifted",),
        learns=0.85,
        fails=0.3,
        source="https://github.com/huggingface/transformers/issues/27517",
    ),
    Faulty(
        view_for_transpose,
        ("inputs_scrambled",),
        learns=0.9,
        fails=0.75,
        source="https://github.com/HHTseng/video-classification/issues/42",
    ),
    Faulty(
        first_batch_again,
        ("same_batch",),
        learns=0.85,
        fails=0.6,
        source="https://github.com/ZhaoJ9014/face.evoLVe/pull/39",
    ),
    Faulty(
        shuffled_apart_again,
        ("targets_shuffled",),
        learns=0.9,
        fails=0.3,
        source="https://github.com/udacity/sdc-issue-reports/issues/1326",
    ),
    Faulty(
        sorted_by_digit,
        ("sorted_data",),
        learns=0.9,
        fails=0.4,
        source="https://github.com/zalandoresearch/fashion-mnist/pull/5",
    ),
)
