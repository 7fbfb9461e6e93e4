"""Judgement of remedies that were trained: which of them help, and which is best.

A remedy is compared with the run as it is, seed by seed: a paired t-test as in `compare`, with
Holm's correction for the number of remedies. The number is that of the ranking, on validation
data, or on test data without any. Where accuracies do not differ, the loss decides, if it is the
same one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, log, nan, sqrt

import numpy as np

from mlr.analysis.compare.significance import FEWEST, LEVEL, holm
from mlr.analysis.compare.student import two_sided_p
from mlr.analysis.explain.diagnose import CURED
from mlr.analysis.explain.facts import Facts
from mlr.analysis.explain.findings import OR, Diagnosis
from mlr.analysis.formatting import with_spread
from mlr.analysis.ranking import (
    LOSS,
    by_loss,
    by_seed,
    chosen,
    final,
    is_higher_better,
    mean_and_std,
    shared_metric,
    standing,
)
from mlr.records.reading import Recorded
from mlr.records.status import FINISHED

COARSE = 0.005
"""Least standard deviation of differences of accuracies, which are counts of few examples."""
AS_IT_IS, NONE = "as it is", "none of them helps"
IN_VAIN = "tried, does not help"


@dataclass(frozen=True)
class TriedRemedy:
    """Judgement on one remedy.

    remedy: overrides.
    tag: the number that decided.
    mean: of the runs with the remedy; NaN without a number.
    std: over seeds.
    helps: True if it is recommended.
    text: the judgement in words.
    p: of the difference from the run as it is; None without a test.
    """

    remedy: str
    tag: str
    mean: float
    std: float
    helps: bool
    text: str
    p: float | None = None


@dataclass(frozen=True)
class Judgement:
    """TriedRemedys on all remedies of a run.

    tag: the number that ranks.
    mean: of the run as it is; NaN if no run came to its end.
    std: over seeds.
    lost: text on runs as it is that came to no end; empty for none.
    verdicts: by remedy, in the order of the findings.
    best: the remedy that helps most; empty if none helps.
    """

    tag: str
    mean: float
    std: float
    lost: str
    verdicts: Sequence[TriedRemedy]
    best: str


def candidates(found: Sequence[Diagnosis]) -> list[str]:
    """List the remedies of diagnoses, the first choices first, then those to spare."""
    first = [remedy for one in found for remedy in one.remedy.split(OR)]
    spare = [remedy for one in found for each in one.findings[:1] for remedy in each.spare]
    return [remedy for remedy in dict.fromkeys((*first, *spare)) if remedy]


def judge(
    control: Sequence[Recorded],
    tried: Mapping[str, Sequence[Recorded]],
    refused: Mapping[str, str] | None = None,
) -> Judgement:
    """Judge remedies by their runs.

    Args:
        control: runs as it is, one a seed, as long as the others.
        tried: runs by remedy, of the same seeds.
        refused: reasons by the remedies that cannot be trained.
    """
    metric = shared_metric([control, *tried.values()])
    tag = _validated(metric, control, *tried.values())
    mean, std = _spread(control, tag)
    p = _corrected(control, tried, tag)
    falls_back = is_higher_better(tag)
    loss = _validated(LOSS, control, *tried.values())
    by_loss_p = _corrected(control, tried, loss) if falls_back else {}
    verdicts = []
    for remedy, runs in tried.items():
        one = _verdict(remedy, control, runs, tag, p[remedy])
        same = len(by_loss([*control, *runs])) == 1
        if falls_back and same and not one.helps and not _is_worse(control, runs, tag, p[remedy]):
            other = _verdict(remedy, control, runs, loss, by_loss_p[remedy])
            one = other if other.helps else one
        verdicts.append(one)
    helping = [one.remedy for one in verdicts if one.helps]
    best = helping[chosen([tried[remedy] for remedy in helping], tag)[0]] if helping else ""
    verdicts += [
        TriedRemedy(remedy, tag, nan, nan, False, f"cannot be trained: {reason}")
        for remedy, reason in (refused or {}).items()
    ]
    return Judgement(tag, mean, std, _lost(control), verdicts, best)


def _validated(metric: str, *groups: Sequence[Recorded]) -> str:
    """Return the tag of the validation split if every run has it, else `metric`."""
    tag = f"{metric.rpartition('/')[0]}/val"
    done = [run for runs in groups for run in runs if run.status == "done"]
    return tag if done and all(final(run, tag) is not None for run in done) else metric


def _gains(control: Sequence[Recorded], runs: Sequence[Recorded], tag: str) -> list[float]:
    """List the gains by the remedy over the seeds of both; of losses, log of before / after.

    A few seeds can have very large losses, which hide the gain of all the others.
    """
    before, after = by_seed(control, tag), by_seed(runs, tag)
    pairs = [(before[seed], after[seed]) for seed in before if seed in after]
    if is_higher_better(tag):
        return [new - old for old, new in pairs]
    if all(value > 0 for pair in pairs for value in pair):
        return [log(old / new) for old, new in pairs]
    return [old - new for old, new in pairs]


def _corrected(
    control: Sequence[Recorded], tried: Mapping[str, Sequence[Recorded]], tag: str
) -> dict[str, float]:
    """Compute p by remedy, corrected for their number; NaN for too few common seeds."""
    p = holm(np.array([_p(_gains(control, runs, tag), tag) for runs in tried.values()]))
    return dict(zip(tried, p.tolist(), strict=True))


def _p(gains: Sequence[float], tag: str) -> float:
    """Compute the p of a paired t-test; 0 for a difference that no seed changes."""
    if len(gains) < FEWEST:
        return nan
    mean, std = mean_and_std(gains)
    std = max(std, COARSE if is_higher_better(tag) else 0.0)
    if std == 0:
        return 1.0 if mean == 0 else 0.0
    t, freedom = np.array([abs(mean) / std * sqrt(len(gains))]), np.array([len(gains) - 1.0])
    return float(two_sided_p(t, freedom)[0])


def _verdict(
    remedy: str, control: Sequence[Recorded], runs: Sequence[Recorded], tag: str, p: float
) -> TriedRemedy:
    mean, std = _spread(runs, tag)
    before = _spread(control, tag)[0]
    if standing(runs, tag).behind:
        return TriedRemedy(remedy, tag, mean, std, False, f"{IN_VAIN}: {_lost(runs)}")
    if standing(control, tag).behind:
        learned = not sum(Facts(run).unlearned for run in runs) > len(runs) / 2
        text = "helps" if learned else f"{IN_VAIN}: hardly better than a constant prediction"
        return TriedRemedy(remedy, tag, mean, std, learned, text)
    gains = _gains(control, runs, tag)
    helps = p <= LEVEL and sum(gains) > 0 and _left(tag, before, mean)
    known = p if p == p else None
    sure = "" if known is None else f" (p {'< 1e-6' if p < 1e-6 else f'= {p:.1g}'})"
    return TriedRemedy(
        remedy, tag, mean, std, helps, f"{'helps' if helps else IN_VAIN}{sure}", known
    )


def _left(tag: str, before: float, after: float) -> bool:
    """Return True if a remedy leaves at most `CURED` of the errors, or of the loss."""
    if is_higher_better(tag):
        before, after = 1 - before, 1 - after
    return before <= 0 or after <= CURED * before


def _is_worse(control: Sequence[Recorded], runs: Sequence[Recorded], tag: str, p: float) -> bool:
    return standing(runs, tag).behind or (p <= LEVEL and sum(_gains(control, runs, tag)) < 0)


def _spread(runs: Sequence[Recorded], tag: str) -> tuple[float, float]:
    values = list(by_seed(runs, tag).values())
    return mean_and_std(values) if values else (nan, nan)


def _lost(runs: Sequence[Recorded]) -> str:
    lost = [run for run in runs if run.status != "done"]
    status = "diverged" if all(run.status in FINISHED for run in lost) else "failed"
    return f"{len(lost)} of {len(runs)} runs {status}" if lost else ""


def report(judgement: Judgement, updates: str, seeds: Sequence[int]) -> list[str]:
    """Write the lines on remedies that were tried.

    Args:
        judgement: of them.
        updates: how long they were trained, as in `560 updates`.
        seeds: of the runs.
    """
    names = [AS_IT_IS, *(one.remedy for one in judgement.verdicts)]
    wide = max(map(len, names))
    which = f"seeds {', '.join(map(str, seeds))}"
    lines = [f"{'tried':<10}{updates}, {which}; {judgement.tag}:"]
    start = _value(judgement.tag, judgement.mean, judgement.std)
    own = [text for text in (start, judgement.lost) if text]
    lines.append(f"  {AS_IT_IS:<{wide}}  {'  '.join(own)}")
    for one in judgement.verdicts:
        value = _value(one.tag, one.mean, one.std)
        tag = f"{one.tag} " if one.tag != judgement.tag else ""
        lines.append(f"  {one.remedy:<{wide}}  {tag}{value}{'  ' if value else ''}{one.text}")
    lines.append(f"{'best':<10}{judgement.best or NONE}")
    return lines


def _value(tag: str, mean: float, std: float) -> str:
    return with_spread(mean, std, share=is_higher_better(tag)) if isfinite(mean) else ""
