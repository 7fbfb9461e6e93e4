"""What explain answers with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What one rule says of one run.

    sentence: what is wrong, in plain words.
    evidence: the numbers that show it, with their tags.
    remedy: overrides to add, the first choice first; alternatives behind ", or ".
    """

    sentence: str
    evidence: str
    remedy: str


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with runs of one cell.

    rule: its name.
    sentence: what is wrong, in plain words; of the run that shows it best.
    evidence: the numbers that show it, with their tags.
    remedy: overrides to add, the first choice first; alternatives behind ", or ".
    runs: names of the runs that have it.
    cell: head, loss and what else tells these runs from others; empty for a single run.
    total: how many runs the cell has.
    """

    rule: str
    sentence: str
    evidence: str
    remedy: str
    runs: Sequence[str]
    cell: str = ""
    total: int = 1

    @property
    def overrides(self) -> str:
        """The first choice of the remedy alone, as typed."""
        return self.remedy.partition(", or ")[0]

    @property
    def count(self) -> str:
        """How many runs have it, as in `9 of 10 runs`."""
        return f"{len(self.runs)} of {self.total} runs"
