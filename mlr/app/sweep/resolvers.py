"""OmegaConf resolvers of mlr's configuration, among them the names of a sweep's runs.

A run is named by head and loss, the options that vary in the sweep, and the seed. A name depends
on its job and on the options with one value only in the command, so that the jobs of later
batches, of a resumed sweep and of any launcher are named by one rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from secrets import token_hex
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from mlr.app.config.run_names import implied_by_pair, pair_of, run_name
from mlr.app.run.existing_runs import runs_in
from mlr.core.commandline import command
from mlr.objectives.compatibility import usual_loss
from mlr.records.identity import is_of_run


def register_resolvers(typed: Sequence[str] = ()) -> None:
    """Register the resolvers of mlr's configuration.

    `short_id` is a random name of the process, `pair` head and loss of a job, `run_name` its
    folder, `either` the first of two that is not null, `usual_loss` that of a head, `command` a
    command as it is typed. The command line `typed` shows what all jobs of a sweep share.
    """
    # OmegaConf 2.4 gives the name of a legacy function to this one, and warns of the old name
    register: Any = OmegaConf.register_new_resolver
    if "use_cache" in signature(OmegaConf.register_resolver).parameters:
        register = OmegaConf.register_resolver
    register("short_id", lambda: token_hex(3), use_cache=True, replace=True)
    register("pair", _pair, replace=True)
    register("run_name", _Namer(typed), replace=True)
    register("either", lambda first, other: other if first is None else first, replace=True)
    register("usual_loss", usual_loss, replace=True)
    register("command", command, replace=True)


class _Namer:
    """Resolver `${run_name:}`, for launchers that compose one job at a time."""

    def __init__(self, typed: Sequence[str]) -> None:
        self._typed = [word for word in typed if not word.startswith("-")]
        self._names: RunNames | None = None

    def __call__(self, *, _root_: Any) -> str:
        if self._names is None:
            resumed = OmegaConf.select(_root_, "sweep.resume")
            self._names = RunNames.of(_root_.hydra, self._typed, resumed)
        lines: Any = OmegaConf.to_container(_root_.hydra.overrides.task, resolve=False)
        return self._names(_pair(_root_=_root_), lines)


def _pair(*, _root_: Any) -> str:
    """Return head and loss of the configuration that has the interpolation."""
    targets = {group: OmegaConf.select(_root_, f"{group}._target_") for group in ("head", "loss")}
    return pair_of({group: {"_target_": target} for group, target in targets.items()})


class RunNames:
    """Names of the runs of one sweep; different jobs get different names."""

    def __init__(
        self, typed: Sequence[str], params: Mapping[str, Any], resumed: Path | str | None
    ) -> None:
        """Find the options that are constant.

        Args:
            typed: overrides of the command line, values to be swept included.
            params: the sweeper's own, by key.
            resumed: folder whose runs continue; only options that all of them share are constant.
        """
        own = [f"{key}={value}" for key, value in params.items()]
        self._constant = _constant([*own, *typed])
        found = {} if resumed is None else runs_in(Path(resumed))
        typed_before = {run.name: status.get("overrides") for run, status in found.items()}
        lines = {name: _of_run(own) for name, own in typed_before.items() if isinstance(own, list)}
        self._shared = frozenset.intersection(*lines.values()) if lines else None
        self._owners = {name.casefold(): own for name, own in lines.items()}

    @classmethod
    def of(cls, hydra: DictConfig, typed: Sequence[str], resumed: Path | str | None) -> RunNames:
        """Return the names for the sweep of a `hydra` configuration; other arguments as above."""
        params: Any = OmegaConf.select(hydra, "sweeper.params")
        plain: Any = {} if params is None else OmegaConf.to_container(params, resolve=False)
        return cls(typed, plain, resumed)

    def __call__(self, pair: str, overrides: Sequence[str]) -> str:
        """Return the name of the job with these overrides, the same at every call."""
        lines = _of_run(overrides)
        varied = dict(_parted(line) for line in overrides if line in lines and self._varies(line))
        settings = {k: v for k, v in varied.items() if not implied_by_pair(pair, k, v)}
        name = run_name(pair, settings)
        # file systems of Windows and macOS take A and a for one name
        if self._owners.setdefault(name.casefold(), lines) != lines:
            name = run_name(pair, settings, other=",".join(sorted(lines)))
            self._owners[name.casefold()] = lines
        return name

    def _varies(self, line: str) -> bool:
        key, _ = _parted(line)
        shared = self._shared is None or line in self._shared
        return key == "seed" or key not in self._constant or not shared


def _constant(typed: Sequence[str]) -> set[str]:
    """Return the keys typed with one value; of a key typed twice the last counts, as in Hydra."""
    varied: dict[str, bool] = {}
    for line in typed:
        try:
            (one,) = OverridesParser.create().parse_overrides([line])
        except HydraException:  # Hydra reports it, or it is no override
            continue
        key, _ = _parted(one.get_key_element())
        varied[key] = one.is_sweep_override()
    return {key for key, swept in varied.items() if not swept}


def _of_run(overrides: Sequence[Any]) -> frozenset[str]:
    """Return the overrides that describe the run itself."""
    return frozenset(line for line in map(str, overrides) if is_of_run(line))


def _parted(line: str) -> tuple[str, str]:
    """Split an override into key and value, without the quotes of the value."""
    key, _, value = line.partition("=")
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1]
    return key.lstrip("+~"), value
