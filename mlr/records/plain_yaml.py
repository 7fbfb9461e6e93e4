"""Read YAML that others may have written as data, within limits of size and depth.

A text is read once as a stream of events before any object is made of it, so that it cannot cost
more than its size. Most entries of the configurations of many runs are equal: each is parsed once.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from mlr.core.checks import InputError

MOST_BYTES = 4 << 20
MOST_NODES = 250_000
"""Largest number of values; files of mlr's own have a few thousand."""
DEEPEST = 64
MOST_SPLIT = 64 << 10
"""Largest file that is split into entries; those of mlr's runs have 5 kB."""
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KINDS = ("null", "bool", "int", "float", "str", "seq", "map")
_TAGS = {None, "!", *(f"tag:yaml.org,2002:{kind}" for kind in _KINDS)}
_ENTRIES = re.compile(r"(?<=\n)(?=[^ \n-])")
_KEY = re.compile(r"(?:[A-Za-z_][\w./@-]*|'[^'\n]*'):(?=[ \n])")
_BELOW = re.compile(r"\n(?:  .*\n|\n)+")
"""Lines that all belong to one key, and could be entries of a mapping."""
# these characters end a line of YAML too; and of deep texts the whole is judged
_NOT_PLAIN = re.compile("[\r\x85\u2028\u2029]|\n {32}|[\\[{]{8}|(?:- ){8}")


class _NotPlainError(Exception):
    """The text is not a mapping in block style."""


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
    """Read a file as plain values, which may be shared: change none.

    Raises:
        InputError: it cannot be read, or `checked` refuses it.
    """
    text = read_text(path)
    if text and len(text) <= MOST_SPLIT and not _NOT_PLAIN.search(text):
        try:
            return _mapping(text)
        except _NotPlainError:
            pass
    return parsed(text, path)


def parsed(text: str, path: Path) -> Any:
    """Read a text, of the file at `path`, as plain values.

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
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def checked(text: str, path: Path) -> None:
    """Refuse a text, of the file at `path`, that is not safe to load, or has a key twice.

    Raises:
        InputError: it is too deep, has an alias, a tag or a key that occurs twice, or is no YAML;
            names the file and the line.
    """
    line, nodes, problem = 1, 0, None
    open_: list[_Collection] = []
    try:
        for event in yaml.parse(text, Loader):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.CollectionEndEvent):
                open_.pop()
            elif isinstance(event, yaml.DocumentStartEvent) and nodes:
                problem = "holds a second document"
            elif isinstance(event, yaml.NodeEvent):
                nodes += 1
                problem = _misplaced(event, open_[-1] if open_ else None)
                if isinstance(event, yaml.CollectionStartEvent):
                    open_.append(_Collection(isinstance(event, yaml.MappingStartEvent)))
                if len(open_) > DEEPEST:
                    problem = f"is nested more than {DEEPEST} deep"
                if nodes > MOST_NODES:
                    problem = f"comes to more than {MOST_NODES:,} values"
            if problem:
                break
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, problem = mark.line + 1 if mark else line, _problem(error)
    if problem:
        raise InputError(f"{path}, line {line}: {problem}.")


class _Collection:
    """A sequence or mapping that is open, with its children so far and their keys."""

    def __init__(self, mapping: bool) -> None:
        self.mapping, self.children = mapping, 0
        self.keys: set[str] = set()


def _misplaced(event: Any, parent: _Collection | None) -> str | None:
    """Refuse an alias, a node with a tag, or one that is a key and may not be."""
    if isinstance(event, yaml.AliasEvent):
        return "has an alias, which is not read; write the value again, or ${its.key}"
    if getattr(event, "tag", None) not in _TAGS:
        return "has a tag, which asks for more than data"
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


def _mapping(text: str) -> dict[str, Any]:
    """Parse a mapping in block style, as OmegaConf writes it: entries that are independent."""
    entries = [_entry(one) for one in _ENTRIES.split(text)]
    found = dict(entries)
    if len(found) < len(entries):
        raise _NotPlainError
    return found


@lru_cache(maxsize=1 << 14)
def _entry(text: str) -> tuple[str, Any]:
    named = _KEY.match(text)
    if named is None:
        raise _NotPlainError
    below = text[named.end() :]
    if _BELOW.fullmatch(below) and _KEY.match(below, 3):
        key, _ = _leaf(f"{named[0]}\n")
        return key, _mapping(below[3:].replace("\n  ", "\n"))
    return _leaf(text)


def _leaf(text: str) -> tuple[str, Any]:
    """Parse one key and its value."""
    try:
        ((key, value),) = parsed(text, Path()).items()
    except (InputError, AttributeError, ValueError) as error:
        raise _NotPlainError from error
    if not isinstance(key, str):
        raise _NotPlainError
    return key, value
