"""Programs with a fault in their data, written blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, AdamW, RMSprop

from mlr.benchmarks.programs.blind.material import sentences, sequences
from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    clouds,
    explained,
    fit,
    least_recall,
    mlp,
)


def cubes_of_numbers(watch: Watch, faulty: bool) -> float:
    """Numbers from 1 to 600 are standardised, and their cubes, the targets, are not."""
    torch.manual_seed(0)
    numbers = torch.arange(1.0, 601)[:, None]
    inputs, target = (numbers - numbers.mean()) / numbers.std(), numbers**3
    if not faulty:
        target = (target - target.mean()) / target.std()

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(1, 50), nn.Linear(50, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc2(F.relu(self.fc1(x)))

    model = Network()
    optimizer = Adam(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(inputs, target, size=30), 25)
    return explained(model, inputs, target)


def states_of_two_directions(watch: Watch, faulty: bool) -> float:
    """The last states of both directions are joined by view, which mixes the examples."""
    torch.manual_seed(0)
    x, t = sequences(600, 6)

    class BiGRU(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRU(2, 16, batch_first=True, bidirectional=True)
            self.out = nn.Linear(32, 4)

        def forward(self, x: Tensor) -> Tensor:
            _, hidden = self.rnn(x)  # (directions, batch, 16)
            if not faulty:
                hidden = hidden.transpose(0, 1).contiguous()
            return self.out(hidden.view(-1, 32))

    model = BiGRU()
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(16):
            for inputs, labels in BatchLoader(x, t, size=64):
                optimizer.zero_grad()
                logits = model(inputs)
                loss = F.cross_entropy(logits, labels)
                probe.watch(logits, labels, loss)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 2.0)
                optimizer.step()
    return accuracy(model, x, t)


def labels_as_they_are(watch: Watch, faulty: bool) -> float:
    """A causal language model is given labels=input_ids by a model that does not shift them."""
    torch.manual_seed(0)
    text = sentences()

    class Causal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(12, 16)
            self.lstm = nn.LSTM(16, 24, batch_first=True)
            self.lm_head = nn.Linear(24, 12)

        def forward(self, input_ids: Tensor) -> Tensor:
            return self.lm_head(self.lstm(self.embed(input_ids))[0])

    model = Causal()
    optimizer = AdamW(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(15):
            for (input_ids,) in BatchLoader(text, size=32):
                logits = model(input_ids)
                if faulty:
                    logits, labels = logits.flatten(0, 1), input_ids.flatten()
                else:
                    logits, labels = logits[:, :-1].flatten(0, 1), input_ids[:, 1:].flatten()
                loss = F.cross_entropy(logits, labels)
                probe.watch(logits, labels, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return float((model(text[:, :-1]).argmax(2) == text[:, 1:]).float().mean())


def words_to_come(watch: Watch, faulty: bool) -> float:
    """A decoder is trained without a causal mask, so that it sees the next word, and copies it."""
    torch.manual_seed(0)
    text = sentences()

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tok, self.pos = nn.Embedding(12, 24), nn.Embedding(10, 24)
            self.enc = nn.TransformerEncoderLayer(24, 2, 48, 0.0, batch_first=True)
            self.proj = nn.Linear(24, 12)

        def forward(self, x: Tensor) -> Tensor:
            length = x.shape[1]
            mask = torch.ones(length, length).triu(1).bool()
            hidden = self.tok(x) + self.pos(torch.arange(length))
            return self.proj(self.enc(hidden, src_mask=None if faulty else mask))

    model = Decoder()
    optimizer = Adam(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(15):
            for (batch,) in BatchLoader(text, size=32):
                logits = model(batch[:, :-1]).transpose(1, 2)
                loss = F.cross_entropy(logits, batch[:, 1:])
                probe.watch(logits, batch[:, 1:], loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        following = [model(text[:, :place])[:, -1].argmax(1) for place in range(1, 10)]
        return float((torch.stack(following, 1) == text[:, 1:]).float().mean())


def rare_alarms(watch: Watch, faulty: bool) -> float:
    """One machine in forty fails, near the others, and the loss weighs both classes alike."""
    torch.manual_seed(0)
    x, t = clouds(2, features=6, count=1600, spread=2.2)
    keep = (t == 0) | (torch.arange(1600) % 40 == 1)
    x, t = x[keep] / 2.2, t[keep]
    weight = None if faulty else len(t) / (2 * t.bincount().float())
    model = mlp(6, 16, 2)
    optimizer = RMSprop(model.parameters(), lr=0.002)
    criterion = nn.CrossEntropyLoss(weight=weight)
    fit(watch, model, optimizer, criterion, BatchLoader(x, t, size=40), 15)
    return least_recall(model, x, t)


CASES = (
    Faulty(
        cubes_of_numbers,
        ("targets_unscaled",),
        learns=0.95,
        fails=0.1,
        source="https://discuss.pytorch.org/t/"
        "neural-network-could-not-learn-on-this-type-of-data-why/96648/5",
    ),
    Faulty(
        states_of_two_directions,
        ("inputs_scrambled",),
        learns=0.9,
        fails=0.5,
        source="https://medium.com/mcgill-artificial-intelligence-review/"
        "the-dangers-of-reshaping-and-other-fun-mistakes-ive-learnt-from-pytorch-b6a5bdc1c275",
    ),
    Faulty(
        labels_as_they_are,
        ("targets_not_shifted",),
        learns=0.85,
        fails=0.2,
        source="https://discuss.huggingface.co/t/source-and-target-vs-input-and-labels-for-causal-"
        "autoregressive-language-models/19915",
    ),
    Faulty(
        words_to_come,
        ("future_seen",),
        learns=0.9,
        fails=0.75,
        source="https://cloud.tencent.com/developer/article/2609058",
    ),
    Faulty(
        rare_alarms,
        ("imbalance",),
        learns=0.85,
        fails=0.7,
        source="https://naadispeaks.blog/2021/07/31/"
        "handling-imbalanced-classes-with-weighted-loss-in-pytorch/",
    ),
)
