"""Findings in single runs, and diagnoses of several runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Number = tuple[float, Callable[[float], str]]
"""A number of one run, and the function that writes it."""
OR = ", or "
"""Separator of the alternatives of a remedy."""


@dataclass(frozen=True)
class Finding:
    """Fault of one run, found by one rule.

    template: the sentence; `{name}` stands for a number.
    evidence: numbers that show the fault, with their tags.
    remedy: overrides to add, the first choice first; alternatives after ", or ".
    numbers: numbers of the sentence by name; a sentence on several runs has their range.
    of_many: template for several runs if it is a different one.
    spare: further remedies in case the others have been tried in vain.
    """

    template: str
    evidence: str
    remedy: str
    numbers: Mapping[str, Number] = field(default_factory=dict)
    of_many: str = ""
    spare: Sequence[str] = ()

    @property
    def sentence(self) -> str:
        """Sentence on this run."""
        return sentence([self])


def sentence(findings: Sequence[Finding]) -> str:
    """Write one sentence on several runs: numbers that differ become a range.

    Args:
        findings: of equal `kind`.
    """
    first = findings[0]
    template = first.of_many if len(findings) > 1 and first.of_many else first.template
    names = first.numbers
    return template.format(
        **{name: _range([one.numbers[name] for one in findings]) for name in names}
    )


def kind(one: Finding) -> str:
    """Return the template that findings must share to be put into one sentence."""
    return one.of_many or one.template


def _range(numbers: Sequence[Number]) -> str:
    """Write the smallest and the largest number; only one if they read the same."""
    write = numbers[0][1]
    values = [value for value, _ in numbers]
    low, high = write(min(values)), write(max(values))
    if low == high:
        return low
    return f"{low.removesuffix(' %')} to {high}"


@dataclass(frozen=True)
class Diagnosis:
    """Fault of several runs of one seed group.

    rule: name of the rule.
    sentence: true of each of the runs.
    evidence: numbers that show the fault, with their tags; of several runs those of the first.
    remedy: overrides to add, the first choice first; alternatives after ", or ".
    runs: names of the runs that have the fault.
    cell: name of the seed group; empty for a single run.
    total: number of runs in the group.
    findings: of each of the runs.
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
        """First choice of the remedy, as typed."""
        return self.remedy.partition(OR)[0]

    @property
    def count(self) -> str:
        """Number of runs that have it, as in `9 of 10 runs`."""
        return f"{len(self.runs)} of {self.total} runs"
