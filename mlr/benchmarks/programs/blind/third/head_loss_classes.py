"""Programs of several classes whose output does not fit the loss, written blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam

from mlr.benchmarks.programs.blind.material import pictures, spots
from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    clouds,
    digits,
    fit,
    informed,
    least_recall,
    mlp,
)


def convolutions_end_in_softmax(watch: Watch, faulty: bool) -> float:
    """A CNN of digits returns a softmax, and the loss is CrossEntropyLoss."""
    torch.manual_seed(0)
    x, t = (tensor[:800] for tensor in pictures())

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(1, 8, 3, stride=2, padding=1)
            self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
            self.fc = nn.Linear(16 * 16, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = F.relu(self.conv1(x))
            x = F.relu(self.conv2(x))
            logits = self.fc(torch.flatten(x, 1))
            return F.softmax(logits, dim=1) if faulty else logits

    model = Net()
    optimizer = Adam(model.parameters(), lr=0.004)
    criterion = nn.CrossEntropyLoss()
    fit(watch, model, optimizer, criterion, BatchLoader(x, t, size=40), 7)
    with torch.no_grad():
        return informed(criterion(model(x), t), 10)


def questions_by_transformer(watch: Watch, faulty: bool) -> float:
    """A transformer of questions returns a softmax where NLLLoss expects its logarithm."""
    torch.manual_seed(0)
    words = torch.randint(40, (1000, 6))
    t = words[:, 0]

    class Questions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(40, 16)
            self.position = nn.Parameter(0.5 * torch.randn(6, 16))
            self.block = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
            self.fc = nn.Linear(96, 40)

        def forward(self, words: Tensor) -> Tensor:
            z = self.fc(self.block(self.embedding(words) + self.position).flatten(1))
            return F.softmax(z, dim=1) if faulty else F.log_softmax(z, dim=1)

    model = Questions()
    optimizer = SGD(model.parameters(), lr=0.03, momentum=0.9)
    fit(watch, model, optimizer, nn.NLLLoss(), BatchLoader(words, t, size=50), 8)
    return accuracy(model, words, t)


def log_softmax_of_dimension_zero(watch: Watch, faulty: bool) -> float:
    """A dense network of pictures ends in nn.LogSoftmax(dim=0), which runs over the batch."""
    torch.manual_seed(0)
    x, t = digits()
    model = nn.Sequential(
        nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10), nn.LogSoftmax(dim=0 if faulty else 1)
    )
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    fit(watch, model, optimizer, nn.NLLLoss(), BatchLoader(x, t, size=64), 8)
    with torch.no_grad():
        return informed(F.nll_loss(model(x), t), 10)


def segments_over_pixels(watch: Watch, faulty: bool) -> float:
    """A net of convolutions marks pixels of three kinds; its log_softmax runs over the pixels."""
    torch.manual_seed(0)
    x, mask, corner = spots(400)
    kind = 1 + (corner[:, 0] > 2).long()
    t = mask.flatten(1).long() * kind[:, None]
    place = torch.linspace(-1, 1, 8)[:, None].expand(400, 1, 8, 8)
    x = torch.cat([x, place], 1)

    class Segments(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(2, 16, 5, padding=2),
                nn.ReLU(),
                nn.Conv2d(16, 16, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(16, 3, 1),
            )

        def forward(self, x: Tensor) -> Tensor:
            return F.log_softmax(self.body(x).flatten(2), dim=2 if faulty else 1)

    model = Segments()
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.NLLLoss(), BatchLoader(x, t, size=32), 8)
    with torch.no_grad():
        return informed(F.nll_loss(model(x), t), 3)


def student_of_soft_targets(watch: Watch, faulty: bool) -> float:
    """A student learns the probabilities of a teacher by kl_div, which gets its softmax."""
    torch.manual_seed(0)
    x = torch.randn(800, 10)
    teacher = mlp(10, 16, 5)
    with torch.no_grad():
        soft = F.softmax(teacher(x) * 4, dim=1)
    student = mlp(10, 32, 5)
    optimizer = Adam(student.parameters(), lr=0.005)
    with watch(student, optimizer) as probe:
        for _ in range(14):
            for inputs, wanted in BatchLoader(x, soft, size=40):
                z = student(inputs)
                output = F.softmax(z, dim=1) if faulty else F.log_softmax(z, dim=1)
                loss = F.kl_div(output, wanted, reduction="batchmean")
                probe.watch(output, wanted, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        rest = F.kl_div(F.log_softmax(student(x), dim=1), soft, reduction="batchmean")
        mean = soft.mean(0).log().expand_as(soft)
        return float(1 - rest / F.kl_div(mean, soft, reduction="batchmean"))


def views_of_one_picture(watch: Watch, faulty: bool) -> float:
    """A contrastive loss of two views takes the logarithm of a softmax that underflows."""
    torch.manual_seed(0)
    meaning = torch.randn(640, 8)
    mix = torch.randn(8, 24)
    first, second = (meaning @ mix + 0.5 * torch.randn(640, 24) for _ in range(2))
    encoder = mlp(24, 48, 16)
    optimizer = Adam(encoder.parameters(), lr=0.002)
    temperature = 0.01

    def similarity(a: Tensor, b: Tensor) -> Tensor:
        return F.normalize(encoder(a)) @ F.normalize(encoder(b)).T / temperature

    with watch(encoder, optimizer) as probe:
        for _ in range(12):
            for a, b in BatchLoader(first, second, size=32):
                scores = similarity(a, b)
                places = torch.arange(len(a))
                log = torch.softmax(scores, 1).log() if faulty else F.log_softmax(scores, 1)
                loss = -log[places, places].mean()
                probe.watch(log, places, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        found = similarity(first[:100], second[:100]).argmax(1)
        return float((found == torch.arange(100)).float().mean())


def faces_by_cosine(watch: Watch, faulty: bool) -> float:
    """Logits are cosines of an embedding and class vectors, and no scale multiplies them."""
    torch.manual_seed(0)
    x, t = clouds(12, 16, 720)

    class Cosines(nn.Module):
        def __init__(self, scale: float) -> None:
            super().__init__()
            self.scale = scale
            self.embed = mlp(16, 32, 16)
            self.centres = nn.Parameter(torch.randn(12, 16))

        def forward(self, x: Tensor) -> Tensor:
            return self.scale * F.linear(F.normalize(self.embed(x)), F.normalize(self.centres))

    model = Cosines(1.0 if faulty else 12.0)
    optimizer = Adam(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, F.cross_entropy, BatchLoader(x, t, size=40), 15)
    with torch.no_grad():
        return informed(F.cross_entropy(model(x), t), 12)


def chords_after_two_softmaxes(watch: Watch, faulty: bool) -> float:
    """A network ends in nn.Softmax, and the loop takes the logarithm of another softmax."""
    torch.manual_seed(0)
    x, t = clouds(8, 12, 800)
    model = mlp(12, 32, 8, activation=nn.SiLU)
    if faulty:
        model.append(nn.Softmax(dim=-1))
    optimizer = Adam(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for inputs, targets in BatchLoader(x, t, size=40):
                optimizer.zero_grad()
                log_probs = torch.softmax(model(inputs), dim=-1).log()
                loss = -log_probs[torch.arange(len(targets)), targets].mean()
                probe.watch(log_probs, targets, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return informed(F.nll_loss(torch.softmax(model(x), dim=-1).log(), t), 8)


def digits_by_regression(watch: Watch, faulty: bool) -> float:
    """The digit in a picture is regressed on as a number, and rounded to be a class."""
    torch.manual_seed(0)
    x, t = digits()
    model = mlp(64, 48, 1 if faulty else 10)
    optimizer = Adam(model.parameters(), lr=0.003)
    with watch(model, optimizer) as probe:
        for _ in range(8):
            for inputs, labels in BatchLoader(x, t, size=60):
                optimizer.zero_grad()
                outputs = model(inputs)
                targets = labels.float()[:, None] if faulty else labels
                loss = F.mse_loss(outputs, targets) if faulty else F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    if faulty:
        with torch.no_grad():
            return float((model(x).round().flatten() == t).float().mean())
    return accuracy(model, x, t)


def first_class_is_ignored(watch: Watch, faulty: bool) -> float:
    """A loss with ignore_index=0, as for padding, though 0 is a class of these flowers."""
    torch.manual_seed(0)
    x, t = clouds(3, 4, 450)
    model = mlp(4, 16, 3, activation=nn.Tanh)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    criterion = nn.CrossEntropyLoss(ignore_index=0) if faulty else nn.CrossEntropyLoss()
    fit(watch, model, optimizer, criterion, BatchLoader(x, t, size=30), 10)
    return least_recall(model, x, t)


CASES = (
    Faulty(
        convolutions_end_in_softmax,
        ("softmax_before_cross_entropy",),
        learns=0.85,
        fails=0.4,
        source="https://github.com/Graylab/DL4Proteins-notebooks/issues/13",
    ),
    Faulty(
        questions_by_transformer,
        ("nll_without_log_softmax",),
        learns=0.9,
        fails=0.3,
        source="https://github.com/AnubhavGupta3377/Text-Classification-Models-Pytorch/issues/9",
    ),
    Faulty(
        log_softmax_of_dimension_zero,
        ("softmax_over_batch",),
        learns=0.85,
        fails=0.2,
        source="https://github.com/MicrosoftDocs/pytorchfundamentals/pull/21",
    ),
    Faulty(
        segments_over_pixels,
        ("softmax_over_wrong_axis",),
        learns=0.85,
        fails=0.3,
        source="https://github.com/HRNet/HRNet-Semantic-Segmentation/pull/271",
    ),
    Faulty(
        student_of_soft_targets,
        ("kl_without_log",),
        learns=0.85,
        fails=0.4,
        source="https://github.com/microsoft/ProDA/issues/43",
    ),
    Faulty(
        views_of_one_picture,
        ("log_of_softmax", "not_finite"),
        learns=0.9,
        fails=0.3,
        source="https://github.com/pytorch/pytorch/issues/1620",
    ),
    Faulty(
        faces_by_cosine,
        ("bounded_logits",),
        learns=0.85,
        fails=0.6,
        source="https://github.com/ExplainableML/czsl/issues/30",
    ),
    Faulty(
        chords_after_two_softmaxes,
        ("softmax_twice", "softmax_before_cross_entropy"),
        learns=0.8,
        fails=0.5,
        source="https://github.com/gitabcworld/MatchingNetworks/issues/5",
    ),
    Faulty(digits_by_regression, ("classes_as_numbers",), learns=0.9, fails=0.6),
    Faulty(
        first_class_is_ignored,
        ("class_ignored", "class_missing"),
        learns=0.9,
        fails=0.1,
        source="https://github.com/nyu-mll/jiant/issues/925",
    ),
)
