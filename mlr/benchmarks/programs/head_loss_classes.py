"""Programs of several classes whose output does not fit the loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam

from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    clouds,
    digits,
    fit,
    informed,
    mlp,
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
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(images, t, size=64), 6)
    return accuracy(model, images, t)


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
    fit(watch, model, optimizer, F.cross_entropy, BatchLoader(x, t, size=64), 10)
    return accuracy(model, x, t)


def softmax_over_the_batch(watch: Watch, faulty: bool) -> float:
    """The log-softmax at the model's end runs over dimension 0, the batch."""
    torch.manual_seed(0)
    x, t = digits()
    model = nn.Sequential(*mlp(64, 32, 10), nn.LogSoftmax(dim=0 if faulty else 1))
    optimizer = Adam(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, nn.NLLLoss(), BatchLoader(x, t, size=64), 10)
    singly = torch.cat([model(one) for one in x.split(1)]).detach()
    return float((singly.argmax(1) == t).float().mean())


def log_of_softmax(watch: Watch, faulty: bool) -> float:
    """Logits of pixels up to 255 differ by hundreds, and the logarithm of their softmax is −∞."""
    torch.manual_seed(0)
    x, t = digits()
    x = 255 * x
    model = mlp(64, 32, 10)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    optimizer = Adam(model.parameters(), lr=0.003)

    def negative_log_likelihood(outputs: Tensor, targets: Tensor) -> Tensor:
        logs = torch.log(F.softmax(outputs, 1)) if faulty else F.log_softmax(outputs, 1)
        return -logs[torch.arange(len(targets)), targets].mean()

    fit(watch, model, optimizer, negative_log_likelihood, BatchLoader(x, t, size=64), 10)
    return accuracy(model, x, t)


def tanh_before_cross_entropy(watch: Watch, faulty: bool) -> float:
    """Every layer is followed by tanh, the last one, too."""
    torch.manual_seed(0)
    x, t = digits()
    model = mlp(64, 32, 10, activation=nn.Tanh)
    if faulty:
        model.append(nn.Tanh())
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 10)
    with torch.no_grad():
        return informed(F.cross_entropy(model(x), t), 10)


def kl_div_of_probabilities(watch: Watch, faulty: bool) -> float:
    """A student learns a teacher's probabilities, and kl_div gets its own without a logarithm."""
    torch.manual_seed(0)
    x, _ = clouds(5, spread=1.5)
    teacher = torch.softmax(0.5 * x @ torch.randn(8, 5), 1)
    student = mlp(8, 32, 5)
    optimizer = Adam(student.parameters(), lr=0.01)
    with watch(student, optimizer) as probe:
        for _ in range(15):
            for inputs, targets in BatchLoader(x, teacher):
                optimizer.zero_grad()
                z = student(inputs)
                outputs = F.softmax(z, 1) if faulty else F.log_softmax(z, 1)
                loss = F.kl_div(outputs, targets, reduction="batchmean")
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        rest = F.kl_div(F.log_softmax(student(x), 1), teacher, reduction="batchmean")
        constant = F.kl_div(teacher.mean(0).log().expand(600, 5), teacher, reduction="batchmean")
    return float(1 - rest / constant)


def double_softmax(watch: Watch, faulty: bool) -> float:
    """The model returns a softmax, and the loop applies another before the logarithm."""
    torch.manual_seed(0)
    x, t = digits()
    model = nn.Sequential(*mlp(64, 64, 32, 10), nn.Softmax(dim=-1))
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    with watch(model, optimizer) as probe:
        for _ in range(10):
            for inputs, targets in BatchLoader(x, t, size=64):
                outputs = model(inputs)
                if faulty:
                    outputs = torch.softmax(outputs, dim=1)
                loss = F.nll_loss(torch.log(outputs), targets)
                probe.watch(outputs, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        outputs = torch.softmax(model(x), dim=1) if faulty else model(x)
        return informed(F.nll_loss(outputs.log(), t), 10)


CASES = (
    Faulty(
        softmax_layer_before_cross_entropy,
        ("softmax_before_cross_entropy",),
        learns=0.9,
        fails=0.7,
        source="https://github.com/illiterate/BertClassifier/issues/2",
    ),
    Faulty(relu_before_cross_entropy, ("relu_output", "bounded_logits"), learns=0.92, fails=0.8),
    Faulty(
        softmax_over_the_batch,
        ("softmax_over_batch",),
        learns=0.9,
        fails=0.3,
        source="https://github.com/fxia22/pointnet.pytorch/issues/27",
    ),
    Faulty(
        log_of_softmax,
        ("log_of_softmax", "not_finite"),
        learns=0.9,
        fails=0.3,
        source="https://github.com/marian-nmt/marian-dev/issues/14",
    ),
    Faulty(tanh_before_cross_entropy, ("bounded_logits",), learns=0.9, fails=0.7),
    Faulty(
        kl_div_of_probabilities,
        ("kl_without_log",),
        learns=0.8,
        fails=0.3,
        source="https://github.com/NightShade99/Self-Supervised-Vision/issues/5",
    ),
    Faulty(
        double_softmax,
        ("softmax_twice", "softmax_before_cross_entropy"),
        learns=0.9,
        fails=0.7,
        source="https://github.com/bowang-lab/Transformer-GCN-QA/pull/32",
    ),
)
