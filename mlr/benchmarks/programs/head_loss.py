"""Programs of which the output does not fit the loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam

from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    Batches,
    accuracy,
    binary_accuracy,
    clouds,
    digits,
    explained,
    fit,
    houses,
    mlp,
    rings,
)


def softmax_layer_before_cross_entropy(watch: Watch, faulty: bool) -> float:
    """A small CNN ends in a softmax layer, and is trained by CrossEntropyLoss."""
    torch.manual_seed(0)
    x, t = digits()
    images = x.reshape(-1, 1, 8, 8)
    last: list[nn.Module] = [nn.Softmax(dim=1)] if faulty else []
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
        *last,
    )
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), Batches(images, t, size=64), 6)
    return accuracy(model, images, t)


def sigmoid_before_bce_with_logits(watch: Watch, faulty: bool) -> float:
    """The forward pass ends in a sigmoid, and the loss is binary_cross_entropy_with_logits."""
    torch.manual_seed(0)
    x, t = rings()

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Linear(2, 16)
            self.out = nn.Linear(16, 1)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.relu(self.hidden(x))
            return torch.sigmoid(self.out(h)) if faulty else self.out(h)

    model = Classifier()
    optimizer = SGD(model.parameters(), lr=0.3)
    loader = Batches(x, t.float()[:, None])
    fit(watch, model, optimizer, nn.BCEWithLogitsLoss(), loader, 12)
    return binary_accuracy(model, x, t)


def softmax_over_one_unit(watch: Watch, faulty: bool) -> float:
    """Two classes, one output, and a softmax over it, which is 1 whatever comes."""
    torch.manual_seed(0)
    x, t = clouds(2)
    model = nn.Sequential(
        *mlp(8, 16, 1),
        nn.Softmax(dim=1) if faulty else nn.Sigmoid(),
    )
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.BCELoss(), Batches(x, t.float()[:, None]), 8)
    return binary_accuracy(model, x, t, 0.5)


def relu_before_cross_entropy(watch: Watch, faulty: bool) -> float:
    """Every layer is followed by a ReLU, the last one, too."""
    torch.manual_seed(3)
    x, t = digits()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1 = nn.Linear(64, 32)
            self.fc2 = nn.Linear(32, 16)
            self.fc3 = nn.Linear(16, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = F.relu(self.fc1(x))
            x = F.relu(self.fc2(x))
            return F.relu(self.fc3(x)) if faulty else self.fc3(x)

    model = Net()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    fit(watch, model, optimizer, F.cross_entropy, Batches(x, t, size=64), 10)
    return accuracy(model, x, t)


def relu_regression(watch: Watch, faulty: bool) -> float:
    """A regression of standardised targets ends in a ReLU."""
    torch.manual_seed(0)
    x, t = houses()
    model = mlp(5, 32, 1)
    if faulty:
        model.append(nn.ReLU())
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.MSELoss(), Batches(x, t), 20)
    return explained(model, x, t)


def column_against_row(watch: Watch, faulty: bool) -> float:
    """The difference of outputs (B, 1) and targets (B,) is a matrix (B, B)."""
    torch.manual_seed(0)
    x, t = houses()
    t = t.flatten()
    model = mlp(5, 32, 1)
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(20):
            for inputs, targets in Batches(x, t):
                outputs = model(inputs)
                if not faulty:
                    outputs = outputs.squeeze(1)
                loss = ((outputs - targets) ** 2).mean()
                probe.watch(outputs, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return explained(model, x, t)


def tanh_pixels(watch: Watch, faulty: bool) -> float:
    """A decoder ends in tanh, but pixels were left in [0, 255]."""
    torch.manual_seed(0)
    x, _ = digits()
    pixels = x[:600] * 255 if faulty else x[:600] * 2 - 1
    model = nn.Sequential(*mlp(64, 24, 64), nn.Tanh())
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.MSELoss(), Batches(pixels, pixels), 15)
    return explained(model, pixels, pixels)


CASES = (
    Faulty(
        softmax_layer_before_cross_entropy,
        ("softmax_before_cross_entropy",),
        learns=0.9,
        fails=0.7,
        source="https://github.com/illiterate/BertClassifier/issues/2",
    ),
    Faulty(
        sigmoid_before_bce_with_logits,
        ("sigmoid_before_bce_with_logits",),
        learns=0.9,
        fails=0.7,
        source="https://github.com/avBuffer/UNet3plus_pth/issues/23",
    ),
    Faulty(softmax_over_one_unit, ("softmax_over_one_unit",), learns=0.9, fails=0.6),
    Faulty(relu_before_cross_entropy, ("relu_output", "bounded_logits"), learns=0.9, fails=0.75),
    Faulty(
        relu_regression,
        ("relu_output", "output_out_of_range"),
        learns=0.8,
        fails=0.6,
        source="https://github.com/ProteomicsML/ProteomicsML/pull/203",
    ),
    Faulty(column_against_row, ("shapes_broadcast",), learns=0.8, fails=0.3),
    Faulty(tanh_pixels, ("output_out_of_range", "targets_unscaled"), learns=0.6, fails=0.1),
)
