"""Read YAML that others may have written as data, within limits of size, depth and aliases.

A text is read once as a stream of events before any object is made of it, so that neither
nesting nor aliases can cost more than their text.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mlr.core.checks import InputError

MOST_BYTES = 4 << 20
MOST_NODES = 250_000
"""Largest number of values, aliases written out; files of mlr's own have a few thousand."""
DEEPEST = 64
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KINDS = ("null", "bool", "int", "float", "str", "seq", "map")
_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in _KINDS}


class Loader(_Base):  # type: ignore[misc]
    """Loader of plain values; refuses a whole number that no float can hold."""

    def construct_yaml_int(self, node: Any) -> int:
        """Read a whole number; ValueError if a float cannot hold it."""
        value: int = super().construct_yaml_int(node)
        if abs(value) > sys.float_info.max:
            raise ValueError("too large")
        return value


Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_yaml_int)


def read_yaml(path: Path) -> Any:
    """Read a file as plain values.

    Raises:
        InputError: it cannot be read, or `checked` refuses it.
    """
    return parsed(read_text(path), path)


def parsed(text: str, path: Path) -> Any:
    """Read a text as plain values.

    Args:
        text: of YAML.
        path: of the file that it is from.

    Raises:
        InputError: `checked` refuses it.
    """
    checked(text, path)
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:  # as a date, 2026-99-99
        raise InputError(f"{path} holds a value that YAML does not know.") from error


def read_text(path: Path) -> str:
    """Read the text of a file of a size that a configuration may have.

    Raises:
        InputError: it cannot be read, is too large, or no UTF-8.
    """
    try:
        if not path.is_file():  # reading a pipe would wait for ever
            raise InputError(f"{path} is not a file.")
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} is larger than {MOST_BYTES >> 20} MiB.")
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def checked(text: str, path: Path) -> None:
    """Refuse a text that is not safe to load, or has a key twice.

    Args:
        text: of YAML.
        path: of the file that it is from.

    Raises:
        InputError: it is too deep, grows by its aliases, has a tag or a key that occurs twice,
            or is no YAML; names the file and the line.
    """
    walk, line, problem = _Walk(), 1, None
    try:
        for event in yaml.parse(text, Loader):
            line = event.start_mark.line + 1
            if problem := walk.take(event):
                break
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, problem = mark.line + 1 if mark else line, _problem(error)
    if problem:
        raise InputError(f"{path}, line {line}: {problem}.")


@dataclass
class _Collection:
    """A sequence or mapping that is open.

    before: nodes of the text before it.
    height: how many levels are below it, so far.
    """

    mapping: bool
    anchor: str | None
    before: int
    height: int = 0
    children: int = 0
    keys: set[str] = field(default_factory=set)


class _Walk:
    """Measures of a text over its events, aliases written out."""

    def __init__(self) -> None:
        self._open: list[_Collection] = []
        self._anchors: dict[str | None, tuple[int, int]] = {}  # nodes and height
        self._nodes = self._documents = 0

    def take(self, event: Any) -> str | None:
        """Return what is wrong about the next event; None for nothing."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            return "holds a second document" if self._documents > 1 else None
        if isinstance(event, yaml.CollectionEndEvent):
            closed = self._open.pop()
            self._rise(closed.height + 1)
            self._anchors[closed.anchor] = self._nodes - closed.before, closed.height + 1
        if not isinstance(event, yaml.NodeEvent):
            return None
        nodes, height = 1, 0
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                return "has an alias of what is not whole before it"
            nodes, height = self._anchors[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            self._anchors[event.anchor] = 1, 0
        return self._misplaced(event) or self._grown(event, nodes, height)

    def _grown(self, event: Any, nodes: int, height: int) -> str | None:
        """Count a node, and refuse what is too large by it."""
        if isinstance(event, yaml.CollectionStartEvent):
            mapping = isinstance(event, yaml.MappingStartEvent)
            self._open.append(_Collection(mapping, event.anchor, self._nodes))
        self._nodes += nodes
        self._rise(height)
        if len(self._open) + height > DEEPEST:
            return f"is nested more than {DEEPEST} deep"
        return f"comes to more than {MOST_NODES:,} values" if self._nodes > MOST_NODES else None

    def _rise(self, height: int) -> None:
        if self._open:
            self._open[-1].height = max(self._open[-1].height, height)

    def _misplaced(self, event: Any) -> str | None:
        """Refuse a node with a tag, or one that is a key and may not be."""
        tag = getattr(event, "tag", None)
        if tag not in (None, "!") and tag not in _TAGS:
            return "has a tag, which asks for more than data"
        parent = self._open[-1] if self._open else None
        if parent is None:
            return None
        parent.children += 1
        if not parent.mapping or parent.children % 2 == 0:
            return None
        if not isinstance(event, yaml.ScalarEvent):
            return "has a key that is not a plain word"
        if event.value in parent.keys:
            return f"has the key {event.value[:40]!r} twice"
        parent.keys.add(event.value)
        return None


def _problem(error: yaml.YAMLError) -> str:
    problem = str(getattr(error, "problem", None) or "is not YAML").partition("\n")[0]
    if "\\t" in problem or "\t" in problem or "that cannot start any token" in problem:
        return "has a tab or another character that YAML does not know here; indent with spaces"
    if "nesting" in problem:  # which newer parsers notice before it comes to a value
        return f"is nested more than {DEEPEST} deep"
    return f"is not YAML: {problem[:80]}"
