"""Programs whose loop, network or data are at fault, of the first hold-out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import StepLR

from mlr.benchmarks.programs.case import Faulty, Watch
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
)


def zero_grad_missing(watch: Watch, faulty: bool) -> float:
    """No gradient is ever cleared."""
    torch.manual_seed(0)
    x, t = digits()
    model = mlp(64, 32, 10)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    with watch(model, optimizer) as probe:
        for _ in range(10):
            for inputs, targets in BatchLoader(x, t, size=64):
                if not faulty:
                    optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    return accuracy(model, x, t)


def zero_grad_before_step(watch: Watch, faulty: bool) -> float:
    """Gradients are cleared between backward() and step()."""
    torch.manual_seed(0)
    x, t = clouds(4)
    model = mlp(8, 16, 4)
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(10):
            for inputs, targets in BatchLoader(x, t):
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                if not faulty:
                    optimizer.zero_grad()
                loss.backward()
                if faulty:
                    optimizer.zero_grad()
                optimizer.step()
    return accuracy(model, x, t)


def eval_left_on(watch: Watch, faulty: bool) -> float:
    """After the first validation the model stays in eval mode, with statistics of one step."""
    torch.manual_seed(0)
    x, t = digits()
    x = 40 + 20 * x
    model = nn.Sequential(
        nn.BatchNorm1d(64), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10)
    )
    optimizer = SGD(model.parameters(), lr=0.1)
    step = 0
    with watch(model, optimizer) as probe:
        for _ in range(8):
            for inputs, targets in BatchLoader(x, t, size=64):
                if not faulty:
                    model.train()
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
                step += 1
                if step == 1 or step % 50 == 0:
                    model.eval()
                    with torch.no_grad():
                        F.cross_entropy(model(x[:200]), t[:200])
    return accuracy(model, x, t)


def penalty_only(watch: Watch, faulty: bool) -> float:
    """The loss has a penalty of the weights, and backward() is called on the penalty."""
    torch.manual_seed(0)
    x, t = clouds()
    model = mlp(8, 16, 3)
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(10):
            for inputs, targets in BatchLoader(x, t):
                optimizer.zero_grad()
                outputs = model(inputs)
                cost = F.cross_entropy(outputs, targets)
                squares = torch.stack([p.square().sum() for p in model.parameters()])
                penalty = 1e-4 * squares.sum()
                loss = cost + penalty
                probe.watch(outputs, targets, loss)
                (penalty if faulty else loss).backward()
                optimizer.step()
    return accuracy(model, x, t)


def clipped_to_nothing(watch: Watch, faulty: bool) -> float:
    """Gradients are clipped to a norm of 1e-6."""
    torch.manual_seed(0)
    x, t = digits()
    model = mlp(64, 32, 10)
    optimizer = SGD(model.parameters(), lr=0.2, momentum=0.9)
    with watch(model, optimizer) as probe:
        for _ in range(8):
            for inputs, targets in BatchLoader(x, t, size=64):
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1e-6 if faulty else 5.0)
                optimizer.step()
    return accuracy(model, x, t)


def loss_divided_twice(watch: Watch, faulty: bool) -> float:
    """A mean loss is divided by the number of all examples once more."""
    torch.manual_seed(0)
    x, t = houses()
    model = mlp(5, 32, 1)
    optimizer = SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer) as probe:
        for _ in range(20):
            for inputs, targets in BatchLoader(x, t):
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.mse_loss(outputs, targets)
                if faulty:
                    loss = loss / len(x)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    return explained(model, x, t)


def rate_decayed_at_once(watch: Watch, faulty: bool) -> float:
    """The scheduler steps with every batch, and was meant to with every epoch."""
    torch.manual_seed(0)
    x, t = digits()
    model = mlp(64, 32, 10)
    optimizer = SGD(model.parameters(), lr=0.3)
    scheduler = StepLR(optimizer, step_size=2, gamma=0.5)
    with watch(model, optimizer) as probe:
        for _ in range(10):
            for inputs, targets in BatchLoader(x, t, size=64):
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
                if faulty:
                    scheduler.step()
            if not faulty:
                scheduler.step()
    return accuracy(model, x, t)


def too_few_updates(watch: Watch, faulty: bool) -> float:
    """Two epochs of a small data set make 24 updates."""
    torch.manual_seed(0)
    x, t = digits()
    x, t = x[:768], t[:768]
    model = mlp(64, 32, 10)
    optimizer = SGD(model.parameters(), lr=0.1)
    epochs = 2 if faulty else 80
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), epochs)
    return accuracy(model, x, t)


def rounded_outputs(watch: Watch, faulty: bool) -> float:
    """The loss is taken of rounded probabilities, whose gradient is 0."""
    torch.manual_seed(0)
    x, t = clouds(2)
    model = nn.Sequential(*mlp(8, 16, 1), nn.Sigmoid())
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(10):
            for inputs, targets in BatchLoader(x, t.float()[:, None]):
                optimizer.zero_grad()
                outputs = model(inputs)
                if faulty:
                    outputs = outputs.round()
                loss = F.mse_loss(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return float((model(x).flatten().round() == t).float().mean())


def equal_weights(watch: Watch, faulty: bool) -> float:
    """All weights start at the same number."""
    torch.manual_seed(0)
    x, t = rings()
    model = mlp(2, 16, 16, 2, activation=nn.Tanh)
    for layer in model:
        if isinstance(layer, nn.Linear) and faulty:
            nn.init.constant_(layer.weight, 0.1)
            nn.init.constant_(layer.bias, 0.0)
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t), 15)
    return accuracy(model, x, t)


def dropout_of_nearly_all(watch: Watch, faulty: bool) -> float:
    """Dropout was given the share to keep, 0.95, and removes as much."""
    torch.manual_seed(0)
    x, t = digits()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2, self.fc3 = nn.Linear(64, 32), nn.Linear(32, 32), nn.Linear(32, 10)
            self.dropout = nn.Dropout(0.95 if faulty else 0.05)

        def forward(self, x: Tensor) -> Tensor:
            x = self.dropout(torch.relu(self.fc1(x)))
            x = self.dropout(torch.relu(self.fc2(x)))
            return self.fc3(x)

    model = Net()
    optimizer = Adam(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 10)
    return accuracy(model, x, t)


def features_unscaled(watch: Watch, faulty: bool) -> float:
    """Age, income in dollars and a share are fed side by side as they are."""
    torch.manual_seed(0)
    z = torch.randn(600, 3)
    t = (z[:, 0] + z[:, 1] + z[:, 2] > 0).long()
    x = torch.stack([40 + 12 * z[:, 0], 50_000 + 20_000 * z[:, 1], 0.5 + 0.1 * z[:, 2]], 1)
    if not faulty:
        x = (x - x.mean(0)) / x.std(0)
    model = mlp(3, 16, 2)
    optimizer = SGD(model.parameters(), lr=0.1)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t), 12)
    return accuracy(model, x, t)


def missing_values(watch: Watch, faulty: bool) -> float:
    """One value in 200 is missing, and stays NaN."""
    torch.manual_seed(0)
    x, t = clouds(3)
    x[torch.rand(x.shape) < 0.005] = torch.nan
    x = x if faulty else torch.nan_to_num(x)
    model = mlp(8, 16, 3)
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t), 10)
    return accuracy(model, x, t)


def view_for_permute(watch: Watch, faulty: bool) -> float:
    """Images lie as (row, column, image), and view() gives each pixels of other images."""
    torch.manual_seed(0)
    x, t = digits()
    stored = x.reshape(-1, 8, 8).permute(1, 2, 0).contiguous()
    pixels = stored.view(-1, 64) if faulty else stored.permute(2, 0, 1).reshape(-1, 64)
    model = mlp(64, 32, 10)
    optimizer = Adam(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(pixels, t, size=64), 10)
    return accuracy(model, pixels, t)


def one_batch_again(watch: Watch, faulty: bool) -> float:
    """Each step takes next(iter(loader)) of a loader that does not shuffle."""
    torch.manual_seed(0)
    x, t = digits()
    loader = BatchLoader(x, t, size=8, shuffle=not faulty)
    model = mlp(64, 32, 10)
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(400):
            inputs, targets = next(iter(loader))
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = F.cross_entropy(outputs, targets)
            probe.watch(outputs, targets, loss)
            loss.backward()
            optimizer.step()
    return accuracy(model, x, t)


CASES = (
    Faulty(
        zero_grad_missing,
        ("zero_grad_missing",),
        learns=0.9,
        fails=0.7,
        source="https://github.com/wenet-e2e/wekws/issues/72",
    ),
    Faulty(zero_grad_before_step, ("zero_grad_misplaced",), learns=0.95, fails=0.6),
    Faulty(
        eval_left_on,
        ("eval_in_training",),
        learns=0.9,
        fails=0.7,
        source="https://github.com/joeynmt/joeynmt/issues/184",
    ),
    Faulty(penalty_only, ("wrong_loss", "graph_cut", "loss_without_graph"), learns=0.95, fails=0.6),
    Faulty(clipped_to_nothing, ("gradients_clipped_away",), learns=0.9, fails=0.3),
    Faulty(
        loss_divided_twice,
        ("loss_too_small", "rate_too_low"),
        learns=0.8,
        fails=0.3,
        source="https://github.com/williamleif/GraphSAGE/issues/12",
    ),
    Faulty(
        rate_decayed_at_once,
        ("rate_decays_too_soon",),
        learns=0.85,
        fails=0.7,
        source="https://github.com/ivadomed/ivadomed/pull/55",
    ),
    Faulty(too_few_updates, ("too_few_updates",), learns=0.9, fails=0.5),
    Faulty(
        rounded_outputs,
        ("zero_gradient_function", "graph_cut"),
        learns=0.95,
        fails=0.6,
        source="https://github.com/pytorch/pytorch/issues/1339",
    ),
    Faulty(equal_weights, ("symmetric_weights",), learns=0.95, fails=0.8),
    Faulty(
        dropout_of_nearly_all,
        ("dropout_too_strong",),
        learns=0.9,
        fails=0.6,
        source="https://github.com/piergiaj/pytorch-i3d/issues/58",
    ),
    Faulty(
        features_unscaled, ("inputs_unscaled", "rate_too_high", "dead_relus"), learns=0.9, fails=0.7
    ),
    Faulty(
        missing_values,
        ("not_finite",),
        learns=0.95,
        fails=0.5,
        source="https://github.com/prs-eth/Marigold/issues/111",
    ),
    Faulty(
        view_for_permute,
        ("inputs_scrambled", "targets_shuffled"),
        learns=0.9,
        fails=0.4,
        source="https://github.com/vitrioil/Speech-Separation/issues/4",
    ),
    Faulty(one_batch_again, ("same_batch",), learns=0.9, fails=0.65),
)
