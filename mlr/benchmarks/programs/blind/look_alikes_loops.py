"""Sound programs whose loop, optimizer, network or data look odd, written blind."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW

from mlr.benchmarks.programs.blind.material import pictures, sequences
from mlr.benchmarks.programs.case import LookAlike, Watch, unwatched
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    digits,
    explained,
    fit,
    houses,
    mlp,
    rings,
    wave,
)


def low_precision(watch: Watch) -> float:
    """The forward pass runs under autocast in bfloat16, so that the logits are rounded."""
    torch.manual_seed(0)
    x, t = digits()
    model = nn.Sequential(mlp(64, 48, 10))
    optimizer = AdamW(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(8):
            for inputs, targets in BatchLoader(x, t, size=64):
                with torch.autocast("cpu", torch.bfloat16):
                    outputs = model(inputs)
                    loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return accuracy(model, x, t)


def compiled(watch: Watch) -> float:
    """The model is compiled, and calls no hooks of its layers."""
    torch.manual_seed(0)
    x, t = digits()
    x, t = x[:1792], t[:1792]
    model = cast(nn.Module, torch.compile(mlp(64, 32, 10), backend="eager"))
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 8)
    return accuracy(model, x, t)


def fine_tuned_slowly(watch: Watch) -> float:
    """A trained network is tuned to mirrored digits with a rate of 3e-4, from a loss of 3."""
    torch.manual_seed(0)
    x, t = digits()
    mirrored = x.reshape(-1, 8, 8).flip(2).flatten(1)
    model = mlp(64, 96, 96, 10)
    before = Adam(model.parameters(), lr=0.005)
    fit(unwatched, model, before, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 4)
    optimizer = AdamW(model.parameters(), lr=3e-4)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(mirrored, t, size=16), 8)
    return accuracy(model, mirrored, t)


def pairs_as_batches(watch: Watch) -> float:
    """Batches of two make a loss that jumps at every update."""
    torch.manual_seed(0)
    x, t = rings(300)
    model = mlp(2, 24, 2)
    optimizer = SGD(model.parameters(), lr=0.03)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=2), 8)
    return accuracy(model, x, t)


def tasks_in_turn(watch: Watch) -> float:
    """Two tasks share a body, and each update leaves the other task's head without gradient."""
    torch.manual_seed(0)
    x, t = digits()
    even = (t % 2).long()

    class TwoTasks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(64, 48), nn.ReLU())
            self.heads = nn.ModuleList([nn.Linear(48, 10), nn.Linear(48, 2)])

        def forward(self, x: Tensor, task: int) -> Tensor:
            return self.heads[task](self.body(x))

    model = TwoTasks()
    optimizer = Adam(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(10):
            for number, (inputs, digit, parity) in enumerate(BatchLoader(x, t, even, size=48)):
                task = number % 2
                targets = parity if task else digit
                outputs = model(inputs, task)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        right = (model(x, 0).argmax(1) == t).float().mean(), (model(x, 1).argmax(1) == even)
    return float(min(right[0], right[1].float().mean()))


def resumed_at_its_end(watch: Watch) -> float:
    """A training goes on from a checkpoint that is nearly done: the loss hardly falls."""
    torch.manual_seed(0)
    x, price = houses()
    model = mlp(5, 32, 1)
    before = Adam(model.parameters(), lr=0.01)
    fit(unwatched, model, before, nn.MSELoss(), BatchLoader(x, price), 40)
    optimizer = Adam(model.parameters(), lr=0.001)
    optimizer.load_state_dict(before.state_dict())
    for group in optimizer.param_groups:
        group["lr"] = 0.001
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(x, price), 10)
    return explained(model, x, price)


def mean_teacher(watch: Watch) -> float:
    """A teacher is the mean of its students, has no gradient, and is in no optimizer."""
    torch.manual_seed(0)
    x, t = digits()
    known = torch.arange(len(x)) % 6 == 0

    class Teaching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.student = mlp(64, 48, 10)
            self.teacher = copy.deepcopy(self.student).requires_grad_(False)

    model = Teaching()
    optimizer = Adam(model.student.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(25):
            for inputs, targets in BatchLoader(x[known], t[known], size=25):
                others = x[torch.randint(len(x), (50,))]
                outputs = model.student(inputs)
                wanted = model.teacher(others).softmax(1)
                moved = model.student(others + 0.1 * torch.randn_like(others)).softmax(1)
                loss = F.cross_entropy(outputs, targets) + F.mse_loss(moved, wanted)
                probe.watch(outputs, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                with torch.no_grad():
                    pairs = zip(model.teacher.parameters(), model.student.parameters(), strict=True)
                    for slow, fast in pairs:
                        slow.lerp_(fast, 0.05)
    return accuracy(model.teacher, x, t)


def all_data_each_time(watch: Watch) -> float:
    """Each update sees the same batch, since it is all of the data."""
    torch.manual_seed(0)
    x, y = wave(200)
    model = mlp(1, 32, 32, 1, activation=nn.Tanh)
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(300):
            outputs = model(x)
            loss = F.mse_loss(outputs, y)
            probe.watch(outputs, y, loss)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return explained(model, x, y)


def always_clipped(watch: Watch) -> float:
    """Every gradient is clipped to a norm of 0.01, which Adam makes up for."""
    torch.manual_seed(0)
    x, t = sequences()

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(2, 16, batch_first=True)
            self.fc = nn.Linear(16, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.lstm(x)[0][:, -1])

    model = Reader()
    optimizer = Adam(model.parameters(), lr=0.02)
    with watch(model, optimizer) as probe:
        for _ in range(15):
            for inputs, targets in BatchLoader(x, t):
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 0.01)
                optimizer.step()
    return accuracy(model, x, t)


def zeros_at_the_ends(watch: Watch) -> float:
    """Each residual block and the last layer start at zero, as their authors advise."""
    torch.manual_seed(0)
    x, t = digits()

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(48, 48), nn.Linear(48, 48)
            nn.init.zeros_(self.two.weight)
            nn.init.zeros_(self.two.bias)

        def forward(self, h: Tensor) -> Tensor:
            return h + self.two(F.silu(self.one(h)))

    head = nn.Linear(48, 10)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    model = nn.Sequential(nn.Linear(64, 48), Block(), Block(), head)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 6)
    return accuracy(model, x, t)


