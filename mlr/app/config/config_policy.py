"""Limits of what Hydra may do with a configuration, judged when it is composed, before it acts.

`guarded` stands between Hydra's composition and all that Hydra then instantiates: callbacks,
launcher, sweeper, logging. What may be instantiated is told by exact names; further ones, and a
user's own modules, come from `allow_targets` on the command line and from nowhere else.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlr.app.config.arguments import canonical
from mlr.app.config.composition_cache import current
from mlr.app.config.flags import read_flags
from mlr.app.config.output_paths import check_below, check_place
from mlr.app.config.schema import Config
from mlr.app.config.untrusted_config import JudgedFiles
from mlr.core.checks import InputError
from mlr.training.instantiate import is_allowed

_PLUGINS = "hydra_plugins.hydra_"
TARGETS = {
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
    "hydra_plugins.mlr_batched.launcher.BatchedLauncher",
    f"{_PLUGINS}ax_sweeper.ax_sweeper.AxSweeper",
    f"{_PLUGINS}joblib_launcher.joblib_launcher.JoblibLauncher",
    f"{_PLUGINS}nevergrad_sweeper.nevergrad_sweeper.NevergradSweeper",
    f"{_PLUGINS}optuna_sweeper._impl.create_nsgaii_sampler",
    f"{_PLUGINS}optuna_sweeper._impl.create_nsgaiii_sampler",
    f"{_PLUGINS}optuna_sweeper.optuna_sweeper.OptunaSweeper",
    f"{_PLUGINS}ray_launcher.ray_aws_launcher.RayAWSLauncher",
    f"{_PLUGINS}ray_launcher.ray_launcher.RayLauncher",
    f"{_PLUGINS}submitit_launcher.submitit_launcher.LocalLauncher",
    f"{_PLUGINS}submitit_launcher.submitit_launcher.SlurmLauncher",
    "optuna.samplers.CmaEsSampler",
    "optuna.samplers.GPSampler",
    "optuna.samplers.GridSampler",
    "optuna.samplers.MOTPESampler",
    "optuna.samplers.NSGAIISampler",
    "optuna.samplers.QMCSampler",
    "optuna.samplers.RandomSampler",
    "optuna.samplers.TPESampler",
}
"""What hydra.launcher and hydra.sweeper may name, beside what allow_targets allows."""
CALLED = ("_target_", "custom_search_space")
FACTORIES = {"colorlog.ColoredFormatter"}
HANDLERS = {"logging.StreamHandler", "logging.FileHandler"}
STREAMS = {"ext://sys.stdout", "ext://sys.stderr"}
LOG_FILES = {"${hydra.runtime.output_dir}/${hydra.job.name}.log"}
FILE_NAME = re.compile(r"[\w.=,+@-]+")
TYPED = ("resume", "allow", "sweep.resume")
"""Of a run that is there: nobody but who types may change it."""
_TEXT = ("hydra:", "now:")
"""Resolvers that give no more than a text."""


@contextmanager
def guarded(arguments: Sequence[str]) -> Iterator[None]:
    """Have every configuration judged that Hydra composes meanwhile.

    Args:
        arguments: of the command line, without the program.

    Raises:
        InputError: a flag cannot be followed.
    """
    flags = read_flags(arguments)
    typed = _typed(flags.overrides)
    trains = not (flags.cfg or flags.info or flags.help or flags.shell_completion)
    keys = {one.lstrip("+").partition("=")[0] for one in arguments}
    Plugins.instance()  # registers the kinds of sources, once
    sources, loaders = SourcesRegistry.instance().types, cast(Any, ConfigLoaderImpl)
    files, plain = sources["file"], loaders._load_configuration_impl

    def judged(
        loader: ConfigLoaderImpl,
        config_name: str | None,
        overrides: Sequence[str],
        run_mode: RunMode,
        *given: Any,
        **named: Any,
    ) -> DictConfig:
        lines = [canonical(line) for line in overrides]
        if lines != list(overrides):
            named.pop("parsed_overrides", None)  # 1.4 has them parsed already
        with warnings.catch_warnings():
            warnings.filterwarnings("error", ".* is not available", UserWarning)
            try:
                tree = plain(loader, config_name, lines, run_mode, *given, **named)
            except UserWarning as warning:  # of a search path
                raise InputError(str(warning)) from warning
        if flags.hydra_help:  # of Hydra's own part alone, and nothing is made of it
            return tree
        # 1.4 leaves the mode of a single run open until it is composed
        alone = trains and run_mode == RunMode.RUN
        check_composed(tree, typed, keys, RunMode.RUN if alone else None)
        check_typed(tree, keys)
        return tree

    sources["file"] = JudgedFiles
    loaders._load_configuration_impl = judged
    try:
        yield
    finally:
        sources["file"] = files
        loaders._load_configuration_impl = plain


def check_composed(
    tree: DictConfig,
    allowed: Collection[str],
    keys: Collection[str] = (),
    mode: RunMode | None = None,
) -> None:
    """Refuse a configuration that would make Hydra run code, or write where it must not.

    Args:
        tree: all of it, Hydra's own part included.
        allowed: names that `allow_targets` has on the command line.
        keys: of the command line.
        mode: in which it is used, where it does not say so itself.

    Raises:
        InputError: naming the key.
    """
    if OmegaConf.get_type(tree) is not Config:
        raise InputError(
            "the main configuration has not mlr's types; "
            "begin its list of defaults with `schema`, as configs/train.yaml does."
        )
    plain: Any = OmegaConf.to_container(tree, resolve=False, enum_to_str=True)
    trusted = plain.get("allow_targets")
    for name in trusted if isinstance(trusted, list) else ():
        if name not in allowed:
            raise InputError(
                f"allow_targets={name} counts only where it is typed: "
                "neither a file nor a sweeper can say whom you trust."
            )
    hydra = plain["hydra"]
    for part in ("callbacks", "launcher", "sweeper"):
        _check_targets(tree, f"hydra.{part}", hydra.get(part), allowed)
    for part in ("job_logging", "hydra_logging"):
        _check_logging(tree, f"hydra.{part}", hydra.get(part))
    if not FILE_NAME.fullmatch(str(hydra["job"]["name"])):
        raise InputError(f"hydra.job.name={hydra['job']['name']!a:.60} must be a plain name.")
    if hydra["output_subdir"] is not None:
        raise InputError("hydra.output_subdir must be null: mlr writes .hydra itself.")
    if ".." in (parts := str(hydra["sweep"]["subdir"]).split("/")) or not parts[0]:
        raise InputError("hydra.sweep.subdir leads out of the sweep's folder, hydra.sweep.dir.")
    mode = tree.hydra.mode or mode
    if mode is not None:
        _check_places(tree, "run" if mode == RunMode.RUN else "sweep", keys)


def check_typed(tree: DictConfig, keys: Collection[str]) -> None:
    """Refuse a file that says which run is changed, or with what differences.

    Args:
        tree: all of the configuration.
        keys: of the command line.

    Raises:
        InputError: naming the key.
    """
    for key in TYPED:
        value = OmegaConf.select(tree, key, throw_on_missing=False)
        if value and key not in keys:
            raise InputError(f"{key}={str(value)[:60]} counts only where it is typed.")


def _typed(overrides: Iterable[str]) -> frozenset[str]:
    """Collect what `allow_targets` names on the command line."""
    found: set[str] = set()
    for line in overrides:
        if line.lstrip("+").startswith("allow_targets"):
            for value in _values(line):
                found |= {str(one) for one in (value if isinstance(value, list) else [value])}
    return frozenset(found)


def _values(line: str) -> list[Any]:
    """List what one override sets, or each that it tries; nothing where Hydra will refuse it."""
    try:
        (override,) = OverridesParser.create().parse_overrides([line])
    except Exception:  # told of by Hydra, when it parses all
        return []
    swept = override.is_sweep_override() and override.is_discrete_sweep()
    return list(override.sweep_iterator()) if swept else [override.value()]


def _check_targets(tree: DictConfig, key: str, node: Any, allowed: Collection[str]) -> None:
    for place, name, value in _items(key, node):
        _check_no_node(tree, place, value)
        asked = name in CALLED and value is not None
        if asked and value not in TARGETS and not is_allowed(str(value), allowed):
            raise InputError(
                f"{place}={str(value)[:60]} is not known to mlr, so it is not imported; "
                f"if you trust it, add allow_targets=[{str(value)[:60]}]."
            )


def _check_logging(tree: DictConfig, key: str, node: Any) -> None:
    for place, name, value in _items(key, node):
        _check_no_node(tree, place, value)
        text = value if isinstance(value, str) else ""
        bad = name in ("()", ".") and value not in FACTORIES
        bad |= name == "class" and value not in HANDLERS
        bad |= text.startswith(("ext://", "cfg://")) and text not in STREAMS
        bad |= name == "filename" and value not in LOG_FILES
        if bad:
            raise InputError(f"{place}={str(value)[:60]} is nothing that mlr lets logging do.")


def _check_no_node(tree: DictConfig, place: str, value: Any) -> None:
    """Refuse an interpolation that stands for more than a scalar: what it holds goes unjudged."""
    name = _asked(value) if isinstance(value, str) else ""
    if not name or name.startswith(_TEXT):
        return
    target = None
    plain = re.fullmatch(r"\w+(\.\w+)*", name) is not None
    with suppress(OmegaConfBaseException):  # as the number of a job, which none has yet
        target = OmegaConf.select(tree, name) if plain else None
    if OmegaConf.is_config(target) or not plain:
        raise InputError(f"{place}={value[:60]} must be a plain value.")


def _asked(text: str) -> str:
    """Return what stands between the braces of a text that is one interpolation, else nothing."""
    text = text.strip()
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if place > 0 and depth == 0 and place < len(text) - 1:
            return ""
    return text[2:-1].strip() if text.startswith("${") and text.endswith("}") else ""


def _check_places(tree: DictConfig, mode: str, keys: Collection[str]) -> None:
    key = f"hydra.{mode}.dir"
    typed = {key, f"hydra.{mode}", "hydra"} & {*keys}
    try:
        with current(tree):
            place = OmegaConf.select(tree, key)
            resumed = OmegaConf.select(tree, "resume" if mode == "run" else "sweep.resume")
    except OmegaConfBaseException:  # told of where it is needed
        return
    finally:
        OmegaConf.set_readonly(tree.hydra, False)  # as it was: to be current makes it so
    check_place(key, place)
    if not typed and place != resumed:
        check_below(key, place)


def _items(key: str, node: Any) -> Iterator[tuple[str, str, Any]]:
    """Every value below `key`, with its whole key and the last part of it."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _below(f"{key}.{name}", str(name), value)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _below(f"{key}.{index}", "", value)
    elif node is not None:
        yield key, "", node


def _below(key: str, name: str, value: Any) -> Iterator[tuple[str, str, Any]]:
    if isinstance(value, (dict, list)):
        yield from _items(key, value)
    else:
        yield key, name, value
