"""Configurations of a sweep's jobs: composed by Hydra once for each choice of groups.

Hydra composes a job in tens of milliseconds, and does it twice. But most jobs differ from
another one in scalars only, as in `seed=3`. These are set on top of that job's composition,
converted by OmegaConf to the type of their place; overrides of any other kind belong to the
composition. Values and errors equal Hydra's own: a job that cannot be had in this way is
composed by Hydra.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra._internal import config_loader_impl
from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, ValueType
from omegaconf import DictConfig, OmegaConf, flag_override, open_dict, read_write

from mlr.app.config.arguments import canonical

Keys = tuple[str, ...]

SCALARS = (bool, int, float, str, type(None))
_PLACE = re.compile(r"[A-Za-z_]\w{,99}(\.[A-Za-z_]\w{,99})*", re.ASCII)
"""Key whose every part stands in YAML as it is, as `app.run.hydra_files` wants it."""
_WHOLE = re.compile(r"([A-Za-z]\w*(?:\.[A-Za-z]\w*)*)=(0|[1-9][0-9]{,17})", re.ASCII)
"""Override of a value by a whole number, in the only spelling that a range has."""
MOST_JOBS = 1 << 14
"""Most jobs in the cache: the sweeper asks for each before the launcher does."""
MOST_BASES = 1024
"""Most compositions in the cache; they take about 70 kB each."""


class Base:
    """One composition by Hydra.

    tree: all of the configuration, Hydra's own part included.
    plain: the task's part as plain values, interpolations as they are.
    hydra: Hydra's own, likewise.
    overrides: of the task, as typed.
    """

    def __init__(self, tree: DictConfig) -> None:
        """Take the composition `tree`, which must not change afterwards."""
        self.tree = tree
        self._task = without_hydra(tree)
        plain: Any = OmegaConf.to_container(self._task)
        hydra: Any = OmegaConf.to_container(tree.hydra, enum_to_str=True)
        self.plain: dict[str, Any] = plain
        self.hydra: dict[str, Any] = hydra
        self.overrides: list[str] = hydra["overrides"]["task"]
        self.interpolated = "${" in str(self.plain)
        self._values: dict[str, Any] = {}

    def at(self, keys: Keys) -> Any:
        """Return the value at `keys`, reached through dictionaries only; else Ellipsis."""
        node: Any = self.plain
        for key in keys:
            if not isinstance(node, dict) or key not in node:
                return ...
            node = node[key]
        return node

    def is_scalar(self, keys: Keys) -> bool:
        """Return True if a plain value stands at `keys`, as opposed to nothing or a group."""
        value = self.at(keys)
        return isinstance(value, SCALARS) and "${" not in str(value)

    def converted(self, line: str, keys: Keys, value: Any) -> Any:
        """Convert the value of the override `line` to the type of its place.

        Raises:
            OmegaConfBaseException: it does not fit there.
        """
        if line not in self._values:
            place = ".".join(keys)
            OmegaConf.update(self._task, place, value)
            self._values[line] = OmegaConf.select(self._task, place)
        return self._values[line]


@dataclass(frozen=True)
class Composed:
    """The configuration of one job.

    base: the composition by Hydra that it rests on.
    overrides: of the task, as typed.
    patches: place and value of each scalar set on top.
    dirname: `hydra.job.override_dirname`.
    """

    base: Base
    overrides: tuple[str, ...]
    patches: tuple[tuple[Keys, Any], ...]
    dirname: str

    def tree(self) -> DictConfig:
        """Return all of the configuration, Hydra's own part included, as Hydra composes it."""
        tree = copy.deepcopy(self.base.tree)
        if self.patches:
            for keys, value in self.patches:
                OmegaConf.update(tree, ".".join(keys), value)
            tree.hydra.overrides.task = list(self.overrides)
            tree.hydra.job.override_dirname = self.dirname
        return tree

    def plain(self) -> dict[str, Any]:
        """Return the task's part as plain values, interpolations as they are."""
        plain: dict[str, Any] = _copied(self.base.plain)
        for keys, value in self.patches:
            node = plain
            for key in keys[:-1]:
                node = node[key]
            node[keys[-1]] = value
        return plain

    def hydra_patches(self, number: int, folder: Path) -> dict[Keys, Any]:
        """Return the values of Hydra's part that are the job's own, by their places in it."""
        return {
            ("overrides", "task"): list(self.overrides),
            ("job", "override_dirname"): self.dirname,
            ("job", "id"): str(number),
            ("job", "num"): number,
            ("runtime", "output_dir"): str(folder),
        }