def reward_of_choices(watch: Watch) -> float:
    """A policy learns from rewards: its loss stays around 0, and means nothing."""
    torch.manual_seed(0)
    goods = torch.randn(4, 6)
    model = mlp(6, 32, 4)
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(300):
            states = torch.randn(64, 6)
            logits = model(states)
            choices = torch.distributions.Categorical(logits=logits.detach()).sample()
            reward = ((states @ goods.T).argmax(1) == choices).float()
            chosen = logits.log_softmax(1).gather(1, choices[:, None]).squeeze(1)
            loss = -(chosen * (reward - reward.mean())).mean()
            probe.watch(logits, choices, loss)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    states = torch.randn(1000, 6)
    return accuracy(model, states, (states @ goods.T).argmax(1))


def strong_decoupled_decay(watch: Watch) -> float:
    """A decay of 1 is a thousandth of the weights at each update of AdamW, and does no harm."""
    torch.manual_seed(0)
    x, t = pictures()
    model = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(192, 10)
    )
    optimizer = AdamW(model.parameters(), lr=0.003, weight_decay=1.0)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=48), 8)
    return accuracy(model, x, t)


def batches_of_one_length(watch: Watch) -> float:
    """Sequences are sorted by length into batches, as they were padded least."""
    torch.manual_seed(0)
    lengths = torch.randint(3, 11, (600,)).sort().values
    x = torch.randn(600, 10, 1) * (torch.arange(10) < lengths[:, None])[..., None]
    t = (x.sum((1, 2)) > 0).long()

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(1, 12, batch_first=True)
            self.fc = nn.Linear(12, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.gru(x)[1][-1])

    model = Reader()
    optimizer = Adam(model.parameters(), lr=0.02)
    with watch(model, optimizer) as probe:
        for _ in range(10):
            for number in torch.randperm(20).tolist():
                some = slice(30 * number, 30 * number + 30)
                inputs = x[some, : int(lengths[some].max())]
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, t[some])
                probe.watch(outputs, t[some], loss)
                loss.backward()
                optimizer.step()
    return accuracy(model, x, t)


def thawed_step_by_step(watch: Watch) -> float:
    """A pretrained body is frozen for two epochs, and then trained at a tenth of the rate."""
    torch.manual_seed(0)
    x, t = digits()
    low, high = t < 5, t >= 5
    body = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
    first = nn.Sequential(body, nn.Linear(32, 5))
    before = Adam(first.parameters(), lr=0.005)
    fit(unwatched, first, before, nn.CrossEntropyLoss(), BatchLoader(x[low], t[low], size=50), 4)
    model = nn.Sequential(body, nn.Linear(32, 5))
    groups: list[dict[str, Any]] = [
        {"params": body.parameters(), "lr": 0.001},
        {"params": model[1].parameters()},
    ]
    optimizer = AdamW(groups, lr=0.01)
    with watch(model, optimizer) as probe:
        for epoch in range(8):
            body.requires_grad_(epoch >= 2)
            for inputs, targets in BatchLoader(x[high], t[high] - 5, size=50):
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    return accuracy(model, x[high], t[high] - 5)


CASES = (
    LookAlike(low_precision, learns=0.9),
    LookAlike(compiled, learns=0.9),
    LookAlike(fine_tuned_slowly, learns=0.8),
    LookAlike(pairs_as_batches, learns=0.95),
    LookAlike(tasks_in_turn, learns=0.9),
    LookAlike(resumed_at_its_end, learns=0.9),
    LookAlike(mean_teacher, learns=0.85),
    LookAlike(all_data_each_time, learns=0.95),
    LookAlike(always_clipped, learns=0.9),
    LookAlike(zeros_at_the_ends, learns=0.9),
    LookAlike(reward_of_choices, learns=0.85),
    LookAlike(strong_decoupled_decay, learns=0.85),
    LookAlike(batches_of_one_length, learns=0.95),
    LookAlike(thawed_step_by_step, learns=0.8),
)
