"""Restrict what a configuration can make Hydra do: run no code, write nowhere else.

Hydra imports and calls what its own part of a configuration names: callbacks, launcher, sweeper,
logging. Files from folders other than mlr's (`--config-dir`, `--config-path`,
`hydra.searchpath`) are data: each is checked before it is loaded, and may set the options of a
run and a short list of Hydra's. Overrides may name code for Hydra only together with
`allow_targets`, which counts on the command line alone. The parts of a run are checked where
they are constructed, in `mlr.training.instantiate`.
"""

from __future__ import annotations

import re
import warnings
from argparse import Namespace
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from hydra._internal.core_plugins.file_config_source import FileConfigSource
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
from mlr.training.instantiate import is_allowed

MAIN = "train"
RESOLVERS = (
    *("command", "either", "hydra", "now", "oc.select", "pair", "run_name", "short_id"),
    "usual_loss",
)
"""Resolvers that a file may call; none reads the environment, or parses a text."""
SETTINGS = (
    *("mode", "searchpath", "sweep.subdir", "sweeper.params", "sweeper.max_batch_size"),
    *("sweeper.n_trials", "sweeper.n_jobs", "sweeper.direction"),
)
"""Options of `hydra` that a file may set; only the subdir, checked later, as an interpolation."""
TYPED = ("allow_targets", "resume", "allow")
"""Options that count on the command line only: trust, and which run is changed."""
CALLING = ("callbacks", "launcher", "sweeper", "job_logging", "hydra_logging")
"""Parts of `hydra` of which Hydra makes objects."""
TARGETS = ("_target_", "custom_search_space", "()", "class")
"""Keys in them that name what is called."""
_INTERPOLATION = re.compile(r"\$\{\s*(?:[.\w\[\]-]*\}|([A-Za-z_][\w.]*)\s*:)")
_DEFAULT = re.compile(r"(?:(?:optional|override)\s+)*(?P<group>[^@]*)(?:@(?P<package>.*))?")


@contextmanager
def guarded(flags: Namespace) -> Iterator[None]:
    """Check the command line, and every file that Hydra loads inside the context.

    Args:
        flags: the command line, parsed by `read_flags`.

    Raises:
        InputError: an override or a file asks for what it may not.
    """
    overrides = [one for line in flags.overrides for one in _parsed(line)]
    check_overrides(overrides)
    if not (flags.cfg or flags.info or flags.help or flags.shell_completion):
        check_folders(overrides, "sweep" if flags.multirun else "run")
    Plugins.instance()  # registers the kinds of sources, once
    # Hydra has no other place to look at a file before its interpolations are resolved
    sources: Any = SourcesRegistry.instance().types
    plain = sources["file"]
    sources["file"] = partial(CheckedFiles, main=(flags.config_name or MAIN).removesuffix(".yaml"))
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


def check_overrides(overrides: Sequence[Override]) -> None:
    """Refuse overrides by which Hydra would call what `allow_targets` does not name.

    Raises:
        InputError: names the key.
    """
    allowed = {
        str(name)
        for one in overrides
        if one.key_or_group == "allow_targets"
        for value in _values(one)
        for name in (value if isinstance(value, list) else [value])
    }
    for one in overrides:
        if "hydra" in re.split(r"\W+", one.package or ""):
            raise InputError(f"{one.input_line!s:.60} moves a file into hydra; leave @… out.")
        place = ".".join(re.findall(r"[^.\[\]'\"]+", one.key_or_group))  # 1.4 takes a[b] for a.b
        for key, value in _leaves(place, one.value()):
            if key.startswith("hydra."):
                _check_hydra(key, value, allowed)


def check_folders(overrides: Sequence[Override], mode: str) -> None:
    """Refuse output folders that are typed as plain values, or the usual one inside mlr's code.

    Others are checked when they are resolved: `check_output`.

    Args:
        overrides: of the command line.
        mode: run or sweep.

    Raises:
        InputError: `check_place` refuses it.
    """
    typed = dict(pair for one in overrides for pair in _leaves(one.key_or_group, one.value()))
    for key in ("hydra.run.dir", "hydra.sweep.dir"):
        if key in typed and "${" not in str(typed[key]):
            check_place(key, typed[key])
    resumed = typed.get("resume" if mode == "run" else "sweep.resume")
    if f"hydra.{mode}.dir" not in typed and resumed is None:
        check_place(f"hydra.{mode}.dir", "runs")


