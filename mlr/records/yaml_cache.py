"""Cache of parsed YAML for the configurations of many runs, most of whose entries are equal.

A mapping in block style, as OmegaConf writes it, is a sequence of entries that do not depend on
each other. Each is cached by its text, and so are the entries within it; other YAML is parsed by
`plain_yaml` as a whole.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from mlr.core.checks import InputError
from mlr.records.plain_yaml import DEEPEST, Loader, checked, parsed, read_text

MOST_BYTES = 64 << 10
"""Largest file that is split into entries; those of mlr's runs have 5 kB."""
_ENTRIES = re.compile(r"(?<=\n)(?=[^ \n-])")
_KEY = re.compile(r"(?:[A-Za-z_][\w./@-]*|'[^'\n]*'):(?=[ \n])")
_BELOW = re.compile(r"\n(?:  .*\n|\n)+")
"""Lines that all belong to one key, and could be entries of a mapping."""
# anchors reach into other entries, and these characters end a line of YAML too
_NOT_PLAIN = re.compile("[&\r\x85\u2028\u2029]")
Entry = tuple[str, Any, int]
"""Key, value, and depth of the collections in the value."""


class _NotPlainError(Exception):
    """The text is not a mapping in block style."""


def read_yaml(path: Path) -> Any:
    """Read a file as `plain_yaml.read_yaml` does; values may be shared, so change none.

    Raises:
        InputError: it cannot be read, or `plain_yaml.checked` refuses it.
    """
    text = read_text(path)
    if text and len(text) <= MOST_BYTES and not _NOT_PLAIN.search(text):
        try:
            found, depth = _mapping(text)
            if depth <= DEEPEST:
                return found
        except (_NotPlainError, RecursionError):
            pass
    return parsed(text, path)


def _mapping(text: str) -> tuple[dict[str, Any], int]:
    entries = [_entry(one) for one in _ENTRIES.split(text)]
    found = {key: value for key, value, _ in entries}
    if len(found) < len(entries):
        raise _NotPlainError
    return found, 1 + max(depth for *_, depth in entries)


@lru_cache(maxsize=1 << 14)
def _entry(text: str) -> Entry:
    named = _KEY.match(text)
    if named is None:
        raise _NotPlainError
    below = text[named.end() :]
    if _BELOW.fullmatch(below) and _KEY.match(below, 3):
        key, *_ = _leaf(f"{named[0]}\n")
        return key, *_mapping(below[3:].replace("\n  ", "\n"))
    return _leaf(text)


def _leaf(text: str) -> Entry:
    """Parse one key and its value."""
    try:
        checked(text, Path())
        ((key, value),) = yaml.load(text, Loader).items()
    except (InputError, yaml.YAMLError, AttributeError, ValueError, TypeError, OverflowError) as no:
        raise _NotPlainError from no
    if not isinstance(key, str):
        raise _NotPlainError
    return key, value, _depth(value)


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(_depth, inner), default=0) if isinstance(value, (dict, list)) else 0
