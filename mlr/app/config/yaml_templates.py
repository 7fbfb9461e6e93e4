"""YAML of the configurations in a run's `.hydra`; those of a sweep differ in a few scalars.

OmegaConf takes milliseconds to write a configuration. That of a sweep's first job is written by
it, with marks in the place of the scalars; the others are the same pieces with other scalars.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import yaml
from omegaconf import OmegaConf

Keys = tuple[str, ...]

_MARK = "mlr7hole{}7mlr"
_UNQUOTED = re.compile(r"(?=.*[=/])[a-zA-Z/+][\w./,+=-]*", re.ASCII)
"""Overrides and paths that YAML can mistake for nothing else; most strings here are that."""
_NUMBER = re.compile("0|[1-9][0-9]*", re.ASCII)


class Template:
    """The text of a plain configuration with holes at some of its leaves."""

    def __init__(self, plain: Mapping[str, Any], holes: Sequence[Keys]) -> None:
        """Render `plain` with `holes`, each a scalar or a list of scalars, in any order."""
        marked: Any = copy.deepcopy(plain)
        for index, keys in enumerate(holes):
            parent = marked
            for key in keys[:-1]:
                parent = parent[key]
            parent[keys[-1]] = _MARK.format(index)
        split = re.split(_MARK.format(r"(\d+)"), to_yaml(OmegaConf.create(marked)))
        self._first, self._order = split[0], [int(number) for number in split[1::2]]
        self._pieces = split[2::2]
        lines = [piece.rpartition("\n")[2] for piece in split[:-1:2]]
        self._indents = [len(line) - len(line.lstrip()) for line in lines]

    def fill(self, values: Sequence[Any]) -> str:
        """Return the text with `values` in the holes."""
        text = [self._first]
        for index, indent, piece in zip(self._order, self._indents, self._pieces, strict=True):
            value = values[index]
            if isinstance(value, list) and value:
                text[-1] = text[-1].removesuffix(" ")
                text.append("\n" + list_text(value, indent).removesuffix("\n"))
            else:
                text.append("[]" if value == [] else scalar_text(value))
            text.append(piece)
        return "".join(text)


def list_text(items: Sequence[Any], indent: int = 0) -> str:
    """Return the YAML of a list of scalars, a line for each."""
    return "".join(f"{'':{indent}}- {scalar_text(item)}\n" for item in items) or "[]\n"


def scalar_text(value: Any) -> str:
    """Return the YAML of a scalar, in one line."""
    if isinstance(value, str) and _UNQUOTED.fullmatch(value):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return f"'{value}'"
    return str(value) if type(value) is int else _scalar_text(repr(value), value)


@lru_cache(maxsize=1 << 16)
def _scalar_text(_spelling: str, value: Any) -> str:
    # the spelling tells 0.0 from -0.0 and 1 from True, which are equal as keys
    text = to_yaml(OmegaConf.create({"k": value})).removeprefix("k: ").removesuffix("\n")
    if "\n" not in text:
        return text
    quoted: str = yaml.safe_dump(
        with_letters(value), default_style='"', width=math.inf, allow_unicode=True
    )
    return quoted.rstrip("\n")


def to_yaml(config: Any) -> str:
    """Return the YAML of a configuration, interpolations as they are.

    Lone bytes, which LC_ALL=C makes of letters on a command line, are written as these letters.
    """
    with suppress(UnicodeEncodeError):  # OmegaConf 2.4 refuses lone bytes, 2.3 escapes them
        text = OmegaConf.to_yaml(config)
        if "\\uDC" not in text:
            return text
    plain = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
    return OmegaConf.to_yaml(OmegaConf.create(with_letters(plain)))


def with_letters(value: Any) -> Any:
    """Decode the strings in dictionaries and lists as the UTF-8 that they were typed in."""
    if isinstance(value, dict):
        return {key: with_letters(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_letters(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return value
