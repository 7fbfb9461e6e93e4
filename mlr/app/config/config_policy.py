"""Restrict what a configuration can make Hydra do: run no code, write nowhere else.

Hydra imports and calls what its own part of a configuration names: callbacks, launcher, sweeper,
logging. Files from folders other than mlr's (`--config-dir`, `--config-path`,
`hydra.searchpath`) are data: each is checked before it is loaded, and may set the options of a
run and a short list of Hydra's. What is typed is trusted, unless it has Hydra call what a file
names. The parts of a run are checked where they are constructed, in `mlr.training.instantiate`.
"""

from __future__ import annotations

import re
import warnings
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.hydra import Hydra
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import OmegaConf

from mlr.app.config.output_paths import CONFIGS, check_place
from mlr.core.checks import InputError
from mlr.records.plain_yaml import checked, read_text

MAIN = "train"
SETTINGS = (
    "hydra.mode",
    *(f"hydra.sweeper.{key}" for key in ("max_batch_size", "n_trials", "n_jobs", "direction")),
)
"""Options of Hydra that a file may set, as it may the sweeper's parameters."""
PARAMS = "hydra.sweeper.params."
TYPED = ("allow_targets", "resume", "allow")
"""Options that count on the command line only: trust, and which run is changed."""
CALLING = ("callbacks", "launcher", "sweeper", "job_logging", "hydra_logging")
"""Parts of `hydra` of which Hydra makes objects."""
_REFERENCE = re.compile(r"\$\{[\w.\[\]-]*\}")
"""Reference to another key, the only interpolation that a file may have."""


@contextmanager
def guarded(flags: Namespace) -> Iterator[None]:
    """Check the command line, parsed by `read_arguments`, and every file that Hydra loads inside.

    Raises:
        InputError: an override or a file asks for what it may not.
    """
    overrides = [one for line in flags.overrides for one in _parsed(line)]
    check_overrides(overrides)
    if not (flags.cfg or flags.info or flags.help or flags.shell_completion):
        _check_folders(overrides, "sweep" if flags.multirun else "run")
    Plugins.instance()  # registers the kinds of sources, once
    # Hydra has no other place to look at a file before its interpolations are resolved
    sources: Any = SourcesRegistry.instance().types
    plain, get_mode = sources["file"], getattr(Hydra, "get_mode", None)
    sources["file"] = partial(CheckedFiles, main=(flags.config_name or MAIN).removesuffix(".yaml"))
    if get_mode is not None and not _may_set_mode(flags, overrides):
        # it composes all of the configuration for this, which takes a tenth of a second
        Hydra.get_mode = lambda *_, **__: None  # type: ignore[method-assign]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", ".* is not available", UserWarning)
            yield
    except UserWarning as warning:
        if "is not available" not in str(warning):
            raise
        raise InputError(str(warning)) from warning  # a folder of hydra.searchpath
    finally:
        sources["file"] = plain
        if get_mode is not None:
            Hydra.get_mode = get_mode  # type: ignore[method-assign]


def _may_set_mode(flags: Namespace, overrides: Sequence[Override]) -> bool:
    """Return True unless `hydra.mode` is null: by overrides, files of others, or mlr's own."""
    keys = {one.key_or_group for one in overrides if "hydra" in one.key_or_group}
    if keys - {"hydra.run.dir", "hydra.sweep.dir"} or any(one.package for one in overrides):
        return True
    if flags.config_name or flags.config_path or flags.config_dir:
        return True
    own = (CONFIGS / f"{MAIN}.yaml", *CONFIGS.glob("experiment/*.yaml"))
    return any(re.search(r"\bmode\b", read_text(path)) for path in own)


def check_overrides(overrides: Sequence[Override]) -> None:
    """Refuse overrides by which Hydra would call what a file names.

    Raises:
        InputError: names the key.
    """
    for one in overrides:
        if "hydra" in re.split(r"\W+", one.package or ""):
            raise InputError(f"{one.input_line!s:.60} moves a file into hydra; leave @… out.")
        for key, value in _leaves(one.key_or_group, one.value()):
            words = re.findall(r"\w+", key)  # 1.4 takes a[b] for a.b
            if words[:1] == ["hydra"] and {*CALLING} & set(words) and "${" in str(value):
                raise InputError(f"{key}={value!s:.60} must be a plain value.")
            if words == ["hydra", "output_subdir"] and value is not None:
                raise InputError("hydra.output_subdir must be null: mlr writes .hydra itself.")


def _check_folders(overrides: Sequence[Override], mode: str) -> None:
    """Refuse output folders typed as plain values, or the usual one; `check_output` the others."""
    typed = dict(pair for one in overrides for pair in _leaves(one.key_or_group, one.value()))
    for key in ("hydra.run.dir", "hydra.sweep.dir"):
        if key in typed and "${" not in str(typed[key]):
            check_place(key, typed[key])
    resumed = typed.get("resume" if mode == "run" else "sweep.resume")
    if f"hydra.{mode}.dir" not in typed and resumed is None:
        check_place(f"hydra.{mode}.dir", "runs")


