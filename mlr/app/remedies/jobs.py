"""Configurations of a recorded run, as it is and with remedies, composed from its overrides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from mlr.analysis.explain.command import repaired
from mlr.app.cli.command import VERSION_BASE
from mlr.app.config.config_errors import one_sentence, raised_by_hydra
from mlr.app.config.config_policy import check_overrides
from mlr.app.config.output_paths import CONFIGS
from mlr.app.config.run_spec import make_run_spec
from mlr.app.config.schema import register_schema
from mlr.app.run.hydra_files import to_yaml
from mlr.app.run.job import Job, resolved
from mlr.app.sweep.resolvers import register_resolvers
from mlr.core.checks import InputError
from mlr.records.identity import config_hash, is_of_run
from mlr.records.reading import Recorded

SEEDS = 8
"""Seeds that are trained: those of the runs first, then the numbers that follow."""
FEWEST_UPDATES = 2000
"""Updates of a first round; a run of fewer than twice as many is trained in full at once."""
FIRST = 8
"""Part of the run's updates that is its first round: an eighth."""
NEVER = 1e9
"""Seconds between two checkpoints, which no run is to continue from."""


@dataclass(frozen=True)
class Case:
    """Runs of one seed group whose remedies are tried.

    cell: name of the group, as of its diagnoses.
    runs: of the group, one that has the fault first.
    seeds: that are trained.
    configs: configurations by remedy, that of the runs as they are under the empty text.
    total: updates of the run.
    examples: of the split that judges: validation, or test without any.
    rounds: numbers of updates of the rounds.
    base: the remedy, among those of `configs`, with which the others are compared.
    """

    cell: str
    runs: Sequence[Recorded]
    seeds: Sequence[int]
    configs: Mapping[str, dict[str, Any]]
    total: int
    examples: int
    rounds: Sequence[int]
    base: str = ""

    def job(self, remedy: str, seed: int, updates: int, folder: Path) -> Job:
        """Return the job that trains a remedy for a number of updates; its number is not set."""
        config = deepcopy(self.configs[remedy]) | {"seed": seed, "checkpoint": {"seconds": NEVER}}
        if updates < self.total:
            config["steps"] = updates
        words = (*repaired(self.runs[0].overrides, remedy), f"seed={seed}")
        return Job(0, words, config, folder, {"config.yaml": to_yaml(config)})

    def then(self, first: str, remedies: Sequence[str], updates: int, base: str) -> Case:
        """Return the case of further remedies on top of a first one, in one round.

        Args:
            first: the remedy.
            remedies: the further ones.
            updates: of the round.
            base: the remedy that they are compared with.

        Raises:
            InputError: they cannot be composed.
        """
        both = [" ".join(repaired(first.split(), remedy)) for remedy in remedies]
        with _composing():
            new = {one: _composed(self.runs[0], one) for one in both if one not in self.configs}
        own = self.configs[base]
        allowed = {"allow_targets": own["allow_targets"]}
        configs = {base: own} | {key: one | allowed for key, one in new.items()}
        return replace(self, configs=configs, rounds=[updates], base=base)


def lengths(schedule: str, total: int) -> list[int]:
    """Return the numbers of updates of the rounds of a run of `total` updates.

    Args:
        schedule: class of the schedule, with which a part of a run is a run if it is constant.
        total: updates of the run.
    """
    updates = max(FEWEST_UPDATES, -(-total // FIRST))
    parts = []
    if schedule == "mlr.training.Constant":
        while 2 * updates <= total:
            parts.append(updates)
            updates *= 2
    return [*parts, total]


def prepare(
    cell: str, runs: Sequence[Recorded], remedies: Sequence[str], allowed: Sequence[str]
) -> Case:
    """Compose the configurations of a case, and check that the run can be trained again.

    Args:
        cell: name of the group.
        runs: of the group, one that has the fault first.
        remedies: overrides, first choice first.
        allowed: names that may be imported besides mlr's own parts.

    Raises:
        InputError: it was trained by a loop of a user's own, its overrides give another
            configuration now, its parts are not allowed, or its data are missing or other ones.
    """
    run = runs[0]
    if run.entries.get("overrides") is None:
        raise InputError(
            f"{run.name} comes from a loop of your own, which mlr cannot train again: give your "
            "functions to mlr.try_remedies, or change them as explain says without --try."
        )
    with _composing():
        control = _composed(run, "")
        if config_hash(control) != run.entries.get("config_hash"):
            raise InputError(
                f"{run.name} cannot be trained again by its overrides, which give another "
                "configuration now; train it once more by its own command and explain that run."
            )
        configs = {"": control} | {remedy: _composed(run, remedy) for remedy in remedies}
    for config in configs.values():  # never from a file: who trusts a package says so now
        config["allow_targets"] = list(allowed)
    spec = make_run_spec(control)
    experiment = spec.build()
    if run.entries.get("data") not in (None, experiment.data.fingerprint):
        raise InputError(
            f"data={experiment.data.name} loads other data now than {run.name} was trained on."
        )
    data = experiment.data
    examples = len(data.val if data.validated else data.test)
    total = experiment.total_steps
    rounds = lengths(str(control["schedule"].get("_target_")), total)
    return Case(cell, runs, _seeds(runs), configs, total, examples, rounds)


def _seeds(runs: Sequence[Recorded]) -> list[int]:
    """Return the seeds of the runs, that of the first one first, filled up with others."""
    found = [run.seed for run in runs if run.seed is not None] or [0]
    first = max(found) + 1
    return list(dict.fromkeys([*found, *range(first, first + SEEDS)]))[:SEEDS]


@contextmanager
def _composing() -> Iterator[None]:
    """Let Hydra compose by mlr's configuration files."""
    register_schema()
    register_resolvers()
    with initialize_config_dir(str(CONFIGS), job_name="train", **VERSION_BASE):
        yield


def _composed(run: Recorded, remedy: str) -> dict[str, Any]:
    """Compose the configuration of a run with a remedy.

    Raises:
        InputError: its overrides cannot be composed.
    """
    words = [word for word in repaired(run.overrides, remedy) if is_of_run(word)]
    try:
        check_overrides(OverridesParser.create().parse_overrides(words))
        return resolved(compose("train", words))
    except InputError:
        raise
    except Exception as error:
        if not raised_by_hydra(error):
            raise
        raise InputError(f"{run.name} cannot be composed again: {one_sentence(error)}") from error
