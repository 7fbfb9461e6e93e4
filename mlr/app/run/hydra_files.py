"""Hydra's files in a run's folder, and the folder itself if nothing came of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

import yaml
from omegaconf import OmegaConf

from mlr.records.run_folder import HYDRA

_CDumper: Any = getattr(yaml, "CDumper", yaml.Dumper)  # OmegaConf's own takes ten times as long

Keys = tuple[str, ...]
_KEY = re.compile(r"[A-Za-z_]\w{,99}", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z/][\w./+,-]*[=/][\w./+=,-]*", re.ASCII)
"""Texts with = or / that are written as they stand: most overrides and paths."""


class _Dumper(_CDumper):  # type: ignore[misc]
    """Writer of plain values in the form in which OmegaConf reads them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> Any:
    # LC_ALL=C makes lone bytes of letters on a command line
    letters = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    quotes = None
    with suppress(ValueError):  # OmegaConf would read a number
        float(letters)
        quotes = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", letters, quotes)


_Dumper.add_representer(str, _represent_text)


def to_yaml(config: Any) -> str:
    """Return the YAML of a configuration or of plain values, interpolations as they are."""
    plain = _plain(config)
    return _block(plain, 0) if plain and isinstance(plain, (dict, list)) else _dumped(plain)


def _block(values: Any, depth: int) -> str:
    """Write a mapping or a list as `_dumped` does, but each entry by itself.

    No entry depends on another one, and most are equal in all jobs of a sweep: their text is kept.
    """
    if isinstance(values, dict):
        return "".join([_entry(key, value, depth) for key, value in values.items()])
    return "".join([_item(value, depth) for value in values])


def _item(value: Any, depth: int) -> str:
    dash = f"{'  ' * depth}- "
    if _is_plain(value):
        return f"{dash}{value}\n"
    if isinstance(value, dict):
        return f"{dash}{_block(value, depth + 1)[len(dash) :]}"
    return _below([value], depth + 1)


def _entry(key: Any, value: Any, depth: int) -> str:
    if _is_plain(value):
        return f"{_head(key, depth)} {value}\n"
    if not isinstance(value, (dict, list)):
        return _leaf(key, value, str(value), depth)
    if not _KEY.fullmatch(str(key)):  # a long key is written otherwise
        return _below({key: value}, depth)
    return f"{_head(key, depth)}\n{_block(value, depth + isinstance(value, dict))}"


def _is_plain(value: Any) -> bool:
    """Return True for what stands in YAML as Python prints it."""
    if isinstance(value, str):
        return _PLAIN.fullmatch(value) is not None
    return type(value) is int or (isinstance(value, (dict, list)) and not value)


def _head(key: Any, depth: int) -> str:
    return _leaf(key, None, "", depth).removesuffix(" null\n")


@lru_cache(maxsize=1 << 14, typed=True)
def _leaf(key: Any, value: Any, spelled: str, depth: int) -> str:
    """Write an entry of one value; of equal values only -0.0 is spelled otherwise."""
    return _below({key: value}, depth)


def _below(values: Any, depth: int) -> str:
    """Write values as they stand below so many keys: there, long texts are broken earlier."""
    for _ in range(depth):
        values = {"k": values}
    return _dumped(values).split("k:\n", depth)[depth]


def _dumped(plain: Any) -> str:
    text: str = yaml.dump(plain, Dumper=_Dumper, allow_unicode=True, sort_keys=False)
    return text


def _plain(config: Any) -> Any:
    if not OmegaConf.is_config(config):
        return config
    return OmegaConf.to_container(config, resolve=False, enum_to_str=True)


def hydra_files(config: Any, hydra: Any) -> dict[str, str]:
    """Return the texts of a run's `.hydra`, by name, with the values that Hydra would write.

    Args:
        config: the task's configuration, or plain values of it.
        hydra: Hydra's own, likewise.
    """
    return HydraTexts(_plain(config), _plain(hydra)).files({}, {})


class HydraTexts:
    """The texts of `.hydra` for runs whose configurations differ from one in few values."""

    def __init__(self, config: Mapping[str, Any], hydra: Mapping[str, Any]) -> None:
        """Write the plain values of the task's configuration, and of Hydra's own."""
        own = {**hydra, "output_subdir": HYDRA}
        self._task = own["overrides"]["task"]
        self._config, self._hydra = _pieces(config), _pieces({"hydra": own})

    def files(self, config: Mapping[Keys, Any], hydra: Mapping[Keys, Any]) -> dict[str, str]:
        """Return the texts, by name, of a run with these values at places that are there.

        Args:
            config: scalars of the task's configuration, by place.
            hydra: values of Hydra's own, likewise.
        """
        below = {("hydra", *place): value for place, value in hydra.items()}
        return {
            "config.yaml": _joined(self._config, config),
            "hydra.yaml": _joined(self._hydra, below),
            "overrides.yaml": to_yaml(hydra.get(("overrides", "task"), self._task)),
        }


def _joined(pieces: Mapping[Keys, str], values: Mapping[Keys, Any]) -> str:
    changed = {at: _entry(at[-1], value, len(at) - 1) for at, value in values.items()}
    assert changed.keys() <= pieces.keys()
    return "".join({**pieces, **changed}.values())


def _pieces(values: Mapping[str, Any], above: Keys = ()) -> dict[Keys, str]:
    """Write a mapping as `_block` does; returns the text of each entry by its place."""
    pieces: dict[Keys, str] = {}
    for key, value in values.items():
        at = (*above, key)
        if isinstance(value, dict) and value and _KEY.fullmatch(str(key)):
            pieces |= {at: f"{_head(key, len(above))}\n"} | _pieces(value, at)
        else:
            pieces[at] = _entry(key, value, len(above))
    return pieces
