"""Format of a case: a training program with a fault in one line, or a sound one that looks odd."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

BLIND = "mlr.benchmarks.programs.blind."
"""Package of the programs that were written blind."""


class Watching(Protocol):
    """An open probe, as `mlr.GradientProbe`."""

    def watch(self, logits: Tensor, targets: Tensor, loss: Tensor, /) -> None:
        """Look at a batch before its backward pass."""


class Watch(Protocol):
    """Opens the probe of a program."""

    def __call__(
        self, model: nn.Module, optimizer: Optimizer | Sequence[Optimizer], /, **options: Any
    ) -> AbstractContextManager[Watching]:
        """Open it; the options are those of GradientProbe that the program needs."""


class _Nothing:
    def watch(self, logits: Tensor, targets: Tensor, loss: Tensor, /) -> None:
        """Do nothing."""


@contextmanager
def unwatched(
    model: nn.Module, optimizer: Optimizer | Sequence[Optimizer], /, **options: Any
) -> Iterator[Watching]:
    """Open nothing: the program runs as without a probe."""
    yield _Nothing()


@dataclass(frozen=True)
class Faulty:
    """A program that fails by one line, and its corrected form.

    program: trains with the fault if its second argument is true, else corrected; returns the
        score, which a perfect model has 1 of: accuracy, R², or another share.
    faults: names of `FAULTS` that are right as the first finding; the first is that of the line.
    learns: least score of the corrected form.
    fails: largest score of the faulty one.
    source: address of the published question, issue or pull request with the same fault; None
        for a classic without one.
    """

    program: Callable[[Watch, bool], float]
    faults: tuple[str, ...]
    learns: float
    fails: float
    source: str | None = None

    @property
    def name(self) -> str:
        """Name of the program."""
        return self.program.__name__

    @property
    def blind(self) -> bool:
        """True if its writer had not seen the rules."""
        return self.program.__module__.startswith(BLIND)

    def form(self, faulty: bool) -> Callable[[Watch], float]:
        """Return the program with its fault, or corrected."""
        return lambda watch: self.program(watch, faulty)


@dataclass(frozen=True)
class LookAlike:
    """A sound program that has the looks of a faulty one.

    program: trains, and returns the score.
    learns: its least score.
    """

    program: Callable[[Watch], float]
    learns: float

    @property
    def name(self) -> str:
        """Name of the program."""
        return self.program.__name__

    @property
    def blind(self) -> bool:
        """True if its writer had not seen the rules."""
        return self.program.__module__.startswith(BLIND)
