"""Legal pairs of head and loss, judged before torch is imported.

A pair is undefined where predictions can leave the loss's domain: it never runs. It is
senseless where each prediction is fine but together they are no distribution (K sigmoid
outputs with cross-entropy): it runs with `strict=False`, to be watched failing.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlr.core.checks import InputError, known
from mlr.core.domains import (
    REALS,
    UNIT,
    Densities,
    DirichletMeans,
    Distributions,
    Interval,
    Levels,
    Region,
)
from mlr.heads import HEADS, ClippedLinear, Head, Linear, Sigmoid, Softmax
from mlr.losses import (
    LOSSES,
    OTHER_NAMES,
    BinaryCrossEntropy,
    CrossEntropy,
    Loss,
    SquaredError,
)

ADVISED_HEADS: tuple[Head, ...] = (Softmax(), Sigmoid(), ClippedLinear(), Linear())
ADVISED_LOSSES: tuple[Loss, ...] = (CrossEntropy(), BinaryCrossEntropy(), SquaredError())
"""Heads and losses that an error names, the best first; a sentence does not hold all."""
USUAL_LOSSES: Mapping[str, str] = {
    **{"linear": "se", "clipped_linear": "se"},
    **{"sigmoid": "bce", "hard_sigmoid": "bce", "probit": "bce", "cloglog": "bce"},
    **{"softmax": "ce", "sparsemax": "matching", "entmax15": "matching"},
    "evidential": "evidential_se",
    **{"cumulative": "ordinal_nll", "coral": "bce", "corn": "ordinal_nll"},
    **{"gaussian": "gaussian_nll", "poisson": "nll", "negative_binomial": "nll"},
    **{"laplace": "nll", "student_t": "nll", "gamma": "nll", "log_normal": "nll"},
    **{"beta": "nll", "mdn": "nll", "quantiles": "quantile_score"},
}
"""By head, the loss that it is trained with where none is chosen."""


def usual_loss(head: str) -> str:
    """The name of the loss that a head of this name is usually trained with.

    For a head that is not mlr's own it is the loss that matches it, if it has a potential.
    """
    return USUAL_LOSSES.get(head, "matching")


def find_head(head: Head | str) -> Head:
    """The head of that name, or the head itself.

    Raises:
        InputError: no head has that name; the known ones are listed.
    """
    heads = {one.name: one for one in HEADS}
    return heads[known("head", head, heads)]() if isinstance(head, str) else head


def find_loss(loss: Loss | str) -> Loss:
    """The loss of that name, or the loss itself.

    Raises:
        InputError: no loss has that name; the known ones are listed.
    """
    if not isinstance(loss, str):
        return loss
    losses = {one.name: one for one in LOSSES}
    return losses[known("loss", OTHER_NAMES.get(loss, loss), losses)]()


def check_pair(
    head: Head | str,
    loss: Loss | str,
    outputs: int | None,
    strict: bool = True,
    regression: bool | None = None,
    multilabel: bool = False,
) -> None:
    """Refuse a head and a loss that cannot be trained together.

    Args:
        head: a head or its name.
        loss: a loss or its name.
        outputs: K, how many logits there are; None where that is not known yet, and only
            what is wrong for every K is refused.
        strict: False lets pairs run that are defined but senseless.
        regression: whether targets are real numbers rather than classes; None where that is
            not known yet.
        multilabel: whether targets are K yes/no labels, of which any number may be 1.

    Raises:
        InputError: the pair is undefined, or senseless and `strict`; the sentence names
            heads and losses that would do. Or one of them declares no domain.
    """
    head, loss = find_head(head), find_loss(loss)
    check_declared("head", head, "range")
    check_declared("loss", loss, "domain", "target_domain")
    if multilabel:
        _check_multilabel(head, loss)
    _check_numbers(head, loss, outputs)
    if regression:
        _check_regression(head, loss)
    others = _elementwise_heads(loss)
    is_constant = outputs is not None and outputs < head.range.least_outputs
    if is_constant and (others or _defined(head, loss)):
        either = f"{_either(others)}, or " if others else ""
        raise InputError(
            f"head={head.name} with one output is the constant 1. "
            f"Use {either}one output for each class."
        )
    if regression is False and (loss.domain.per_target > 1 or loss.of_head):
        raise InputError(
            f"loss={loss.name} needs targets that are real numbers, but these are classes. "
            f"Use {_of_classes(head)}."
        )
    usual = usual_loss(head.name)
    if loss.matches_head and not head.has_potential:
        raise InputError(
            f"loss={loss.name} needs a head with a potential, and head={head.name} has none."
            + (_advice(head, loss, outputs) if usual == loss.name else f" Use loss={usual}.")
        )
    if not _defined(head, loss):
        raise InputError(
            f"loss={loss.name} needs {loss.domain.describe('predictions')}, "
            f"but head={head.name} gives {head.range}.{_advice(head, loss, outputs)}"
        )
    if strict and not _sensible(head, loss, outputs):
        raise InputError(
            f"loss={loss.name} needs {loss.domain.describe('predictions')}, "
            f"but head={head.name} gives {_count(outputs)} {head.range}."
            f"{_advice(head, loss, outputs)} objective.strict=false runs it."
        )
    if not regression and not loss.of_head and not _targets_allowed(head, loss, UNIT):
        raise InputError(
            f"loss={loss.name} with head={head.name} needs targets in the closure of the head's "
            f"range, {head.range.closure()}, but class targets are {UNIT}. Use loss=se."
        )


def check_declared(kind: str, part: Head | Loss, *regions: str) -> None:
    """Refuse a head or a loss that does not say its name, or where its numbers lie.

    Args:
        kind: head or loss.
        part: the head or the loss.
        regions: attributes that must be regions.

    Raises:
        InputError: one of them is missing, or another thing.
    """
    own = type(part).__name__
    if not isinstance(getattr(part, "name", None), str):
        raise InputError(f'{kind} {own} has no name; write name = "{own.lower()}" in the class.')
    for name in regions:
        found = getattr(part, name, None)
        if not isinstance(found, Region):
            says = "declares no" if found is None else f"declares {found!r} as its"
            raise InputError(
                f"{kind}={part.name} {says} {name}; write {name} = … in class {own}, with one of "
                "mlr.core.domains: REALS, UNIT, OPEN_UNIT, SIMPLEX, GAUSSIANS."
            )


def _check_numbers(head: Head, loss: Loss, outputs: int | None) -> None:
    """Refuse a head that describes a distribution with a loss of another, or half a target."""
    count, needs = head.range.per_target, "one prediction for each target"
    if isinstance(head.range, Distributions) and not loss.domain.contains(head.range):
        means = [] if loss.of_head or not _targets_allowed(Linear(), loss, REALS) else ["linear"]
        if isinstance(loss.domain, (Distributions, Densities)):
            needs = loss.domain.describe("predictions")
            means = means if _defined(Linear(), loss) else []
        choices = [f"loss={usual_loss(head.name)}", *(f"head={one}" for one in means)]
        raise InputError(
            f"loss={loss.name} needs {needs}, but head={head.name} gives {head.range}. "
            f"Use {_either(choices)}."
        )
    if outputs is not None and outputs % count:
        raise InputError(
            f"head={head.name} needs {count} outputs for each target, but there are {outputs}."
        )


def _check_multilabel(head: Head, loss: Loss) -> None:
    """Refuse heads and losses of which exactly one output is 1, and those for real numbers."""
    several = "this data's examples can have several labels at once"
    if head.ordered:
        raise InputError(
            f"head={head.name} gives levels of ordered classes, but {several}. "
            "Use head=sigmoid loss=bce."
        )
    if head.range.least_outputs > 1:
        raise InputError(
            f"head={head.name} gives {head.range}, but {several}. Use head=sigmoid loss=bce."
        )
    needs = max(loss.domain.least_outputs, loss.target_domain.least_outputs)
    if (needs > 1 and not loss.matches_head) or isinstance(loss.domain, Levels):
        raise InputError(
            f"loss={loss.name} takes one class for each example, but {several}. Use loss=bce."
        )
    if loss.of_head or loss.domain.per_target > 1 or isinstance(head.range, Distributions):
        raise InputError(
            f"head={head.name} loss={loss.name} needs targets that are real numbers, but these "
            "are labels of 0 and 1. Use head=sigmoid loss=bce."
        )


def _check_regression(head: Head, loss: Loss) -> None:
    if head.ordered:
        raise InputError(
            f"head={head.name} gives levels of ordered classes, but this data's targets are any "
            "real number. Use head=linear."
        )
    if head.range.least_outputs > 1:
        raise InputError(
            f"head={head.name} gives {head.range}, but this data's targets are any real number. "
            "Use head=linear."
        )
    if loss.matches_head and not _targets_allowed(head, loss, REALS):
        raise InputError(
            f"loss={loss.name} with head={head.name} needs "
            f"{head.range.closure().describe('targets')}, "
            "but this data's targets are any real number. Use head=linear or loss=se."
        )
    if not loss.of_head and not _targets_allowed(head, loss, REALS):
        raise InputError(
            f"loss={loss.name} needs {loss.target_domain.describe('targets')}, "
            "but this data's targets are any real number. Use loss=se."
        )


def takes_any_target(head: Head, loss: Loss) -> bool:
    """Return True if the targets of this pair may be any real number."""
    return _targets_allowed(head, loss, REALS)


def target_region(head: Head, loss: Loss) -> Region:
    """Return the region in which targets must lie."""
    if loss.of_head and isinstance(head.range, Distributions):
        return head.range.support
    return head.range.closure() if loss.matches_head else loss.target_domain


def _targets_allowed(head: Head, loss: Loss, targets: Interval) -> bool:
    """Return True if each number of the targets may be anything in `targets`."""
    home = target_region(head, loss)
    return home.entries.contains(targets)


def _defined(head: Head, loss: Loss) -> bool:
    """Return True if every prediction has a loss, one number at a time."""
    # differences of what are no levels may be below 0; one logit is no class
    if isinstance(loss.domain, Levels) or loss.on_logits:
        return loss.domain.contains(head.range)
    return loss.matches_head or loss.domain.entries.contains(head.range.entries)


def _sensible(head: Head, loss: Loss, outputs: int | None) -> bool:
    """Return True if predictions are what the loss expects; one output means (1 − y, y)."""
    return (
        loss.matches_head
        or loss.domain.contains(head.range)
        or outputs is None
        or outputs < loss.domain.least_outputs
    )


def _of_classes(head: Head) -> str:
    """The usual loss of a head of classes, or another head."""
    is_of_numbers = isinstance(head.range, Distributions)
    return "head=softmax loss=ce" if is_of_numbers else f"loss={usual_loss(head.name)}"


def _elementwise_heads(loss: Loss) -> list[str]:
    heads = [head for head in ADVISED_HEADS if head.range.least_outputs == 1]
    if isinstance(loss.domain, Levels):
        heads = [head() for head in HEADS]
    return [f"head={head.name}" for head in heads if _defined(head, loss)]


def _advice(head: Head, loss: Loss, outputs: int | None) -> str:
    """A sentence naming heads that suit this loss and losses that suit this head."""
    if isinstance(loss.domain, Levels):
        return f" Use {_either([*_elementwise_heads(loss), f'loss={usual_loss(head.name)}'])}."
    if head.ordered:
        return f" Use head=softmax or loss={usual_loss(head.name)}."
    kind = loss.domain.least_outputs
    if outputs is not None and not loss.on_logits:  # whose single logit is no class
        kind = min(outputs, kind)
    heads = [
        f"head={other.name}"
        for other in ADVISED_HEADS
        if other.range.least_outputs == kind
        and _defined(other, loss)
        and _sensible(other, loss, outputs)
    ]
    losses = [
        f"loss={other.name}"
        for other in ADVISED_LOSSES
        if _defined(head, other) and _sensible(head, other, outputs)
    ]
    if isinstance(loss.domain, (Distributions, Densities, DirichletMeans)):
        able = [other.name for other in HEADS if loss.domain.contains(other.range)]
        heads = [f"head={able[0]}"] if able else []
    return f" Use {_either(heads + losses)}." if heads or losses else ""


def _either(choices: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(choices[:-1]), choices[-1]]))


def _count(outputs: int | None) -> str:
    return "separate" if outputs is None else f"{outputs} separate"