class CachedLoader:
    """Stand in for Hydra's config loader while a sweep is made; pass on what is not cached."""

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        """Compose by `loader`, for the sweep of `master`."""
        self.loader = loader
        self.master = master
        self._bases: dict[tuple[str, ...], Base] = {}
        self._composed: dict[tuple[str, ...], Composed] = {}
        self._search: tuple[Any, ...] = ()
        if master.hydra.searchpath:  # groups may lie there, too
            own = OmegaConf.to_container(master.hydra.overrides.hydra)
            self._search = (master.hydra.job.config_name, own)
        self._groups: dict[str, bool] = {}
        self._scalars: dict[str, bool] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: Sequence[str]
    ) -> DictConfig:
        """Compose a job for a sweeper, which only wants to know that it can be composed.

        Returns:
            The composition that the job rests on, without the scalars set on top.
        """
        if master_config is not self.master:
            return self.loader.load_sweep_config(master_config, list(sweep_overrides))
        return self.compose(sweep_overrides).base.tree

    def tree(self, composed: Composed) -> DictConfig:
        """Return a job's configuration with the values that resolvers have cached."""
        tree = composed.tree()
        OmegaConf.copy_cache(from_config=self.master, to_config=tree)
        return tree

    def compose(self, overrides: Sequence[str]) -> Composed:
        """Compose one job.

        Raises:
            HydraException: Hydra's own, if the overrides make no configuration.
        """
        lines = tuple(map(canonical, overrides))
        composed = self._composed.get(lines)
        if composed is None:
            with suppress(Exception):  # Hydra reports it in its own words, or knows better
                composed = self._patched(lines)
            if composed is None:
                base = self._base(lines)
                dirname = base.hydra["job"]["override_dirname"]
                composed = Composed(base, tuple(base.overrides), (), dirname)
            if len(self._composed) >= MOST_JOBS:
                self._composed.clear()
            self._composed[lines] = composed
        return composed

    def _patched(self, lines: tuple[str, ...]) -> Composed | None:
        parsed = [_parse(line) for line in lines]
        for one in parsed:
            if one.input_line not in self._scalars:
                self._scalars[str(one.input_line)] = self._sets_a_scalar(one)
        on_top = [one for one in parsed if self._scalars[str(one.input_line)]]
        below = [one for one in parsed if not self._scalars[str(one.input_line)]]
        base = self._base(_lines(below))
        if not self._independent(base, on_top, below):
            return None
        patches = tuple(
            (_keys(one), base.converted(str(one.input_line), _keys(one), one.value()))
            for one in on_top
        )
        if not all(isinstance(value, SCALARS) for _, value in patches):
            return None
        task = [one for one in parsed if not one.is_hydra_override()]
        return Composed(base, _lines(task), patches, _dirname(base, task))

    def _sets_a_scalar(self, override: Override) -> bool:
        """Return True if `override` can only change one value of the task."""
        key = override.key_or_group
        value = override.value()
        return (
            override.type == OverrideType.CHANGE
            and override.value_type == ValueType.ELEMENT
            and override.package is None
            and not getattr(override, "is_value_path", False)  # 1.4's other spelling of a key
            and _PLACE.fullmatch(key) is not None
            and key.partition(".")[0] != "hydra"
            and isinstance(value, SCALARS)
            and not (isinstance(value, str) and ("${" in value or value == "???"))
            and not self._is_group(key)
        )

    def _independent(self, base: Base, on_top: list[Override], below: list[Override]) -> bool:
        """Return True if setting `on_top` after `below` changes nothing."""
        places = [_keys(one) for one in on_top]
        if len(set(places)) < len(places) or not all(map(base.is_scalar, places)):
            return False
        if list(base.overrides) != [str(x.input_line) for x in below if not x.is_hydra_override()]:
            return False  # they set the list itself
        return all(self._spares(one, base, places) for one in below)

    def _spares(self, override: Override, base: Base, places: list[Keys]) -> bool:
        """Return True if `override` sets nothing at `places`, nor by an interpolation there."""
        value = override.value()
        if self._is_group(override.key_or_group) and not isinstance(value, dict):
            return True  # Hydra chooses groups before it sets anything
        keys = _keys(override)
        plain = isinstance(value, (*SCALARS, list)) and isinstance(base.at(keys[:-1]), dict)
        apart = all(keys[: len(place)] != place[: len(keys)] for place in places)
        return override.type != OverrideType.DEL and plain and apart

    def _is_group(self, key: str) -> bool:
        if key not in self._groups:
            # None: be it choices or groups that it holds
            self._groups[key] = bool(self.loader.get_group_options(key, None, *self._search))
        return self._groups[key]

    def _base(self, lines: tuple[str, ...]) -> Base:
        """Return Hydra's composition of these overrides."""
        if lines not in self._bases:
            if len(self._bases) >= MOST_BASES:
                del self._bases[next(iter(self._bases))]
            self._bases[lines] = Base(self.loader.load_sweep_config(self.master, list(lines)))
        return self._bases[lines]


