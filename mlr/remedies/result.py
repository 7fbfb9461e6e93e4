"""The call `mlr.try_remedies`, and its result, which prints and displays itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from torch import nn
from torch.optim import Optimizer

from mlr.analysis.explain.trial import AS_IT_IS, Judgement, TriedRemedy, listed, report
from mlr.core.checks import InputError, whole
from mlr.diagnosis.findings import Diagnosis
from mlr.remedies.program import Loss, OwnProgram, Parts, Step, kept, pairs
from mlr.remedies.trial import Stage, Trial, together

NONE = "none of {} helps"
NOTHING = "no training came to its end"
Made = nn.Module | tuple[nn.Module, Optimizer | Sequence[Optimizer]]


@dataclass(frozen=True)
class TriedStage:
    """Remedies that were tried on top of others.

    base: lines of the remedies that the program had already.
    steps: updates of each training.
    seeds: of the program without them.
    judgement: on them.
    form: of the loss, by which outputs were read; empty if it was not recognised.
    """

    base: Sequence[str]
    steps: int
    seeds: Sequence[int]
    judgement: Judgement
    form: str


@dataclass(frozen=True, repr=False)
class TriedRemedies:
    """Outcome of a trial; it prints and displays itself.

    diagnoses: faults of the program as it is, the most important first.
    stages: remedies that were tried: alone, then on top of the best ones.
    best: lines of code to write, which help together; none if no remedy helps.
    ended: why the trial ended early; empty for one that came to its end.
    program: with the best remedies.
    unseen: why the program could not be watched; empty if it could.
    """

    diagnoses: Sequence[Diagnosis]
    stages: Sequence[TriedStage]
    best: Sequence[str]
    ended: str
    program: OwnProgram
    unseen: str = ""

    @property
    def remedies(self) -> list[TriedRemedy]:
        """All remedies that were tried, with their judgements."""
        return [one for stage in self.stages for one in stage.judgement.remedies]

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for one in self.diagnoses[:1]:
            yield one.rule
            yield f"  {one.sentence}"
            yield f"  {'evidence':<10}{one.evidence}"
        if self.stages and not self.diagnoses:
            yield "No fault is found in the program as it is."
        if self.unseen:
            yield f"  {'unseen':<10}{self.unseen}"
        for stage in self.stages:
            name = "then" if stage.base else "tried"
            header = f"{name:<10}{stage.steps:,} updates, {listed(stage.seeds)}"
            base = f"with {'; '.join(stage.base)}" if stage.base else AS_IT_IS
            for line in report(stage.judgement, header, base):
                yield f"  {line}"
        if not self.stages:
            yield f"  {'tried':<10}{NOTHING}"
        elif self.best:
            for line in self.best:
                yield f"  {'write':<10}{line}"
        else:
            yield f"  {'best':<10}{NONE.format(len(self.remedies))}"
        if self.ended:
            yield f"  {'ended':<10}{self.ended}; what was known by then is printed"

    def _repr_html_(self) -> str:
        from mlr.analysis.notebook import markup

        parts = []
        for one in self.diagnoses[:1]:
            parts.append(markup.element("div", markup.badge(one.rule, markup.NOTE)))
            parts.append(markup.paragraph(one.sentence))
            parts.append(markup.named("evidence", markup.text(one.evidence), markup.DIM))
        for stage in self.stages:
            parts.append(_table(stage))
        for line in self.best:
            parts.append(markup.named("write", markup.element("code", markup.text(line))))
        if not self.best:
            none = NONE.format(len(self.remedies)) if self.stages else NOTHING
            parts.append(markup.paragraph(none))
        if self.ended:
            parts.append(markup.paragraph(f"{self.ended}; what was known by then"))
        return markup.display(*parts)


def _table(stage: TriedStage) -> str:
    from mlr.analysis.formatting import with_spread
    from mlr.analysis.notebook import markup
    from mlr.analysis.ranking import is_higher_better

    def value(tag: str, mean: float, std: float) -> str:
        return with_spread(mean, std, share=is_higher_better(tag)) if isfinite(mean) else ""

    judgement = stage.judgement
    base = "; ".join(stage.base) or AS_IT_IS
    rows = [[base, judgement.tag, value(judgement.tag, judgement.mean, judgement.std), ""]]
    grounds = [[""] * 4]
    for one in judgement.remedies:
        rows.append([one.remedy, one.tag, value(one.tag, one.mean, one.std), one.text])
        grounds.append([markup.GOOD if one.remedy == judgement.best else ""] * 4)
    length = f"{stage.steps:,} updates, {listed(stage.seeds)}"
    return markup.table([length, "measure", "mean", "judgement"], rows, 2, grounds)


def try_remedies(
    make_model: Callable[[], Made],
    loss: Loss,
    loader: Iterable[Any],
    *,
    make_optimizer: Callable[[Any], Optimizer | Sequence[Optimizer]] | None = None,
    validation: Iterable[Any] | None = None,
    step: Step | None = None,
    steps: int | None = None,
    seconds: float = 60,
) -> TriedRemedies:
    """Train a program as it is and with remedies for its faults, and say which one helps.

    Example::

        print(mlr.try_remedies(
            Net, nn.CrossEntropyLoss(), loader,
            make_optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        ))

    A remedy helps if it leaves a tenth fewer errors beyond the noise of the seeds. Models are those
    that `make_model` makes; random states, also those of the loaders, are afterwards as they were.

    Args:
        make_model: makes a new model in each call, or a new model and its optimizer or optimizers.
        loss: function of outputs and targets; gives the loss () of the batch.
        loader: of pairs of inputs and targets, read once an epoch; a tuple of inputs becomes
            several arguments of the model.
        make_optimizer: makes the optimizer of a model's parameters, unless `make_model` does.
        validation: batches that judge; without them, those of the loader do.
        step: an update of your own loop in place of the plain one. It is given the model, its
            optimizer or optimizers, inputs, targets, and a function that is to be called with
            outputs, targets and loss before the backward pass.
        steps: updates of each training; by default 500, fewer if they take long.
        seconds: time after which the trial ends with what is known. Ctrl-C does so, too.

    Raises:
        InputError: a loader that can be read only once or gives no pairs, a factory that gives the
            same model twice, a model without an optimizer, a number out of range.
    """
    if not seconds > 0:
        raise InputError(f"seconds={seconds} must be above 0, as seconds=60.")
    if steps is not None:
        steps = whole("steps", steps)
    judging = loader if validation is None else validation
    make = _factory(make_model, make_optimizer)
    with kept(loader, validation):
        _check_loaders(loader=loader, validation=judging)
        _check_factory(make)
        program = OwnProgram(make, loss, lambda: pairs(loader), lambda: pairs(judging), step)
        trial = Trial(program, seconds, steps, validation is not None)
        trial.run()
    return _result(trial, program)


def _result(trial: Trial, program: OwnProgram) -> TriedRemedies:
    done = [one for one in trial.stages if one.judgement is not None]
    stages = [_tried(one) for one in done]
    best: list[str] = []
    if done:
        last = done[-1]
        best = list(last.base)
        if stages[-1].judgement.best:
            best = together(best, stages[-1].judgement.best)
        chosen = [one for one in last.remedies if one.code == stages[-1].judgement.best]
        program = chosen[0].apply(last.program) if chosen else last.program
    return TriedRemedies(trial.diagnoses, stages, best, trial.ended, program, trial.unseen)


def _tried(stage: Stage) -> TriedStage:
    assert stage.judgement is not None
    return TriedStage(stage.base, stage.steps, stage.seeds, stage.judgement, stage.program.form)


def _factory(
    make_model: Callable[[], Made],
    make_optimizer: Callable[[Any], Optimizer | Sequence[Optimizer]] | None,
) -> Callable[[], Parts]:
    def make() -> Parts:
        made = make_model()
        model, own = made if isinstance(made, tuple) else (made, None)
        if not isinstance(model, nn.Module):
            raise InputError(
                f"make_model must give a torch.nn.Module, and gives {type(model).__name__}."
            )
        if own is None and make_optimizer is not None:
            own = make_optimizer(model.parameters())
        optimizers = [own] if isinstance(own, Optimizer) else list(own or [])
        if not optimizers or not all(isinstance(one, Optimizer) for one in optimizers):
            raise InputError(
                "An optimizer is missing: give make_optimizer=lambda parameters: "
                "torch.optim.Adam(parameters), or let make_model give model and optimizer."
            )
        return model, optimizers

    return make


def _check_loaders(**loaders: Any) -> None:
    """Refuse what cannot be read many times."""
    for name, one in loaders.items():
        if not hasattr(one, "__iter__") or iter(one) is one:
            raise InputError(
                f"{name} must be readable many times, as a DataLoader or a list of batches, and "
                f"is {type(one).__name__}."
            )


def _check_factory(make: Callable[[], Parts]) -> None:
    """Refuse a factory that gives a model, or a part of one, twice."""
    first, second = (list(make()[0].parameters()) for _ in range(2))
    if {one.data_ptr() for one in first if one.numel()} & {
        one.data_ptr() for one in second if one.numel()
    }:
        raise InputError(
            "make_model must make a new model in each call, as lambda: Net(), and gave parameters "
            "that it had given before."
        )
