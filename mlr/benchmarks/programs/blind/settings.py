"""Programs whose rate, schedule, decay or reduction is at fault, written blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, RMSprop
from torch.optim.lr_scheduler import ExponentialLR, LambdaLR

from mlr.benchmarks.programs.blind.material import pictures, sentences, sequences, texts
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


def decayed_with_each_batch(watch: Watch, faulty: bool) -> float:
    """An exponential decay meant for epochs is stepped with every batch."""
    torch.manual_seed(0)
    x, _ = digits()
    x = x - x.mean(0)
    model = nn.Sequential(nn.Linear(64, 20), nn.Tanh(), nn.Linear(20, 64))
    optimizer = Adam(model.parameters(), lr=0.004)
    scheduler = ExponentialLR(optimizer, gamma=0.9)
    with watch(model, optimizer) as probe:
        for _ in range(15):
            for (batch,) in BatchLoader(x, size=45):
                recon = model(batch)
                loss = F.mse_loss(recon, batch)
                probe.watch(recon, batch, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if faulty:
                    scheduler.step()
            if not faulty:
                scheduler.step()
    return explained(model, x, x)


def warm_up_too_long(watch: Watch, faulty: bool) -> float:
    """The warm-up of 10,000 updates is as in the paper, and the training has 200."""
    torch.manual_seed(0)
    words = sentences()

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(12, 24)
            self.block = nn.TransformerEncoderLayer(24, 3, 48, dropout=0.0, batch_first=True)
            self.head = nn.Linear(24, 12)

        def forward(self, words: Tensor) -> Tensor:
            mask = nn.Transformer.generate_square_subsequent_mask(words.shape[1])
            return self.head(self.block(self.embed(words), src_mask=mask, is_causal=True))

    model = Decoder()
    optimizer = AdamW(model.parameters(), lr=0.005)
    warm_up = 10_000 if faulty else 20
    scheduler = LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / warm_up))
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for (batch,) in BatchLoader(words, size=16):
                logits, labels = model(batch[:, :-1]), batch[:, 1:]
                loss = F.cross_entropy(logits.transpose(1, 2), labels)
                probe.watch(logits, labels, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
    with torch.no_grad():
        right = model(words[:, :-1]).argmax(-1) == words[:, 1:]
    return float(right.float().mean())


def summed_over_the_batch(watch: Watch, faulty: bool) -> float:
    """The loss is summed over a batch of 100, with the rate of a mean."""
    torch.manual_seed(0)
    x, t = digits()
    model = mlp(64, 48, 24, 10)
    optimizer = SGD(model.parameters(), lr=0.2, momentum=0.9)
    criterion = nn.CrossEntropyLoss(reduction="sum" if faulty else "mean")
    fit(watch, model, optimizer, criterion, BatchLoader(x, t, size=100), 12)
    return accuracy(model, x, t)


def decay_of_adamw_in_adam(watch: Watch, faulty: bool) -> float:
    """A decay of 0.2 was copied from AdamW to Adam, whose gradient it then outweighs."""
    torch.manual_seed(0)
    x, t = sequences()

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(2, 16, batch_first=True)
            self.fc = nn.Linear(16, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.gru(x)[1][-1])

    model = Reader()
    method = Adam if faulty else AdamW
    optimizer = method(model.parameters(), lr=0.02, weight_decay=0.2)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t), 12)
    return accuracy(model, x, t)


def adam_at_a_tenth(watch: Watch, faulty: bool) -> float:
    """A convolutional network is trained by Adam with a rate of 0.1, and stays at log 10."""
    torch.manual_seed(0)
    x, t = pictures()
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(144, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )
    optimizer = Adam(model.parameters(), lr=0.1 if faulty else 0.003)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=60), 6)
    return accuracy(model, x, t)


def rate_of_fine_tuning(watch: Watch, faulty: bool) -> float:
    """A small network is trained from scratch with the 2e-5 of a pretrained transformer."""
    torch.manual_seed(0)
    words, t = texts()

    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bag = nn.EmbeddingBag(40, 16)
            self.out = nn.Linear(16, 2)

        def forward(self, words: Tensor) -> Tensor:
            return self.out(self.bag(words))

    model = Bag()
    optimizer = AdamW(model.parameters(), lr=2e-5 if faulty else 2e-2, eps=1e-8)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(words, t), 8)
    return accuracy(model, words, t)


def penalty_outweighs(watch: Watch, faulty: bool) -> float:
    """An L1 penalty of all weights is added by hand, with the factor of a paper on images."""
    torch.manual_seed(0)
    x, price = houses()
    model = mlp(5, 32, 1)
    optimizer = RMSprop(model.parameters(), lr=0.003)
    factor = 0.5 if faulty else 0.0005
    with watch(model, optimizer) as probe:
        for _ in range(30):
            for inputs, targets in BatchLoader(x, price):
                outputs = model(inputs)
                l1 = torch.stack([p.abs().sum() for p in model.parameters()]).sum()
                loss = F.mse_loss(outputs, targets) + factor * l1
                probe.watch(outputs, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return explained(model, x, price)


def values_clipped_to_nothing(watch: Watch, faulty: bool) -> float:
    """Each element of the gradient is clipped to ±1e-5, of which plain SGD makes its steps."""
    torch.manual_seed(0)
    x, t = sequences()
    flat = x.flatten(1)
    model = mlp(16, 32, 4, activation=nn.SiLU)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for inputs, targets in BatchLoader(flat, t, size=20):
                optimizer.zero_grad(set_to_none=True)
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                nn.utils.clip_grad_value_(model.parameters(), 1e-5 if faulty else 1.0)
                optimizer.step()
    return accuracy(model, flat, t)


CASES = (
    Faulty(
        decayed_with_each_batch,
        ("rate_decays_too_soon",),
        learns=0.8,
        fails=0.4,
        source="https://github.com/Lornatang/SRGAN-PyTorch/issues/1",
    ),
    Faulty(
        warm_up_too_long,
        ("rate_too_low",),
        learns=0.9,
        fails=0.5,
        source="https://github.com/google-research/vision_transformer/pull/41",
    ),
    Faulty(
        summed_over_the_batch,
        ("rate_too_high",),
        learns=0.95,
        fails=0.4,
        source="https://github.com/Alibaba-MIIL/ASL/issues/56",
    ),
    Faulty(
        decay_of_adamw_in_adam,
        ("decay_too_strong",),
        learns=0.9,
        fails=0.5,
        source="https://github.com/mlfoundations/open_clip/issues/32",
    ),
    Faulty(
        adam_at_a_tenth,
        ("rate_too_high", "dead_relus"),
        learns=0.9,
        fails=0.4,
        source="https://discuss.pytorch.org/t/43814",
    ),
    Faulty(rate_of_fine_tuning, ("rate_too_low",), learns=0.95, fails=0.7),
    Faulty(penalty_outweighs, ("term_outweighs", "decay_too_strong"), learns=0.9, fails=0.3),
    Faulty(values_clipped_to_nothing, ("gradients_clipped_away",), learns=0.95, fails=0.5),
)
