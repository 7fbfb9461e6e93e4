"""YAML that others may have written, read as data: what could harm or mislead is refused.

A file is walked once as a stream of events before any object is made of it, so that neither
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
"""With aliases written out; the largest file of mlr's own, a sweep's, has a few thousand."""
DEEPEST = 64
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KINDS = ("null", "bool", "int", "float", "str", "seq", "map")
_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in _KINDS}


class Loader(_Base):  # type: ignore[misc]
    """Makes plain values; a whole number that no float can hold is refused."""

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
        InputError: it cannot be read, or `checked_yaml` refuses it.
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


def checked_yaml(path: Path) -> str:
    """The text of a file that is safe to load, and says every thing once.

    Raises:
        InputError: it is no file of UTF-8, or too large, or `checked` refuses it.
    """
    text = read_text(path)
    checked(text, path)
    return text


def read_text(path: Path) -> str:
    """Read a file of a size that a configuration may have.

    Raises:
        InputError: it cannot be read, is too large, or no UTF-8.
    """
    try:
        if not path.is_file():  # reading a pipe would wait for ever
            raise InputError(f"{path} is not a file.")
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} is larger than {MOST_BYTES >> 20} MiB.")
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    return text


def checked(text: str, path: Path) -> None:
    """Refuse a text that is not safe to load, or says a thing twice.

    Args:
        text: of YAML.
        path: of the file that it is from.

    Raises:
        InputError: it is too deep, grows by its aliases, has a tag or a key that occurs twice,
            or is no YAML; names the file and the line.
    """
    walk = _Walk(path)
    try:
        for event in yaml.parse(text, Loader):
            walk.take(event)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        walk.line = mark.line + 1 if mark else walk.line
        raise walk.refused(_problem(error)) from error


@dataclass
class _Collection:
    """A sequence or mapping that is open.

    nodes: so far, aliases written out; `below`: how deep they lie.
    """

    mapping: bool
    anchor: str | None
    nodes: int = 1
    below: int = 0
    children: int = 0
    keys: set[str] = field(default_factory=set)


class _Walk:
    """Over the events of one file, in their order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.line = 1
        self._open: list[_Collection] = []
        self._sizes: dict[str, tuple[int, int]] = {}
        self._total = self._documents = 0

    def take(self, event: Any) -> None:
        """Refuse what is wrong about the next event."""
        self.line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self.refused("holds a second document")
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = self._open.pop()
            self._add(closed.anchor, closed.nodes, closed.below + 1, counted=True)
        elif isinstance(event, yaml.NodeEvent):
            self._place(event)
            if isinstance(event, yaml.CollectionStartEvent):
                mapping = isinstance(event, yaml.MappingStartEvent)
                self._open.append(_Collection(mapping, event.anchor))
                self._total += 1
                self._check_size(0)
            elif isinstance(event, yaml.ScalarEvent):
                self._add(event.anchor, 1, 0)
            elif event.anchor in self._sizes:
                self._add(None, *self._sizes[event.anchor])
            else:
                raise self.refused("has an alias of what is not whole before it")

    def refused(self, what: str) -> InputError:
        """Why the file is, with the line."""
        return InputError(f"{self.path}, line {self.line}: {what}.")

    def _place(self, event: Any) -> None:
        """Refuse a node with a tag, or one that is a key and may not be."""
        tag = getattr(event, "tag", None)
        if tag not in (None, "!") and tag not in _TAGS:
            raise self.refused("has a tag, which asks for more than data")
        if not self._open:
            return
        parent = self._open[-1]
        parent.children += 1
        if not parent.mapping or parent.children % 2 == 0:
            return
        if not isinstance(event, yaml.ScalarEvent):
            raise self.refused("has a key that is not a plain word")
        if event.value in parent.keys:
            raise self.refused(f"has the key {event.value[:40]!r} twice")
        parent.keys.add(event.value)

    def _add(self, anchor: str | None, nodes: int, below: int, counted: bool = False) -> None:
        if anchor is not None:
            self._sizes[anchor] = nodes, below
        self._total += 0 if counted else nodes
        self._check_size(below)
        if self._open:
            parent = self._open[-1]
            parent.nodes += nodes
            parent.below = max(parent.below, below)

    def _check_size(self, below: int) -> None:
        if len(self._open) + below > DEEPEST:
            raise self.refused(f"is nested more than {DEEPEST} deep")
        if self._total > MOST_NODES:
            raise self.refused(f"comes to more than {MOST_NODES:,} values")


def _problem(error: yaml.YAMLError) -> str:
    problem = str(getattr(error, "problem", None) or "is not YAML").partition("\n")[0]
    if "\\t" in problem or "\t" in problem or "that cannot start any token" in problem:
        return "has a tab or another character that YAML does not know here; indent with spaces"
    if "nesting" in problem:  # which newer parsers notice before it comes to a value
        return f"is nested more than {DEEPEST} deep"
    return f"is not YAML: {problem[:80]}"
