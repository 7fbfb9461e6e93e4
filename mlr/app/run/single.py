"""The run of a command without -m: a new one, or by resume=<folder> an earlier one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlr.analysis.formatting import output_texts
from mlr.app.config.run_spec import make_run_spec
from mlr.app.run.existing_runs import outcome_of
from mlr.app.run.hydra_files import to_yaml
from mlr.app.run.job import CRASHED, Job, job_of, remove_empty, task_overrides
from mlr.app.run.resume import EarlierRun, check_same, continued, earlier_run, is_over
from mlr.app.run.signals import Signals
from mlr.core import console
from mlr.core.checks import InputError
from mlr.core.commandline import command
from mlr.core.console import shown
from mlr.data.base import SPLITS
from mlr.records.outcome import Outcome, cause
from mlr.records.run_folder import STATUS
from mlr.records.status import RunStatus

if TYPE_CHECKING:
    from mlr.app.run.lifecycle import PreparedRun


SHARES = (
    *(("accuracy", "accuracy"), ("f1_micro", "F1 (micro)"), ("f1_macro", "F1 (macro)")),
    *(("label_accuracy", "label accuracy"), ("exact_match", "exact match")),
)
"""Final numbers in percent, and their names in the table; a run has those of its task."""


class SingleRun:
    """The task of a command that trains one configuration.

    outcome: how it ended; None before.
    """

    def __init__(
        self, watched: bool = True, drawn: bool = True, signals: Signals | None = None
    ) -> None:
        """Begin without a run.

        Args:
            watched: True to show progress.
            drawn: False to draw no figures, whatever the settings say.
            signals: that end it after its present step; without any they end it at once.
        """
        self.watched, self.drawn, self.signals = watched, drawn, signals
        self.outcome: Outcome | None = None

    def train(self, config: DictConfig, hydra: DictConfig) -> float:
        """Train a configuration into the folder that Hydra made for it.

        Args:
            config: the task's.
            hydra: Hydra's own, of this job.

        Returns:
            The number that `objective_metric` names, see `Outcome.objective`.
        """
        folder = Path(hydra.runtime.output_dir)
        try:
            run = self._prepare(config, hydra)
            if run is not None:
                from mlr.app.run.lifecycle import train_program

                total = run.experiment.total_steps
                with console.progress_bar("training", watched=self.watched) as show:
                    train_program(
                        [run], self._end, lambda runs: show(runs * total, total), self.signals
                    )
        except KeyboardInterrupt as error:
            if self.outcome is None:
                there = folder if (folder / STATUS).exists() else None
                begun = Outcome(folder.name, task_overrides(hydra), "interrupted", cause(error))
                self.outcome = replace(begun, folder=there)
            raise
        finally:
            remove_empty(folder)  # a refused job leaves nothing
        assert self.outcome is not None
        return self.outcome.objective(config.objective_metric)

    def _prepare(self, config: DictConfig, hydra: DictConfig) -> PreparedRun | None:
        """Judge and build the run; None if its outcome is known by then."""
        job = Job(0, task_overrides(hydra), {}, Path(hydra.runtime.output_dir), {})
        try:
            job = job_of(config, hydra, self.drawn)
            before = _before(job, hydra)
            spec = make_run_spec(
                continued(before, job.config, job.overrides) if before else job.config
            )
            if before is not None and is_over(before, spec):
                settings = replace(job, config=spec.config).settings
                self.outcome = replace(outcome_of(job.folder, before.status), settings=settings)
                return None
            if self.drawn:
                from mlr.figures.record import prepare_figures  # numpy, which a refusal is without

                prepare_figures(spec.probes)
            experiment = spec.build()
            if before is not None:
                check_same(before, spec.config, experiment)
                text = to_yaml(spec.config | {"resume": None, "allow": []})
                job = replace(job, config=spec.config, files={"config.yaml": text})
        except Exception as error:
            self.outcome = job.not_begun(error)
            return None
        if before is None and job.config["resume"] is not None:
            before = EarlierRun(job.folder, RunStatus(), None, {})  # it left nothing to continue
        from mlr.app.run.lifecycle import PreparedRun  # torch: not before there is a run to train

        return PreparedRun(job, experiment, before, single=True)

    def _end(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def report(self) -> int:
        """Print how the run ended; return the exit code."""
        if self.outcome is None:
            return 0
        if self.outcome.status in ("refused", "failed"):
            print(self.outcome.trace, file=sys.stderr, end="")
            if self.outcome.exit_code != CRASHED:  # the traceback says it all
                console.refuse(str(self.outcome.reason))
        else:
            print_run(self.outcome)
        return self.outcome.exit_code


def _before(job: Job, hydra: DictConfig) -> EarlierRun | None:
    """Return the run to continue; None for a new run.

    Raises:
        InputError: there is none, or the command names two folders.
        DataError: it is damaged.
    """
    resume, sweep = job.config["resume"], job.config["sweep"]["resume"]
    if sweep is not None:
        raise InputError(f"sweep.resume={sweep} needs -m: it resumes a sweep.")
    if resume is None:
        return None
    if Path(resume).resolve() != job.folder.resolve():
        raise InputError(
            f"resume={resume} and hydra.run.dir={job.folder} are different folders; leave "
            "hydra.run.dir out to continue."
        )
    # of a command that names both, a scheduler may start it the first time or again
    typed: Any = OmegaConf.to_container(hydra.overrides.hydra, resolve=False)
    return earlier_run(job.folder, or_new=any(one.startswith("hydra.run.dir=") for one in typed))


def print_run(outcome: Outcome) -> None:
    """Print the summary of a finished run."""
    from mlr.analysis.explain import print_diagnosis
    from mlr.records.reading import Recorded
    from mlr.records.run_folder import read_status

    assert outcome.folder is not None
    out, settings, metrics = console.console(), outcome.settings, outcome.metrics
    title = " ".join(f"{key}={settings[key]}" for key in ("head", "loss", "model", "data"))
    out.print()
    out.print(Text(title, style="bold"), Text(f"({outcome.seconds:.1f} s)", style="dim"))
    if any(isfinite(number) for number in metrics.values()):  # none where an update was refused
        _print_numbers(out, metrics)
    if outcome.reason:
        out.print(Text(f"{outcome.status}: {outcome.reason}", style="yellow"))
    # this process has just written its files: no checksums are needed
    entries = outcome.entries or read_status(outcome.folder)
    print_diagnosis(out, [Recorded(outcome.folder, entries, known=outcome.series)], outcome.folder)
    out.print(Text(f"run folder   {shown(outcome.folder)}"), soft_wrap=True)
    out.print(Text(f"look at it   {command('board', shown(outcome.folder))}"), soft_wrap=True)


def _print_numbers(out: Console, metrics: Mapping[str, float]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    splits = [split for split in SPLITS if f"loss/{split}" in metrics]  # not all have validation
    for split in splits:
        table.add_column(split, justify="right")
    for name, label in (("loss", "loss"), ("predicted_std", "predicted std")):
        if f"{name}/test" in metrics:
            table.add_row(label, *(f"{metrics[f'{name}/{split}']:.4g}" for split in splits))
    if "rmse/test" in metrics:
        errors = [metrics.get(f"rmse/{split}") for split in splits]
        table.add_row("RMSE", *("" if one is None else f"{one:.4g}" for one in errors))
    for name, label in SHARES:
        shares = [metrics.get(f"{name}/{split}") for split in splits]
        if any(share is not None for share in shares):
            table.add_row(label, *("" if one is None else f"{one:.2%}" for one in shares))
    out.print(table)
    if "logit_grad/wrong" in metrics:
        sizes = (metrics[f"logit_grad/{side}"] for side in ("wrong", "right"))
        wrong, right = ("none" if size != size else f"{size:.3g}" for size in sizes)
        out.print(f"mean ‖dL/dz‖ in training data: {wrong} where wrong, {right} where right")
    if outputs := output_texts(metrics):
        out.print(f"mean output y in training data: {', '.join(outputs)}")
