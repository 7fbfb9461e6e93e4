"""Findings in single runs, and diagnoses of several runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlr.core.text import approx_percent

OR = ", or "
"""Separator of the alternatives of a remedy."""
_NUMBER = re.compile(r"\{(\w+):([^{}]*)\}")


@dataclass(frozen=True)
class Finding:
    """Fault of one run, found by one rule.

    template: the sentence; `{name:.3g}` stands for a number, `{name:%}` for a share.
    evidence: numbers that show the fault, with their tags.
    remedy: overrides to add, the first choice first, alternatives after ", or "; for a program of a
        user's own, a line of code.
    numbers: numbers of the sentence by name; a sentence on several runs has their range.
    of_many: template for several runs if it is a different one.
    spare: further remedies in case the others have been tried in vain.
    certain: False if the fault is only likely.
    """

    template: str
    evidence: str
    remedy: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    of_many: str = ""
    spare: Sequence[str] = ()
    certain: bool = True

    @property
    def sentence(self) -> str:
        """Sentence on this run."""
        return sentence([self])

    @property
    def kind(self) -> str:
        """Template that findings must share to be put into one sentence."""
        return self.of_many or self.template


def sentence(findings: Sequence[Finding]) -> str:
    """Write one sentence on findings of equal `kind`; numbers that differ become a range."""

    def written(place: re.Match[str]) -> str:
        name, spec = place.groups()
        if name not in findings[0].numbers:  # names that others gave may hold braces
            return place[0]
        values = [one.numbers[name] for one in findings]
        ends = (min(values), max(values))
        low, high = map(approx_percent, ends) if spec == "%" else (f"{one:{spec}}" for one in ends)
        return low if low == high else f"{low.removesuffix(' %')} to {high}"

    return _NUMBER.sub(written, findings[0].kind if len(findings) > 1 else findings[0].template)


@dataclass(frozen=True)
class Diagnosis:
    """Fault of several runs of one seed group, with a sentence that is true of each of them."""

    rule: str
    sentence: str
    evidence: str
    """as of a finding; of several runs that of the first"""
    remedy: str
    runs: Sequence[str]
    """names of the runs that have the fault"""
    cell: str = ""
    """name of the seed group; empty for a single run"""
    total: int = 1
    """number of runs in the group"""
    findings: Sequence[Finding] = ()

    @property
    def certain(self) -> bool:
        """True if no finding is only likely."""
        return all(one.certain for one in self.findings)

    @property
    def count(self) -> str:
        """Number of runs that have it, as in `9 of 10 runs`."""
        return f"{len(self.runs)} of {self.total} runs"
