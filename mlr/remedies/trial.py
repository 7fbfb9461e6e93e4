"""Trial of a program's remedies, seed by seed, then on top of the best one, until time is over.

Those that the findings suggest come first; universal ones follow only if none of them helps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from operator import lt
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mlr.analysis.explain.diagnose import every_diagnosis
from mlr.analysis.explain.trial import Judgement
from mlr.core import console
from mlr.core.checks import InputError
from mlr.diagnosis.findings import Diagnosis
from mlr.diagnosis.program import WatchedProgram
from mlr.loop.probe import GradientProbe
from mlr.records.evidence import Evidence
from mlr.records.reading import read_runs
from mlr.remedies.candidates import ProgramSeen, suggested, universal
from mlr.remedies.changes import Remedy
from mlr.remedies.ends import end_of
from mlr.remedies.judging import judge, means
from mlr.remedies.program import (
    Batch,
    OwnProgram,
    TimeOver,
    Watch,
    device_of,
    moved,
    outputs_of,
    train,
)
from mlr.remedies.score import (
    LARGEST,
    MOST,
    Score,
    collect,
    constant,
    examples,
    score,
    task_of,
)

STEPS, LEAST = 500, 50
"""Updates of each training, and the fewest of a slow program."""
FIRST = 40
"""Part of the time that the first training takes at most: some ten remedies have several seeds."""
SEEDS = 8
CHECKS = (3, 5)
"""Numbers of seeds after which the trial ends if a remedy helps, and drops those in vain.

