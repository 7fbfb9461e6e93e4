"""A composition by Hydra, and the jobs that differ from it in scalars only."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, flag_override, open_dict, read_write

from mlr.app.config.yaml_templates import (
    Documents,
    Filled,
    Keys,
    Template,
    copy_plain,
    list_text,
    to_yaml,
)

SCALARS = (bool, int, float, str, type(None))
OVERRIDES = ("hydra", "overrides", "task")
DIRNAME = ("hydra", "job", "override_dirname")
IDENTITY = (("hydra", "job", "id"), ("hydra", "job", "num"), ("hydra", "runtime", "output_dir"))


class Base:
    """One composition by Hydra, and what scalars set on top of it come to.

    plain: of the task, interpolations as they are.
    hydra: Hydra's own, likewise.
    overrides: of the task, as typed.
    """

    def __init__(self, tree: DictConfig) -> None:
        """`tree`: all of the configuration, Hydra's own part included."""
        self.fresh = _copier(tree)
        self.plain: dict[str, Any]
        self.hydra: dict[str, Any]
        self.overrides: list[str]
        self._task = without_hydra(tree)
        self.plain = OmegaConf.to_container(self._task)  # type: ignore[assignment]
        self.hydra = OmegaConf.to_container(tree.hydra, enum_to_str=True)  # type: ignore[assignment]
        self.overrides = self.hydra["overrides"]["task"]
        self.interpolated = "${" in str(self.plain)
        self._values: dict[str, Any] = {}
        self._templates: dict[tuple[Keys, ...], Template] = {}

    def at(self, keys: Keys) -> Any:
        """Return the value at `keys`, reached through dictionaries only; else Ellipsis."""
        node: Any = self.plain
        for key in keys:
            if not isinstance(node, dict) or key not in node:
                return ...
            node = node[key]
        return node

    def is_scalar(self, keys: Keys) -> bool:
        """Tell if a plain value stands at `keys`, as opposed to nothing or more than that."""
        value = self.at(keys)
        return isinstance(value, SCALARS) and "${" not in str(value)

    def converted(self, line: str, keys: Keys, value: Any) -> Any:
        """Convert `value` for its place at `keys`, by the type of the place.

        Args:
            line: the override, by which the answer is remembered.
            keys: of a scalar.
            value: to be set there.

        Raises:
            OmegaConfBaseException: it does not fit there.
        """
        if line not in self._values:
            place = ".".join(keys)
            OmegaConf.update(self._task, place, value)
            self._values[line] = OmegaConf.select(self._task, place)
        return self._values[line]

    def template(self, holes: tuple[Keys, ...]) -> Template:
        """The text of `config.yaml` with holes."""
        if holes not in self._templates:
            self._templates[holes] = Template(self.plain, holes)
        return self._templates[holes]

    @cached_property
    def hydra_template(self) -> Template:
        """The text of `hydra.yaml` with holes for all that differs between jobs."""
        hydra = {**self.hydra, "output_subdir": shown_subdir(self.hydra["output_subdir"])}
        return Template({"hydra": hydra}, (OVERRIDES, DIRNAME, *IDENTITY))


@dataclass(frozen=True)
class Composed:
    """One job's configuration.

    base: the composition it rests on.
    overrides: of the task, as typed.
    patches: place and value of each scalar set on top.
    dirname: Hydra's `hydra.job.override_dirname`.
    """

    base: Base
    overrides: tuple[str, ...]
    patches: tuple[tuple[Keys, Any], ...]
    dirname: str

    def tree(self) -> DictConfig:
        """All of it, Hydra's own part included, as Hydra composes it."""
        tree = self.base.fresh()
        if self.patches:
            for keys, value in self.patches:
                OmegaConf.update(tree, ".".join(keys), value)
            tree.hydra.overrides.task = list(self.overrides)
            tree.hydra.job.override_dirname = self.dirname
        return tree

    def plain(self) -> dict[str, Any]:
        """The task's part as plain values, interpolations as they are."""
        plain: dict[str, Any] = copy_plain(self.base.plain)
        for keys, value in self.patches:
            node = plain
            for key in keys[:-1]:
                node = node[key]
            node[keys[-1]] = value
        return plain

    def documents(self, number: int, folder: Path) -> Documents:
        """The texts of the job's `.hydra`, as Hydra writes them."""
        holes = tuple(keys for keys, _ in self.patches)
        config: str | Filled | None
        hydra: str | Filled | None
        config = self.base.template(holes).fill([value for _, value in self.patches])
        identity = (str(number), number, str(folder))
        hydra = self.base.hydra_template.fill([list(self.overrides), self.dirname, *identity])
        if config is None or hydra is None:
            tree = identified(self.tree(), number, folder)
            config = config or to_yaml(without_hydra(tree))
            hydra = hydra or _hydra_text(tree)
        overrides = list_text(self.overrides)
        return Documents({"config.yaml": config, "hydra.yaml": hydra, "overrides.yaml": overrides})


def identified(tree: DictConfig, number: int, folder: Path | None = None) -> DictConfig:
    """`tree` with the job's number, and its folder once that is known."""
    with read_write(tree), open_dict(tree), read_write(tree.hydra):
        tree.hydra.job.id = str(number)
        tree.hydra.job.num = number
        if folder is not None:
            tree.hydra.runtime.output_dir = str(folder)
    return tree


def without_hydra(tree: DictConfig) -> DictConfig:
    """The task's part alone, a copy."""
    task = copy.deepcopy(tree)
    with flag_override(task, ["readonly", "struct"], False):
        del task["hydra"]
    return task


def shown_subdir(subdir: str | None) -> str:
    """The folder of Hydra's files: mlr writes them itself, so Hydra is told of none."""
    return ".hydra" if subdir is None else subdir


@contextmanager
def current(tree: DictConfig) -> Iterator[None]:
    """Let HydraConfig, and so `${hydra:…}`, be that of `tree`."""
    instance = HydraConfig.instance()
    before = instance.cfg
    instance.set_config(tree)
    try:
        yield
    finally:
        instance.cfg = before


def _hydra_text(tree: DictConfig) -> str:
    hydra = OmegaConf.masked_copy(tree, "hydra")
    with read_write(hydra.hydra), open_dict(hydra.hydra):
        hydra.hydra.output_subdir = shown_subdir(hydra.hydra.output_subdir)
    return to_yaml(hydra)


def _copier(tree: DictConfig) -> Callable[[], DictConfig]:
    """Makes copies of `tree`."""
    try:
        pickled = pickle.dumps(tree)  # five times as fast as deepcopy
    except (pickle.PicklingError, AttributeError, TypeError):  # types made inside a function
        return lambda: copy.deepcopy(tree)
    return lambda: pickle.loads(pickled)
