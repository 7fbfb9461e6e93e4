"""Configurations of a sweep's jobs: composed by Hydra once for each choice of groups.

Hydra composes a job in tens of milliseconds, and does it twice. But most jobs differ from
another one in scalars only, as in `seed=3`. These are set on top of that job's composition
by OmegaConf, which checks their types; overrides of any other kind belong to the
composition. What comes out equals Hydra's own, and so do the errors: a job that cannot be
had in this way is composed by Hydra.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from hydra._internal import config_loader_impl
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, ValueType
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig, OmegaConf

from mlr.app.config.arguments import canonical
from mlr.app.config.composition_cache import SCALARS, Base, Composed
from mlr.app.config.yaml_templates import Keys

MOST_COMPOSED = 1 << 14
"""Most jobs in the cache: the sweeper asks for each before the launcher does."""
MOST_BASES = 1024
"""Most compositions in the cache; they take about 70 kB each."""


class Composer:
    """Stands in for Hydra's config loader; what it does not do itself, that one does."""

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

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: Sequence[str]
    ) -> DictConfig:
        """A job's configuration, as Hydra's loader gives it."""
        if master_config is not self.master:
            return self.loader.load_sweep_config(master_config, list(sweep_overrides))
        composed = self.compose(sweep_overrides)
        if sys._getframe(1).f_code is Sweeper.validate_batch_is_legal.__code__:
            return master_config  # it is thrown away there: that it can be had is all that counts
        return self.tree(composed)

    def tree(self, composed: Composed) -> DictConfig:
        """A job's configuration; what resolvers remember of the sweep included."""
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
            if len(self._composed) >= MOST_COMPOSED:
                self._composed.clear()
            composed = self._composed[lines] = self._anew(lines)
        return composed

    def _anew(self, lines: tuple[str, ...]) -> Composed:
        try:
            composed = self._patched(lines)
        except Exception:  # Hydra tells of it in its own words, or knows better
            composed = None
        if composed is not None:
            return composed
        base = self._base(lines)
        return Composed(base, tuple(base.overrides), (), base.hydra["job"]["override_dirname"])

    def _patched(self, lines: tuple[str, ...]) -> Composed | None:
        parsed = [_parse(line) for line in lines]
        scalars = [one for one in parsed if self._sets_a_scalar(one)]
        base = self._base(_lines(one for one in parsed if one not in scalars))
        on_top = [one for one in scalars if base.is_scalar(_keys(one))]
        below = [one for one in parsed if one not in on_top]
        if len(on_top) < len(scalars):  # the others name no scalar of this composition
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
            and re.fullmatch(r"\w+(\.\w+)*", key) is not None
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
        for one in below:
            if self._is_group(one.key_or_group) and not isinstance(one.value(), dict):
                continue  # Hydra chooses groups before it sets anything
            keys = _keys(one)
            if any(keys[: len(place)] == place[: len(keys)] for place in places):
                return False
            if base.interpolated and not _stays(base, one, keys):
                return False
        return True

    def _is_group(self, key: str) -> bool:
        if key not in self._groups:
            # None: be it choices or groups that it holds
            self._groups[key] = bool(self.loader.get_group_options(key, None, *self._search))
        return self._groups[key]

    def _base(self, lines: tuple[str, ...]) -> Base:
        """Hydra's composition of these overrides."""
        if lines not in self._bases:
            if len(self._bases) >= MOST_BASES:
                del self._bases[next(iter(self._bases))]
            self._bases[lines] = Base(self.loader.load_sweep_config(self.master, list(lines)))
        return self._bases[lines]


@lru_cache(maxsize=1 << 16)
def _parse(line: str) -> Override:
    return OverridesParser.create().parse_overrides([line])[0]


@lru_cache(maxsize=1 << 10)
def _split(key: str) -> Keys:
    return tuple(part for part in re.split(r"[.\[\]]", key) if part)


def _keys(override: Override) -> Keys:
    return _split(override.key_or_group)


def _lines(overrides: Iterable[Override]) -> tuple[str, ...]:
    return tuple(str(one.input_line) for one in overrides)


def _stays(base: Base, override: Override, keys: Keys) -> bool:
    """Return True if `override` sets its key, and nothing else by an interpolation."""
    sets = override.type in (OverrideType.CHANGE, OverrideType.ADD, OverrideType.FORCE_ADD)
    reached = isinstance(base.at(keys[:-1]), dict)
    return sets and reached and isinstance(override.value(), SCALARS)


def _dirname(base: Base, task: list[Override]) -> str:
    """`hydra.job.override_dirname`, which Hydra 1.3 computes as it composes."""
    compute = getattr(config_loader_impl, "get_overrides_dirname", None)
    if compute is None:  # 1.4: an interpolation
        return str(base.hydra["job"]["override_dirname"])
    return str(compute(overrides=task, **base.hydra["job"]["config"]["override_dirname"]))
