"""Programs of which the output does not fit the loss, of the first hold-out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam

from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    binary_accuracy,
    clouds,
    digits,
    explained,
    fit,
    houses,
    informed,
    mlp,
    rings,
)


def softmax_before_cross_entropy(watch: Watch, faulty: bool) -> float:
    """The forward pass returns F.softmax, and the loop takes F.cross_entropy of it."""
    torch.manual_seed(0)
    x, t = digits()

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1 = nn.Linear(64, 48)
            self.fc2 = nn.Linear(48, 24)
            self.fc3 = nn.Linear(24, 10)
            self.dropout = nn.Dropout(0.1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.dropout(F.relu(self.fc1(x)))
            x = self.fc3(F.relu(self.fc2(x)))
            return F.softmax(x, dim=1) if faulty else x

    model = Classifier()
    optimizer = SGD(model.parameters(), lr=0.02, momentum=0.9)
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for inputs, targets in BatchLoader(x, t, size=64):
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    return accuracy(model, x, t)


def logits_to_nll(watch: Watch, faulty: bool) -> float:
    """NLLLoss is given the outputs of a linear layer, and falls below 0 without end."""
    torch.manual_seed(0)
    x, t = digits()
    model = mlp(64, 32, 10)
    if not faulty:
        model.append(nn.LogSoftmax(dim=1))
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.NLLLoss(), BatchLoader(x, t, size=64), 10)
    with torch.no_grad():
        return informed(F.cross_entropy(model(x), t), 10)


def probabilities_to_nll(watch: Watch, faulty: bool) -> float:
    """The model ends in Softmax where NLLLoss expects LogSoftmax."""
    torch.manual_seed(0)
    x, t = digits()
    last = nn.Softmax(dim=1) if faulty else nn.LogSoftmax(dim=1)
    model = nn.Sequential(*mlp(64, 64, 32, 10), last)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    fit(watch, model, optimizer, nn.NLLLoss(), BatchLoader(x, t, size=64), 5)
    return accuracy(model, x, t)


def class_numbers_regressed(watch: Watch, faulty: bool) -> float:
    """The number of the class is regressed on by MSE, and rounded for the prediction."""
    torch.manual_seed(0)
    x, t = digits()
    model = mlp(64, 32, 1 if faulty else 10)
    optimizer = Adam(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(10):
            for inputs, targets in BatchLoader(x, t, size=64):
                optimizer.zero_grad()
                outputs = model(inputs)
                if faulty:
                    targets = targets.float()[:, None]
                    loss = F.mse_loss(outputs, targets)
                else:
                    loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    if not faulty:
        return accuracy(model, x, t)
    with torch.no_grad():
        return float((model(x).flatten().round() == t).float().mean())


def labels_minus_one_and_one(watch: Watch, faulty: bool) -> float:
    """Labels are −1 and 1, as for a perceptron, but the loss is BCEWithLogitsLoss."""
    torch.manual_seed(0)
    x, t = clouds(2, spread=3.0)
    labels = t.float()[:, None]
    targets = 2 * labels - 1 if faulty else labels
    model = mlp(8, 16, 1)
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.BCEWithLogitsLoss(), BatchLoader(x, targets), 12)
    with torch.no_grad():
        return informed(F.binary_cross_entropy_with_logits(model(x), labels))


def sigmoid_regression_of_large_targets(watch: Watch, faulty: bool) -> float:
    """Marks from 0 to 10 are regressed on by a network that ends in a sigmoid."""
    torch.manual_seed(0)
    x, price = houses()
    t = (5 + 2 * price).clamp(0, 10)
    model = mlp(5, 32, 1)
    if faulty:
        model.append(nn.Sigmoid())
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(x, t), 20)
    return explained(model, x, t)


def sigmoid_before_cross_entropy(watch: Watch, faulty: bool) -> float:
    """Ten sigmoids are handed to CrossEntropyLoss."""
    torch.manual_seed(0)
    x, t = digits()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Linear(64, 32)
            self.out = nn.Linear(32, 10)

        def forward(self, x: Tensor) -> Tensor:
            z = self.out(torch.relu(self.hidden(x)))
            return torch.sigmoid(z) if faulty else z

    model = Net()
    optimizer = Adam(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 10)
    with torch.no_grad():
        return informed(F.cross_entropy(model(x), t), 10)


def margin_loss_on_zero_one(watch: Watch, faulty: bool) -> float:
    """SoftMarginLoss expects −1 and 1; an example with the label 0 has no gradient."""
    torch.manual_seed(0)
    x, t = clouds(2)
    labels = t.float()[:, None]
    targets = labels if faulty else 2 * labels - 1
    model = mlp(8, 16, 1)
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.SoftMarginLoss(), BatchLoader(x, targets), 10)
    return binary_accuracy(model, x, labels)


def clamped_probabilities(watch: Watch, faulty: bool) -> float:
    """To end an error of BCELoss, the outputs are clamped to [0, 1]."""
    torch.manual_seed(1)
    x, t = rings()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1 = nn.Linear(2, 16)
            self.fc2 = nn.Linear(16, 1)

        def forward(self, x: Tensor) -> Tensor:
            z = self.fc2(torch.relu(self.fc1(x)))
            return z.clamp(0, 1) if faulty else torch.sigmoid(z)

    model = Net()
    optimizer = SGD(model.parameters(), lr=0.3)
    fit(watch, model, optimizer, nn.BCELoss(), BatchLoader(x, t.float()[:, None]), 15)
    return binary_accuracy(model, x, t, 0.5)


CASES = (
    Faulty(
        softmax_before_cross_entropy,
        ("softmax_before_cross_entropy",),
        learns=0.9,
        fails=0.7,
        source="https://github.com/lansinuote/Huggingface_Toturials/issues/6",
    ),
    Faulty(
        logits_to_nll,
        ("nll_without_log_softmax",),
        learns=0.9,
        fails=0.3,
        source="https://github.com/yanx27/Pointnet_Pointnet2_pytorch/issues/30",
    ),
    Faulty(
        probabilities_to_nll,
        ("nll_without_log_softmax",),
        learns=0.85,
        fails=0.5,
        source="https://github.com/AnubhavGupta3377/Text-Classification-Models-Pytorch/issues/9",
    ),
    Faulty(class_numbers_regressed, ("classes_as_numbers",), learns=0.9, fails=0.7),
    Faulty(
        labels_minus_one_and_one,
        ("labels_out_of_range", "targets_out_of_range"),
        learns=0.6,
        fails=0.0,
        source="https://github.com/bigmb/Unet-Segmentation-Pytorch-Nest-of-Unets/issues/18",
    ),
    Faulty(sigmoid_regression_of_large_targets, ("output_out_of_range",), learns=0.8, fails=0.1),
    Faulty(
        sigmoid_before_cross_entropy,
        ("bounded_logits", "softmax_before_cross_entropy"),
        learns=0.9,
        fails=0.5,
    ),
    Faulty(margin_loss_on_zero_one, ("labels_out_of_range",), learns=0.9, fails=0.6),
    Faulty(
        clamped_probabilities, ("clamped_output", "probabilities_expected"), learns=0.9, fails=0.7
    ),
)
