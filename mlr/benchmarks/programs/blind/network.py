"""Programs whose network is at fault, written blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, RMSprop

from mlr.benchmarks.programs.blind.material import pictures, sequences, texts
from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import BatchLoader, accuracy, digits, fit


def dropout_left_on(watch: Watch, faulty: bool) -> float:
    """F.dropout is called without training=self.training, and never stops."""
    torch.manual_seed(0)
    x, t = sequences()

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.proj, self.place = nn.Linear(2, 24), nn.Parameter(torch.randn(8, 24))
            self.score, self.out = nn.Linear(24, 16), nn.Linear(32, 4)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.tanh(self.proj(x) + self.place)
            weights = self.score(h).softmax(1)
            mixed = (weights.transpose(1, 2) @ x).flatten(1)
            training = True if faulty else self.training
            return self.out(F.dropout(mixed, p=0.8, training=training))

    model = Attention()
    optimizer = Adam(model.parameters(), lr=0.02)
    right = 0.0
    with watch(model, optimizer) as probe:
        for _ in range(12):
            model.train()
            for inputs, targets in BatchLoader(x[140:], t[140:], size=25):
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            right = accuracy(model, x[:140], t[:140])
    return right


def unit_normal_weights(watch: Watch, faulty: bool) -> float:
    """All weights of a residual network are drawn from N(0, 1)."""
    torch.manual_seed(0)
    x, t = digits()

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(48, 48), nn.Linear(48, 48)

        def forward(self, h: Tensor) -> Tensor:
            return h + self.two(torch.relu(self.one(h)))

    model = nn.Sequential(nn.Linear(64, 48), Block(), Block(), nn.Linear(48, 10))
    for name, parameter in model.named_parameters():
        if faulty and name.endswith("weight"):
            nn.init.normal_(parameter)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.5)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 8)
    return accuracy(model, x, t)


def sign_as_activation(watch: Watch, faulty: bool) -> float:
    """Activations are binarised by torch.sign, whose gradient is 0."""
    torch.manual_seed(0)
    x, t = sequences()
    flat = x.flatten(1)

    class Binary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(16, 8), nn.Linear(8, 8)
            self.out = nn.Linear(8, 4)

        def binarised(self, h: Tensor) -> Tensor:
            bits = torch.sign(h)
            return bits if faulty else (bits - h.tanh()).detach() + h.tanh()

        def forward(self, x: Tensor) -> Tensor:
            h = self.binarised(self.two(self.binarised(self.one(x))))
            return self.out(h)

    model = Binary()
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(flat, t, size=40), 25)
    return accuracy(model, flat, t)


def frozen_random_vectors(watch: Watch, faulty: bool) -> float:
    """Embedding.from_pretrained freezes by default, and the vectors are random ones."""
    torch.manual_seed(0)
    words, t = texts()
    vectors = torch.randn(40, 3)

    class TextRNN(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding.from_pretrained(vectors, freeze=faulty)
            self.fc = nn.Linear(3, 2)

        def forward(self, words: Tensor) -> Tensor:
            return self.fc(self.embedding(words).sum(1))

    model = TextRNN()
    optimizer = Adam([p for p in model.parameters() if p.requires_grad], lr=0.02)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(words, t, size=40), 12)
    return accuracy(model, words, t)


def statistics_never_tracked(watch: Watch, faulty: bool) -> float:
    """Batch norm has a momentum of 0, so that its running statistics stay at 0 and 1."""
    torch.manual_seed(0)
    x, t = pictures()
    x = 64 * x
    momentum = 0.0 if faulty else 0.1
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8, eps=0.001, momentum=momentum),
        nn.ReLU(),
        nn.Conv2d(8, 12, 3, stride=2, bias=False),
        nn.BatchNorm2d(12, eps=0.001, momentum=momentum),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(108, 10),
    )
    optimizer = RMSprop(model.parameters(), lr=0.003)
    right = 0.0
    with watch(model, optimizer) as probe:
        for _ in range(5):
            model.train()
            for images, labels in BatchLoader(x[300:], t[300:], size=50):
                optimizer.zero_grad()
                outputs = model(images)
                loss = F.cross_entropy(outputs, labels)
                probe.watch(outputs, labels, loss)
                loss.backward()
                optimizer.step()
            right = accuracy(model, x[:300], t[:300])
    return right


def cut_by_a_new_tensor(watch: Watch, faulty: bool) -> float:
    """The states of a hand-written recurrence are put into a new tensor, which cuts the graph."""
    torch.manual_seed(0)
    x, t = sequences(400, length=5)

    class Recurrence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.GRUCell(2, 12)
            self.out = nn.Linear(12, 4)

        def forward(self, x: Tensor) -> Tensor:
            state = torch.zeros(len(x), 12)
            for step in range(x.shape[1]):
                state = self.cell(x[:, step], state)
            return self.out(torch.tensor(state.tolist()) if faulty else state)

    model = Recurrence()
    optimizer = Adam(model.parameters(), lr=0.03)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=20), 12)
    return accuracy(model, x, t)


CASES = (
    Faulty(
        dropout_left_on,
        ("train_in_evaluation",),
        learns=0.95,
        fails=0.84,
        source="https://github.com/rixwew/pytorch-fm/issues/21",
    ),
    Faulty(
        unit_normal_weights,
        ("start_too_large",),
        learns=0.9,
        fails=0.4,
        source="https://github.com/microsoft/AI-For-Beginners/pull/743",
    ),
    Faulty(
        sign_as_activation,
        ("zero_gradient_function", "graph_cut"),
        learns=0.9,
        fails=0.6,
        source="https://github.com/zzzxxxttt/pytorch_DoReFaNet/issues/8",
    ),
    Faulty(
        frozen_random_vectors,
        ("frozen",),
        learns=0.95,
        fails=0.75,
        source="https://github.com/RUCAIBox/RecBole/issues/2027",
    ),
    Faulty(
        statistics_never_tracked,
        ("statistics_not_tracked",),
        learns=0.9,
        fails=0.78,
        source="https://github.com/Cadene/pretrained-models.pytorch/issues/5",
    ),
    Faulty(
        cut_by_a_new_tensor,
        ("graph_cut",),
        learns=0.9,
        fails=0.65,
        source="https://github.com/Ugenteraan/Deep_Hierarchical_Classification/issues/6",
    ),
)
