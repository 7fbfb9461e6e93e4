"""Judgement of remedies of a program by the scores of its trainings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import nan

from mlr.analysis.explain.facts import HARDLY_BETTER
from mlr.analysis.explain.gain import (
    NO_BETTER,
    SO_FAR,
    corrected,
    gains,
    is_much,
    is_worse,
    verdict,
)
from mlr.analysis.explain.trial import Judgement, TriedRemedy
from mlr.analysis.ranking import mean_and_std
from mlr.remedies.score import NUMBERS, UNKNOWN, Score, Task

Scores = Mapping[str, Mapping[int, Score]]
"""By remedy, that of the base under the empty text, and by seed."""


def judge(
    scores: Scores,
    refused: Mapping[str, str],
    task: Task,
    split: str,
    examples: float,
    constant: Score,
    general: bool = False,
) -> Judgement:
    """Judge remedies: by accuracy or explained variance, and by cross-entropy where those agree.

    Args:
        scores: of all trainings.
        refused: reasons by remedies that cannot be trained.
        task: of the program.
        split: train or val.
        examples: by which an accuracy is judged.
        constant: score of the best constant, than which a remedy must be better.
        general: True for remedies that no finding suggests, of which a lower cross-entropy alone
            is no gain: a larger rate has it in most programs.
    """
    tag, read, share = _measure(task, split)
    values = {code: _by_seed(found, read) for code, found in scores.items()}
    before = values.pop("")
    p = corrected(before, values, share)
    entropy = {code: _by_seed(found, lambda one: one.nats) for code, found in scores.items()}
    entropy_before = entropy.pop("")
    falls_back = share and not general
    entropy_p = corrected(entropy_before, entropy, False) if falls_back else {}
    remedies, cost = [], means(scores, task)
    least = means({"": {0: constant}}, task)[""]
    for code, after in values.items():
        if code in refused or not after:
            continue
        found = gains(before, after, share)
        helps, text = verdict(
            found, p[code], is_much(_mean(before), _mean(after), share, examples), SO_FAR
        )
        one = TriedRemedy(code, tag, *_spread(after, task), helps, text, _known(p[code]))
        if falls_back and not helps and not is_worse(found, p[code]) and entropy[code]:
            other, own_p = entropy[code], entropy_p[code]
            much = is_much(_mean(entropy_before), _mean(other), False, examples)
            helps, text = verdict(gains(entropy_before, other, False), own_p, much, SO_FAR)
            if helps:
                spread = mean_and_std(list(other.values()))
                was = _mean(entropy_before)
                text = f"{text}, from {was:.3g}"
                one = TriedRemedy(code, f"cross-entropy/{split}", *spread, helps, text, own_p)
        if one.helps and not _learns(cost[code], least):
            one = replace(one, helps=False, text=f"{SO_FAR}: {NO_BETTER}")
        remedies.append(one)
    best = _best([one for one in remedies if one.helps], cost, examples if share else 0)
    remedies += [
        TriedRemedy(code, tag, nan, nan, False, f"cannot be trained: {reason}")
        for code, reason in refused.items()
    ]
    return Judgement(tag, *_spread(before, task), "", remedies, best)


def _learns(cost: tuple[float, float], constant: tuple[float, float]) -> bool:
    """Return True if a measure is better than that of a constant."""
    return any(own < HARDLY_BETTER * other for own, other in zip(cost, constant, strict=True))


def _best(
    helping: list[TriedRemedy], cost: Mapping[str, tuple[float, float]], examples: float
) -> str:
    """Return the first remedy that no other one is much better than; empty for none."""
    best = ""
    for one in helping:
        if not best:
            best = one.remedy
            continue
        old, new = cost[best], cost[one.remedy]
        if examples:
            better = is_much(1 - old[0], 1 - new[0], True, examples)
            worse = is_much(1 - new[0], 1 - old[0], True, examples)
            better = better or (not worse and is_much(old[1], new[1], False, examples))
        else:
            better = is_much(old[0], new[0], False, 1)
        best = one.remedy if better else best
    return best


def means(scores: Scores, task: Task) -> dict[str, tuple[float, float]]:
    """Return the mean cost of each remedy, and of the base.

    It is the share of errors, the unexplained variance or the loss; then the cross-entropy.
    """
    _, read, share = _measure(task, "")
    found = {}
    for code, own in scores.items():
        if values := _by_seed(own, read):
            mean = _mean(values)
            entropy = _mean(_by_seed(own, lambda one: one.nats))
            found[code] = (1 - mean if share else mean, entropy)
    return found


def _measure(task: Task, split: str) -> tuple[str, Callable[[Score], float], bool]:
    """Return the tag of the first measure, how to read it, and if it is an accuracy."""
    if task.kind == NUMBERS:
        return f"explained variance/{split}", lambda one: one.rest, False
    if task.kind == UNKNOWN:
        return f"loss/{split}", lambda one: one.loss, False
    over = ", mean over classes" if task.balanced else ""
    return f"accuracy/{split}{over}", lambda one: one.right, True


def _by_seed(found: Mapping[int, Score], read: Callable[[Score], float]) -> dict[int, float]:
    return {seed: value for seed, one in found.items() if (value := read(one)) == value}


def _mean(values: Mapping[int, float]) -> float:
    return mean_and_std(list(values.values()))[0] if values else nan


def _spread(values: Mapping[int, float], task: Task) -> tuple[float, float]:
    """Return mean and standard deviation; of the explained variance in place of the rest."""
    if not values:
        return nan, nan
    mean, std = mean_and_std(list(values.values()))
    return (1 - mean, std) if task.kind == NUMBERS else (mean, std)


def _known(p: float) -> float | None:
    return None if p != p else p
