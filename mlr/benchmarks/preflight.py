"""Cost of `mlr.check`: its time, compared with a step of the training that it precedes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from statistics import median

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from mlr.analysis.check import check
from mlr.benchmarks.rows import BenchmarkRow, Ratio, duration, rounds, worked

STEPS = 5
"""Steps that are timed at once; the promised number, too."""
SECONDS = 1.0
BATCH = 128


class ResidualBlock(nn.Module):
    """Two convolutions with batch normalisation, and the input added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            convolution = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(channels), nn.ReLU()]
        self.body = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum (B, C, H, W), and 0 where it is negative."""
        return torch.relu(x + self.body(x))


def mlp() -> nn.Module:
    """Build an MLP 784-256-256-10."""
    return nn.Sequential(
        *(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
    )


def resnet() -> nn.Module:
    """Build a ResNet of three blocks of 16 channels for images (3, 32, 32)."""
    blocks = [ResidualBlock(16) for _ in range(3)]
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), *blocks, *head)


def sgd(model: nn.Module) -> Optimizer:
    """Build SGD with momentum."""
    return SGD(model.parameters(), lr=0.1, momentum=0.9)


def adam(model: nn.Module) -> Optimizer:
    """Build Adam."""
    return Adam(model.parameters(), lr=1e-3)


CASES: Mapping[str, tuple[Callable[[], nn.Module], Callable[[nn.Module], Optimizer], list[int]]] = {
    "MLP 784-256-256-10, batch 128, SGD": (mlp, sgd, [784]),
    "MLP 784-256-256-10, batch 128, Adam": (mlp, adam, [784]),
    "ResNet of 3 blocks, 32×32, batch 128, Adam": (resnet, adam, [3, 32, 32]),
}


def rows(repeats: int) -> Iterator[BenchmarkRow]:
    """Compare a check with the steps of a plain loop, by CPU time on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # others spin while they wait, and that counts as CPU time
    try:
        yield from _compared(repeats)
    finally:
        torch.set_num_threads(threads)


def _compared(repeats: int) -> Iterator[BenchmarkRow]:
    for title, (make, optimizer_of, shape) in CASES.items():
        torch.manual_seed(0)
        model = make()
        optimizer = optimizer_of(model)
        batch = torch.rand(BATCH, *shape), torch.randint(0, 10, (BATCH,))
        loss = nn.CrossEntropyLoss()

        def step(
            model: nn.Module = model,
            optimizer: Optimizer = optimizer,
            batch: tuple[Tensor, Tensor] = batch,
            loss: nn.Module = loss,
        ) -> None:
            for _ in range(STEPS):
                optimizer.zero_grad()
                loss(model(batch[0]), batch[1]).backward()
                optimizer.step()

        def look(
            model: nn.Module = model,
            optimizer: Optimizer = optimizer,
            batch: tuple[Tensor, Tensor] = batch,
            loss: nn.Module = loss,
        ) -> None:
            check(model, loss, batch, optimizer)

        own, plain = rounds([worked(look), worked(step)], repeats)
        one = [seconds / STEPS for seconds in plain]
        took = median(own)
        yield BenchmarkRow(
            f"check of an {title}" if title.startswith("M") else f"check of a {title}",
            duration(took),
            f"{duration(median(one))} a step",
            Ratio.of(own, one),
            " steps",
            most=STEPS,
        )
        yield BenchmarkRow("  in seconds", value=took, unit=" s", most=SECONDS)
