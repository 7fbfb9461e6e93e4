"""The answers of explain: findings of single runs, and diagnoses that hold for several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Number = tuple[float, Callable[[float], str]]
"""A number of one run, and how it is written."""
OR = ", or "
"""Between the alternatives of a remedy."""


@dataclass(frozen=True)
class Finding:
    """The answer of one rule for one run.

    said: what is wrong, in plain words; `{name}` stands for a number.
    evidence: the numbers that show it, with their tags.
    remedy: overrides to add, the first choice first; alternatives behind ", or ".
    numbers: by name, those of the sentence: several runs are told their range.
    of_many: the sentence for several runs, where it is another one.
    spare: further remedies, for where those before them have been tried in vain.
    """

    said: str
    evidence: str
    remedy: str
    numbers: Mapping[str, Number] = field(default_factory=dict)
    of_many: str = ""
    spare: Sequence[str] = ()

    @property
    def sentence(self) -> str:
        """The sentence for this run."""
        return sentence([self])


def sentence(findings: Sequence[Finding]) -> str:
    """One sentence that is true of every run it is about: numbers that differ are a range.

    Args:
        findings: of equal `kind`.
    """
    first = findings[0]
    said = first.of_many if len(findings) > 1 and first.of_many else first.said
    names = first.numbers
    return said.format(**{name: _range([one.numbers[name] for one in findings]) for name in names})


def kind(one: Finding) -> str:
    """The text that findings must share for one sentence to hold for all of them."""
    return one.of_many or one.said


def _range(numbers: Sequence[Number]) -> str:
    """The smallest and the largest as they are written; one of them where they read the same."""
    write = numbers[0][1]
    values = [value for value, _ in numbers]
    low, high = write(min(values)), write(max(values))
    if low == high:
        return low
    return f"{low.removesuffix(' %')} to {high}"


@dataclass(frozen=True)
class Diagnosis:
    """A fault of runs of one cell.

    rule: its name.
    sentence: what is wrong, in plain words; true of each of the runs.
    evidence: the numbers that show it, with their tags; of several runs those of the first.
    remedy: overrides to add, the first choice first; alternatives behind ", or ".
    runs: names of the runs that have it.
    cell: head, loss and what else tells these runs from others; empty for a single run.
    total: how many runs the cell has.
    findings: what was found in each of the runs.
    """

    rule: str
    sentence: str
    evidence: str
    remedy: str
    runs: Sequence[str]
    cell: str = ""
    total: int = 1
    findings: Sequence[Finding] = ()

    @property
    def overrides(self) -> str:
        """The first choice of the remedy alone, as typed."""
        return self.remedy.partition(OR)[0]

    @property
    def count(self) -> str:
        """How many runs have it, as in `9 of 10 runs`."""
        return f"{len(self.runs)} of {self.total} runs"