def check_output(hydra: Any) -> None:
    """Refuse the folder that Hydra has made for a job.

    Args:
        hydra: Hydra's part of the job's configuration.

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


def _values(override: Override) -> list[Any]:
    """List what an override sets, or each value that it tries."""
    swept = override.is_sweep_override() and override.is_discrete_sweep()
    return list(override.sweep_iterator()) if swept else [override.value()]


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


def _check_hydra(key: str, value: Any, allowed: Collection[str]) -> None:
    """Refuse a value typed for an option of Hydra."""
    part, last, text = key.split(".")[1], key.rpartition(".")[2], str(value)
    if part in CALLING and "${" in text:
        raise InputError(f"{key}={text:.60} must be a plain value.")
    if part in CALLING and last in TARGETS and value is not None and not is_allowed(text, allowed):
        raise InputError(
            f"{key}={text:.60} is not known to mlr, so it is not imported; "
            f"if you trust it, add allow_targets=[{text:.60}]."
        )
    if key == "hydra.output_subdir" and value is not None:
        raise InputError("hydra.output_subdir must be null: mlr writes .hydra itself.")


class CheckedFiles(FileConfigSource):
    """A folder of configuration files, each checked before it is loaded."""

    def __init__(self, provider: str, path: str, main: str = MAIN) -> None:
        """Read files of `path`; `main` is the name of the main configuration."""
        super().__init__(provider=provider, path=path)
        self.main = main

    def load_config(self, config_path: str) -> ConfigResult:
        """Load a file.

        Raises:
            InputError: it is refused; names the file.
        """
        path = Path(self.path, self._normalize_file_name(config_path))
        checked(read_text(path), path)
        try:
            result = super().load_config(config_path)
        except Exception as error:  # OmegaConf's and Hydra's own, of many kinds
            text = str(error).strip().partition("\n")[0]
            raise InputError(f"{path} cannot be loaded: {text}.") from error
        name = config_path.removesuffix(".yaml")
        content = OmegaConf.to_container(result.config, resolve=False)
        own = _within(path, CONFIGS)
        if name == self.main and not (own and name == MAIN):
            _check_main(path, content)
        if not own:
            if not _within(path, Path(self.path)):
                raise InputError(f"{path} lies outside the folder {self.path} by a link or `..`.")
            package = str(cast(Any, result.header).get("package") or "")
            check_file(path, name, package, content)
        return result


def _within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _check_main(path: Path, content: Any) -> None:
    """Refuse a main configuration without the types and the settings of Hydra that mlr needs."""
    defaults = content.get("defaults") if isinstance(content, dict) else None
    if not isinstance(defaults, list) or MAIN not in defaults:
        raise InputError(f"{path} must list `{MAIN}`, mlr's main configuration, in its defaults.")


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
    for text in _texts(content):
        _check_interpolations(path, text)
    plain: dict[Any, Any] = content if isinstance(content, dict) else {}
    defaults = plain.get("defaults") or []
    for item in defaults if isinstance(defaults, list) else [defaults]:
        _check_default(path, item)
    _check_trust(path, plain)
    hydra = plain.get("hydra")
    for key, value in _settings(hydra) if isinstance(hydra, dict) else ():
        _check_setting(path, key, value)


def _check_trust(path: Path, content: dict[Any, Any]) -> None:
    sweep = content.get("sweep")
    found = {key: content.get(key) for key in TYPED}
    found["sweep.resume"] = sweep.get("resume") if isinstance(sweep, dict) else None
    for key, value in found.items():
        if value:
            raise InputError(f"{path}: {key}={value!s:.60} counts only where it is typed.")


def _check_setting(path: Path, key: str, value: Any) -> None:
    if key not in SETTINGS:
        raise _refused(path, f"sets hydra.{key}")
    if key != "sweep.subdir" and any("${" in text for text in _texts(value)):
        raise _refused(path, f"has an interpolation in hydra.{key}")
    if key == "searchpath":
        for place in value if isinstance(value, list) else [value]:
            if "://" in str(place).removeprefix("file://"):
                raise _refused(path, f"puts {place!s:.60} into hydra.searchpath")
    if key == "sweeper.params" and isinstance(value, dict):
        for param in value:
            if {"hydra", *TYPED} & set(re.split(r"\W+", str(param))):
                raise _refused(path, f"sets {param!s:.60} in hydra.sweeper.params")


def _check_interpolations(path: Path, text: str) -> None:
    start = text.find("${")
    while start >= 0:
        found = _INTERPOLATION.match(text, start)
        if found is None or (found[1] is not None and found[1] not in RESOLVERS):
            asked = re.match(r"\$\{[\w.\s]{0,40}", text[start:])
            raise _refused(path, f"asks for {asked[0].strip() if asked else '${'}…}}")
        start = text.find("${", start + 2)


def _check_default(path: Path, item: Any) -> None:
    """Refuse an entry of a defaults list that reaches out of its folder, or into hydra.

    It may choose in groups of hydra: `check_file` leaves only those of installed packages.
    """
    entries = item.items() if isinstance(item, dict) else [(item, None)]
    for key, value in entries:
        found = _DEFAULT.fullmatch(str(key))
        group, package = (found["group"], found["package"] or "") if found else (str(key), "hydra")
        parts = group.strip().strip("/").split("/")
        values = [str(one) for one in (value if isinstance(value, list) else [value])]
        leads_out = ".." in [*parts, *"/".join(values).split("/")]
        if leads_out or "$" in str(key) or "hydra" in re.split(r"\W+", package):
            raise _refused(path, f"asks for {str(key)[:60]} in its defaults")


def _settings(node: dict[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield keys below `hydra` with their values; what is a value as a whole is not opened."""
    for key, value in node.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value and name not in SETTINGS:
            yield from _settings(value, f"{name}.")
        else:
            yield name, value


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _texts(key)
            yield from _texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value)
    elif isinstance(node, str):
        yield node


def _refused(path: Path, what: str) -> InputError:
    return InputError(f"{path} {what}, which a file of others may not; type it if you mean it.")
