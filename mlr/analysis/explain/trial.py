"""Judgement of remedies that were trained: which of them help, and which is best.

A remedy is compared with the run as it is, seed by seed: a paired t-test as in `compare`, with
Holm's correction for the number of remedies. The number is that of the ranking, on validation
data, or on test data without any. Where accuracies do not differ, the loss decides, if it is the
same one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan

from mlr.analysis.explain.facts import Facts
from mlr.analysis.explain.gain import (
    IN_VAIN,
    NO_BETTER,
    SO_FAR,
    corrected,
    gains,
    is_much,
    is_worse,
    verdict,
)
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
from mlr.diagnosis.findings import OR, Diagnosis
from mlr.records.reading import Recorded
from mlr.records.status import FINISHED

AS_IT_IS = "as it is"


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
    """Judgement on all remedies of a run.

    tag: the number that ranks.
    mean: of the run as it is; NaN if no run came to its end.
    std: over seeds.
    lost: text on runs as it is that came to no end; empty for none.
    remedies: each of them judged, in the order of the findings.
    best: the remedy that helps most; empty if none helps.
    """

    tag: str
    mean: float
    std: float
    lost: str
    remedies: Sequence[TriedRemedy]
    best: str


def candidates(found: Sequence[Diagnosis]) -> list[str]:
    """List the remedies of diagnoses, the first choices first, then those to spare."""
    first = [remedy for one in found for remedy in one.remedy.split(OR)]
    spare = [remedy for one in found for each in one.findings[:1] for remedy in each.spare]
    return [remedy for remedy in dict.fromkeys((*first, *spare)) if remedy]


def judge(
    control: Sequence[Recorded],
    tried: Mapping[str, Sequence[Recorded]],
    examples: int,
    refused: Mapping[str, str] | None = None,
    whole: bool = True,
) -> Judgement:
    """Judge remedies by their runs.

    Args:
        control: runs as it is, one a seed, as long as the others.
        tried: runs by remedy, of the same seeds.
        examples: of the split that decides.
        refused: reasons by the remedies that cannot be trained.
        whole: False if the runs had a part of their updates only.
    """
    in_vain = IN_VAIN if whole else SO_FAR
    metric = shared_metric([control, *tried.values()])
    tag = _validated(metric, control, *tried.values())
    mean, std = _spread(control, tag)
    p = _corrected(control, tried, tag)
    falls_back = is_higher_better(tag)
    loss = _validated(LOSS, control, *tried.values())
    by_loss_p = _corrected(control, tried, loss) if falls_back else {}
    remedies = []
    for remedy, runs in tried.items():
        one = _judged(remedy, control, runs, tag, p[remedy], examples, in_vain)
        same = len(by_loss([*control, *runs])) == 1
        if falls_back and same and not one.helps and not _is_worse(control, runs, tag, p[remedy]):
            other = _judged(remedy, control, runs, loss, by_loss_p[remedy], examples, in_vain)
            one = other if other.helps else one
        remedies.append(one)
    helping = [one.remedy for one in remedies if one.helps]
    best = helping[chosen([tried[remedy] for remedy in helping], tag)[0]] if helping else ""
    remedies += [
        TriedRemedy(remedy, tag, nan, nan, False, f"cannot be trained: {reason}")
        for remedy, reason in (refused or {}).items()
    ]
    return Judgement(tag, mean, std, _lost(control), remedies, best)


def _validated(metric: str, *groups: Sequence[Recorded]) -> str:
    """Return the tag of the validation split if every run has it, else `metric`."""
    tag = f"{metric.rpartition('/')[0]}/val"
    done = [run for runs in groups for run in runs if run.status == "done"]
    return tag if done and all(final(run, tag) is not None for run in done) else metric


def _judged(
    remedy: str,
    control: Sequence[Recorded],
    runs: Sequence[Recorded],
    tag: str,
    p: float,
    examples: int,
    in_vain: str,
) -> TriedRemedy:
    numbers = (remedy, tag, *_spread(runs, tag))
    found = _gains(control, runs, tag)
    if standing(runs, tag).behind:
        return TriedRemedy(*numbers, False, f"{in_vain}: {_lost(runs)}")
    if standing(control, tag).behind and not is_worse(found, p):
        helps = not sum(Facts(run).unlearned for run in runs) > len(runs) / 2
        text = "helps" if helps else f"{in_vain}: {NO_BETTER}"
        return TriedRemedy(*numbers, helps, text)
    before, after = (_spread(each, tag)[0] for each in (control, runs))
    share = is_higher_better(tag)
    helps, text = verdict(found, p, is_much(before, after, share, examples), in_vain)
    return TriedRemedy(*numbers, helps, text, None if p != p else p)


def _gains(control: Sequence[Recorded], runs: Sequence[Recorded], tag: str) -> list[float]:
    return gains(by_seed(control, tag), by_seed(runs, tag), is_higher_better(tag))


def _corrected(
    control: Sequence[Recorded], tried: Mapping[str, Sequence[Recorded]], tag: str
) -> dict[str, float]:
    after = {remedy: by_seed(runs, tag) for remedy, runs in tried.items()}
    return corrected(by_seed(control, tag), after, is_higher_better(tag))


def _is_worse(control: Sequence[Recorded], runs: Sequence[Recorded], tag: str, p: float) -> bool:
    return standing(runs, tag).behind or is_worse(_gains(control, runs, tag), p)


def _spread(runs: Sequence[Recorded], tag: str) -> tuple[float, float]:
    values = list(by_seed(runs, tag).values())
    return mean_and_std(values) if values else (nan, nan)


def _lost(runs: Sequence[Recorded]) -> str:
    lost = [run for run in runs if run.status != "done"]
    status = "diverged" if all(run.status in FINISHED for run in lost) else "failed"
    return f"{len(lost)} of {len(runs)} runs {status}" if lost else ""


def report(judgement: Judgement, header: str, base: str = "") -> list[str]:
    """Write the lines on remedies that were tried, under a header.

    Args:
        judgement: of them.
        header: how they were trained, as in `560 updates, seeds 0 to 7`.
        base: the remedy on top of which they were tried; empty for the run as it is.
    """
    base = base or AS_IT_IS
    wide = max(map(len, (base, *(one.remedy for one in judgement.remedies))))
    start = _value(judgement.tag, judgement.mean, judgement.std)
    rows = [(base, start, judgement.lost)]
    for one in judgement.remedies:
        value = _value(one.tag, one.mean, one.std)
        tag = f"{one.tag} " if one.tag != judgement.tag else ""
        rows.append((one.remedy, f"{tag}{value}", one.text))
    lines = [
        "  ".join(filter(None, (f"  {name:<{wide}}", value, text))) for name, value, text in rows
    ]
    return [f"{header}; {judgement.tag}:", *lines]


def listed(seeds: Sequence[int]) -> str:
    """Write seeds, as `seeds 0 to 7`."""
    first, last = seeds[0], seeds[-1]
    in_order = list(seeds) == list(range(first, last + 1))
    return f"seeds {first} to {last}" if in_order else f"seeds {', '.join(map(str, seeds))}"


def _value(tag: str, mean: float, std: float) -> str:
    return with_spread(mean, std, share=is_higher_better(tag)) if isfinite(mean) else ""
