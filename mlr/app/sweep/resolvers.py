"""OmegaConf resolvers of mlr's configuration."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from secrets import token_hex
from typing import Any

from omegaconf import OmegaConf

from mlr.app.config.run_names import pair_of
from mlr.app.sweep.sweep_names import RunNames
from mlr.core.commandline import command
from mlr.objectives.compatibility import usual_loss


def register_resolvers(typed: Sequence[str] = ()) -> None:
    """Register the resolvers of mlr's configuration.

    `short_id` is a random name of the process, `pair` head and loss of a job, `run_name` its
    folder, `either` the first of two that is not null, `usual_loss` that of a head, `command` a
    command as it is typed.

    Args:
        typed: the command line, which shows the options that all jobs of a sweep share.
    """
    # OmegaConf 2.4 gives the name of a legacy function to this one, and warns of the old name
    register: Any = OmegaConf.register_new_resolver
    if "use_cache" in signature(OmegaConf.register_resolver).parameters:
        register = OmegaConf.register_resolver
    register("short_id", lambda: token_hex(3), use_cache=True, replace=True)
    register("pair", _pair, replace=True)
    register("run_name", _Namer(typed), replace=True)
    register("either", either, replace=True)
    register("usual_loss", usual_loss, replace=True)
    register("command", command, replace=True)


def either(value: Any, otherwise: Any) -> Any:
    """Return `value`, or `otherwise` if it is null."""
    return otherwise if value is None else value


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
