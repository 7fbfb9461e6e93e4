"""Configuration files as Hydra reads them: of others than mlr's own, only what is data.

A folder that somebody handed over (`--config-dir`, `--config-path`, `hydra.searchpath`) may set
the options of a run. It may not choose what code Hydra runs, read the environment, or say which
modules are trusted; a file that tries is refused before anything is made of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.plugins.config_source import ConfigResult
from omegaconf import OmegaConf

from mlr.app.config.output_paths import CONFIGS
from mlr.core.checks import InputError
from mlr.records.plain_yaml import checked_yaml

RESOLVERS = (
    *("command", "either", "hydra", "now", "oc.select", "pair", "run_name", "short_id"),
    "usual_loss",
)
"""What an interpolation of a file may ask; none reads the environment, or makes text into one."""
PLACES = ("run.dir", "sweep.dir", "sweep.subdir")
"""What a file may set of `hydra`, interpolations included."""
SETTINGS = (
    *("mode", "searchpath", "sweeper.params", "sweeper.max_batch_size"),
    *("sweeper.n_trials", "sweeper.n_jobs", "sweeper.direction"),
)
"""Options of `hydra` that it may set as plain values."""
CHOICES = ("launcher", "sweeper", "sweeper/sampler", "job_logging", "hydra_logging")
"""Groups of `hydra` of which it may choose what installed packages offer."""
_INTERPOLATION = re.compile(r"\$\{\s*(?:[.\w\[\]-]*\}|([A-Za-z_][\w.]*)\s*:)")
_DEFAULT = re.compile(r"(?:(?:optional|override)\s+)*(?P<group>[^@]*)(?:@(?P<package>.*))?")


class JudgedFiles(FileConfigSource):
    """Hydra's files, each judged before it is loaded."""

    def load_config(self, config_path: str) -> ConfigResult:
        """A file's content.

        Raises:
            InputError: it is refused; names the file.
        """
        path = Path(self.path, self._normalize_file_name(config_path))
        checked_yaml(path)
        try:
            result = super().load_config(config_path)
        except Exception as error:  # OmegaConf's and Hydra's own, of many kinds
            text = str(error).strip().partition("\n")[0]
            raise InputError(f"{path} cannot be loaded: {text}.") from error
        if not _within(path, CONFIGS):
            if not _within(path, Path(self.path)):
                raise InputError(f"{path} lies outside the folder {self.path} by a link or `..`.")
            content = OmegaConf.to_container(result.config, resolve=False)
            _check(path, config_path, str(result.header.get("package") or ""), content)
        return result


def _within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _check(path: Path, name: str, package: str, content: Any) -> None:
    """Refuse what a file of others may not say.

    Args:
        path: of the file.
        name: in its folder, as `head/sigmoid`.
        package: that its header names.
        content: plain values, interpolations as they are.
    """
    if name == "schema":
        raise _refused(path, "has the name of mlr's own types")
    if "hydra" in name.split("/")[:-1] or "hydra" in re.split(r"\W+", package):
        raise _refused(path, f"sets hydra.{name.rpartition('/')[2]}")
    for text in _texts(content):
        _check_interpolations(path, text)
    if not isinstance(content, dict):
        return
    if content.get("allow_targets"):
        raise _refused(path, "sets allow_targets")
    for item in content.get("defaults") or ():
        _check_default(path, item)
    hydra = content.get("hydra")
    for key, value in _settings(hydra) if isinstance(hydra, dict) else ():
        if key not in (*PLACES, *SETTINGS):
            raise _refused(path, f"sets hydra.{key}")
        if key in SETTINGS and any("${" in text for text in _texts(value)):
            raise _refused(path, f"has an interpolation in hydra.{key}")
        if key == "searchpath":
            _check_searchpath(path, value)
        if key == "sweeper.params":
            _check_params(path, value)


def _check_interpolations(path: Path, text: str) -> None:
    start = text.find("${")
    while start >= 0:
        found = _INTERPOLATION.match(text, start)
        if found is None or (found[1] is not None and found[1] not in RESOLVERS):
            asked = re.match(r"\$\{[\w.\s]{0,40}", text[start:])
            raise _refused(path, f"asks for {asked[0].strip() if asked else '${'}…}}")
        start = text.find("${", start + 2)


def _check_default(path: Path, item: Any) -> None:
    """Refuse an entry of a defaults list that reaches out of its folder, or into hydra."""
    entries = item.items() if isinstance(item, dict) else [(item, None)]
    for key, value in entries:
        found = _DEFAULT.fullmatch(str(key))
        group, package = (found["group"], found["package"] or "") if found else (str(key), "hydra")
        parts = group.strip().strip("/").split("/")
        values = [str(one) for one in (value if isinstance(value, list) else [value])]
        inner = "/".join(parts[1:]) if parts[0] == "hydra" else None
        if ".." in [*parts, *"/".join(values).split("/")] or "hydra" in re.split(r"\W+", package):
            raise _refused(path, f"asks for {str(key)[:60]} in its defaults")
        if inner is not None and inner not in CHOICES:
            raise _refused(path, f"chooses hydra/{inner[:40]} in its defaults")


def _check_searchpath(path: Path, value: Any) -> None:
    for place in value if isinstance(value, list) else [value]:
        if "://" in str(place).removeprefix("file://"):
            raise _refused(path, f"puts {str(place)[:60]} into hydra.searchpath")


def _check_params(path: Path, params: Any) -> None:
    for key in params if isinstance(params, dict) else ():
        root = re.split(r"\W", str(key).strip().lstrip("+~"))[0]
        if root in ("hydra", "allow_targets"):
            raise _refused(path, f"sets {str(key)[:60]} in hydra.sweeper.params")


def _settings(node: dict[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys below `hydra` with their values; what is a value as a whole is not opened."""
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