def _copied(node: Any) -> Any:
    """Copy plain values; copy.deepcopy takes ten times as long."""
    if isinstance(node, dict):
        return {key: _copied(value) for key, value in node.items()}
    return [_copied(value) for value in node] if isinstance(node, list) else node


@lru_cache(maxsize=1 << 16)
def _parse(line: str) -> Override:
    """Parse an override; of whole numbers as in `seed=3`, only the first of each key by Hydra."""
    whole = _WHOLE.fullmatch(line)
    if whole is None or whole[2] == "0":
        return OverridesParser.create().parse_overrides([line])[0]
    return replace(_parse(f"{whole[1]}=0"), _value=int(whole[2]), input_line=line)


@lru_cache(maxsize=1 << 10)
def _split(key: str) -> Keys:
    return tuple(part for part in re.split(r"[.\[\]]", key) if part)


def _keys(override: Override) -> Keys:
    return _split(override.key_or_group)


def _lines(overrides: Iterable[Override]) -> tuple[str, ...]:
    return tuple(str(one.input_line) for one in overrides)


def _dirname(base: Base, task: list[Override]) -> str:
    """Return `hydra.job.override_dirname`, which Hydra 1.3 computes as it composes."""
    compute = getattr(config_loader_impl, "get_overrides_dirname", None)
    if compute is None:  # 1.4: an interpolation
        return str(base.hydra["job"]["override_dirname"])
    return str(compute(overrides=task, **base.hydra["job"]["config"]["override_dirname"]))


def identified(tree: DictConfig, number: int, folder: Path | None = None) -> DictConfig:
    """Set the job's number in `tree`, and its folder once that is known."""
    with read_write(tree), open_dict(tree), read_write(tree.hydra):
        tree.hydra.job.id = str(number)
        tree.hydra.job.num = number
        if folder is not None:
            tree.hydra.runtime.output_dir = str(folder)
    return tree


def without_hydra(tree: DictConfig) -> DictConfig:
    """Return a copy of the task's part alone."""
    task = copy.deepcopy(tree)
    with flag_override(task, ["readonly", "struct"], False):
        del task["hydra"]
    return task


@contextmanager
def current(tree: DictConfig) -> Iterator[DictConfig]:
    """Let HydraConfig, and so `${hydra:…}`, be that of `tree`."""
    instance = HydraConfig.instance()
    before = instance.cfg
    instance.set_config(tree)
    try:
        yield tree
    finally:
        instance.cfg = before