def check_output(hydra: Any) -> None:
    """Refuse the folder that Hydra has made for a job, by Hydra's part of its configuration.

    Raises:
        InputError: it would do harm, or lies outside of its sweep.
    """
    folder = Path(hydra.runtime.output_dir)
    sweep = Path(hydra.runtime.cwd, hydra.sweep.dir)
    if hydra.job.chdir:  # which is refused as a whole
        return
    if hydra.mode == RunMode.RUN:
        check_place("hydra.run.dir", folder)
    elif sweep.resolve() not in folder.resolve().parents:
        raise InputError(f"hydra.sweep.subdir leads to {folder}, out of the sweep's {sweep}.")


def _parsed(line: str) -> list[Override]:
    """Parse one override; the list is empty where Hydra will refuse it."""
    try:
        return list(OverridesParser.create().parse_overrides([line]))
    except Exception:  # reported by Hydra, when it parses all
        return []


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield whole keys and plain values at and below `key`."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(f"{key}.{name}", inner)
    elif isinstance(value, list) and value:
        for inner in value:
            yield from _leaves(key, inner)
    else:
        yield key, value


class CheckedFiles(FileConfigSource):
    """A folder of configuration files, each checked before it is loaded."""

    def __init__(self, provider: str, path: str, main: str = MAIN) -> None:
        """Read files of `path`; `main` is the name of the main configuration."""
        super().__init__(provider=provider, path=path)
        self.main = main

    def load_config(self, config_path: str) -> ConfigResult:
        """Load a file; InputError if it is refused."""
        path = Path(self.path, self._normalize_file_name(config_path))
        checked(read_text(path), path)
        try:
            result = super().load_config(config_path)
        except Exception as error:  # OmegaConf's and Hydra's own, of many kinds
            text = str(error).strip().partition("\n")[0]
            raise InputError(f"{path} cannot be loaded: {text}.") from error
        name = config_path.removesuffix(".yaml")
        content: Any = OmegaConf.to_container(result.config, resolve=False)
        own = _within(path, CONFIGS)
        if name == self.main and not (own and name == MAIN):
            defaults = content.get("defaults") if isinstance(content, dict) else None
            if not isinstance(defaults, list) or MAIN not in defaults:
                raise InputError(f"{path} must list `{MAIN}`, mlr's main file, in its defaults.")
        if not own:
            if not _within(path, Path(self.path)):
                raise InputError(f"{path} lies outside the folder {self.path} by a link or `..`.")
            package = str(cast(Any, result.header).get("package") or "")
            check_file(path, name, package, content)
        return result


def _within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def check_file(path: Path, name: str, package: str, content: Any) -> None:
    """Refuse a file of others that is more than data.

    Args:
        path: of the file.
        name: in its folder, as `head/sigmoid`.
        package: that its header names.
        content: plain values, interpolations as they are.

    Raises:
        InputError: names the file.
    """
    if name == "schema":
        raise _refused(path, "has the name of mlr's own types")
    if "hydra" in name.split("/")[:-1] or "hydra" in re.split(r"\W+", package):
        raise _refused(path, f"sets hydra.{name.rpartition('/')[2]}")
    _, asked, rest = _REFERENCE.sub("", str(content)).partition("${")
    if asked:
        raise _refused(path, f"asks for ${{{rest.partition('}')[0]:.40}…}}")
    defaults = content.get("defaults") if isinstance(content, dict) else None
    for item in defaults if isinstance(defaults, list) else [defaults]:
        _check_default(path, item)
    for key, value in _leaves("", content):
        words = re.split(r"\W+", f"{key}.")[1:]
        if value and (words[0] in TYPED or words[:2] == ["sweep", "resume"]):
            raise InputError(f"{path}: {key[1:]}={value!s:.60} counts only where it is typed.")
        if words[:1] == ["hydra"]:
            _check_setting(path, key[1:], value)


def _check_setting(path: Path, key: str, value: Any) -> None:
    param = key.removeprefix(PARAMS)
    if param == key and key not in SETTINGS:
        raise _refused(path, f"sets {key:.60}")
    if param != key and {"hydra", *TYPED} & set(re.split(r"\W+", param)):
        raise _refused(path, f"sets {param:.60} in hydra.sweeper.params")
    if "${" in str(value):
        raise _refused(path, f"has an interpolation in {key:.60}")


def _check_default(path: Path, item: Any) -> None:
    """Refuse an entry of a defaults list that reaches out of its folder, or into hydra.

    It may choose in groups of hydra: `check_file` leaves only those of installed packages.
    """
    for key, value in item.items() if isinstance(item, dict) else [(item, None)]:
        group, _, package = str(key).partition("@")
        leads_out = ".." in re.split(r"[^\w.-]+", f"{group} {value}")
        if leads_out or "$" in str(key) or "hydra" in re.split(r"\W+", package):
            raise _refused(path, f"asks for {str(key)[:60]} in its defaults")


def _refused(path: Path, reason: str) -> InputError:
    return InputError(f"{path} {reason}, which a file of others may not; type it if you mean it.")