To look three times at 5 % costs little, for only gains of some size count: in simulations of five
remedies that do nothing, one is recommended in 5 % of the trials.
"""
MOST_STAGES = 4
"""Most rounds: of remedies that the findings suggest, of universal ones, and of those on top."""
RATES = ("lr=", "optimizer = torch.optim.Adam(")
"""Beginnings of the remedies that set a rate: with them another one may be still better."""
PERFECT = 0.002
"""Share of errors, or of the variance, at which nothing is left to mend."""


@dataclass(frozen=True)
class Watched:
    """A training that was watched.

    steps: that were made.
    diagnoses: by all rules, the most important first.
    form: of the loss; empty if it was not recognised.
    unseen: why it could not be watched; empty if it could.
    """

    steps: int
    diagnoses: Sequence[Diagnosis]
    form: str
    unseen: str


@dataclass
class Stage:
    """Remedies on top of a base.

    base: codes of the remedies that it has already.
    program: with those.
    remedies: that are tried.
    steps: of each training.
    general: True if no finding suggests them.
    scores: by remedy, that of the base under the empty text, and seed.
    refused: reasons by remedies that cannot be trained.
    judgement: on what is known.
    """

    base: Sequence[str]
    program: OwnProgram
    remedies: Sequence[Remedy]
    steps: int
    general: bool
    scores: dict[str, dict[int, Score]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    judgement: Judgement | None = None

    @property
    def seeds(self) -> list[int]:
        """Seeds that the base was trained with."""
        return list(self.scores.get("", {}))


class Trial:
    """Trial of the remedies of one program.

    Attributes:
        diagnoses: of the program as it is.
        unseen: why it could not be watched; empty if it could.
        stages: so far; at least the first is complete unless it ended early.
        ended: why it ended early; empty for a trial that came to its end.
    """

    def __init__(
        self, program: OwnProgram, seconds: float, steps: int | None, validated: bool
    ) -> None:
        self._program, self._seconds, self._steps = program, seconds, steps
        self._split = "val" if validated else "train"
        self.diagnoses: Sequence[Diagnosis] = ()
        self.unseen = ""
        self.stages: list[Stage] = []
        self.ended = ""

    def run(self) -> None:
        """Watch the program, and try its remedies, until it is clear or the time is over."""
        self._end = monotonic() + self._seconds
        try:
            self._run()
        except TimeOver:
            self.ended = f"stopped after {self._seconds:g} seconds"
        except KeyboardInterrupt:
            self.ended = "interrupted"
        if self.stages and self.ended:
            self._judge(self.stages[-1])

    def _run(self) -> None:
        first = self._watched(self._program, self._steps or STEPS, self._enough)
        self.diagnoses, self.unseen = first.diagnoses, first.unseen
        program = replace(self._program, form=first.form)
        rules = [one.rule for one in first.diagnoses]
        base: list[str] = []
        used: set[str] = set()
        known: dict[int, Score] = {}
        self._judged_by(program, rules)
        program = replace(program, singly="softmax_over_batch" in rules)
        best = ""
        while len(self.stages) < MOST_STAGES:
            seen = self._seen(program, rules)
            remedies = [one for one in suggested(seen) if one.code not in used]
            general = not remedies
            near = best.startswith(RATES)
            if general and (rules or not base or near):
                remedies = [one for one in universal(seen, near) if one.code not in used]
            if not remedies:
                return
            stage = Stage(list(base), program, remedies, first.steps, general, {"": known})
            self.stages.append(stage)
            self._try(stage)
            best = stage.judgement.best if stage.judgement is not None else ""
            # on top of the best one, the others may still be needed for what is left
            used |= {best} if best and not general else {one.code for one in remedies}
            if best:
                if self._is_perfect(stage, best):
                    return
                base = together(base, best)
                known = dict(stage.scores[best])
                program = next(one for one in remedies if one.code == best).apply(program)
                left = self._watched(program, first.steps)
                rules = [one.rule for one in left.diagnoses]
                program = replace(program, form=left.form or program.form)
            elif general:
                return
            else:
                known, rules = dict(stage.scores[""]), []

    def _watched(
        self, program: OwnProgram, steps: int, enough: Callable[[int], bool] = lambda done: False
    ) -> Watched:
        with TemporaryDirectory(prefix="mlr-try-", ignore_cleanup_errors=True) as place:
            probes: list[GradientProbe] = []
            unseen: list[str] = []

            def watching(model: nn.Module, optimizers: list[Optimizer]) -> Watch:
                probe = GradientProbe(model, optimizers, Path(place) / "run")
                probes.append(probe)

                def watch(outputs: Tensor, targets: Tensor, loss: Tensor) -> None:
                    if not unseen:
                        try:
                            probe.watch(outputs, targets, loss)
                        except InputError as error:
                            unseen.append(str(error))

                return watch

            try:
                _, done = train(program, 0, steps, self._end, watching, enough)
            finally:
                for probe in probes:
                    probe.close()
            (run,) = read_runs(Path(place) / "run")
            evidence = Evidence.decode(run.entries.get("program") or {})
            forms = list(WatchedProgram(evidence).forms)
            form = forms[0] if forms else ""
            return Watched(done, every_diagnosis(run), form, "".join(unseen[:1]))

    def _enough(self, done: int) -> bool:
        if self._steps is not None:
            return False
        if done == 1:  # what is loaded by the first step does not count
            self._began = monotonic()
        spent = monotonic() - self._began
        return (done >= LEAST and spent > self._seconds / FIRST) or spent > self._seconds / 4

    def _judged_by(self, program: OwnProgram, rules: Sequence[str]) -> None:
        """Note the task of a program, the number of examples that judge, and a constant's score."""
        model, _ = program.make()
        batches = _some(program.held())
        with torch.no_grad():
            outputs = outputs_of(model, moved(batches[0][0], device_of(model)))
        targets = collect(batches)
        task = task_of(outputs, targets, "classes_as_numbers" in rules)
        self._task = replace(task, balanced="imbalance" in rules)
        self._examples = examples(targets, self._task)
        self._constant = constant(targets, self._task)

    def _seen(self, program: OwnProgram, rules: Sequence[str]) -> ProgramSeen:
        model, optimizers = program.make()
        batches = _some(program.batches())
        inputs, targets = (moved(one, device_of(model)) for one in batches[0])
        with torch.no_grad():
            outputs = outputs_of(model, inputs)
        every = collect(batches)
        end = end_of(model, inputs)
        about = (model, optimizers, (inputs, targets), outputs, batches, every, end)
        return ProgramSeen(program, *about, self._task, rules)

    def _try(self, stage: Stage) -> None:
        programs = {"": stage.program}
        programs |= {one.code: one.apply(stage.program) for one in stage.remedies}
        alive, done = list(programs), 0
        with console.progress_bar("trying") as show:
            for seed in range(SEEDS):
                for code in alive:
                    show(done, done + len(alive) * (SEEDS - seed))
                    done += 1
                    if code not in stage.refused and seed not in stage.scores.get(code, {}):
                        self._train(stage, code, programs[code], seed)
                if seed + 1 in (*CHECKS, SEEDS):
                    self._judge(stage)
                    if stage.judgement is not None and stage.judgement.best:
                        return
                    alive = ["", *self._promising(stage, alive[1:])]
                    if alive == [""]:
                        return

    def _train(self, stage: Stage, code: str, program: OwnProgram, seed: int) -> None:
        try:
            model, _ = train(program, seed, stage.steps, self._end)
            found = score(program, model, self._task)
        except TimeOver:
            raise
        except Exception as error:
            if not code:
                raise
            stage.refused[code] = f"{type(error).__name__}: {error}".split("\n")[0]
            return
        stage.scores.setdefault(code, {})[seed] = found

    def _judge(self, stage: Stage) -> None:
        if stage.scores.get(""):
            about = (self._task, self._split, self._examples, self._constant, stage.general)
            stage.judgement = judge(stage.scores, stage.refused, *about)

    def _promising(self, stage: Stage, codes: Sequence[str]) -> list[str]:
        """Return the remedies whose mean of a measure is better than that of the base."""
        found = means(stage.scores, self._task)
        return [
            code
            for code in codes
            if code in found and any(map(lt, found[code], found[""]))  # NaN is less than nothing
        ]

    def _is_perfect(self, stage: Stage, best: str) -> bool:
        return means(stage.scores, self._task)[best][0] <= PERFECT


def together(base: Sequence[str], best: str) -> list[str]:
    """Add a remedy to others; of several rates the last one counts."""
    rates = best.startswith(RATES)
    return [*(one for one in base if not (rates and one.startswith(RATES))), best]


def _some(batches: Iterable[Batch]) -> list[Batch]:
    """Read the first batches, of at most `MOST` examples."""
    found, size = list[Batch](), 0
    for inputs, targets in batches:
        found.append((inputs, targets))
        size += inputs.numel() if isinstance(inputs, Tensor) else targets.numel()
        if sum(len(own) for _, own in found) >= MOST or size >= LARGEST:
            break
    if not found:
        raise InputError("The loader gives no batch; give one that can be read many times.")
    return found
