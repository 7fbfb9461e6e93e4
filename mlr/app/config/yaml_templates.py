"""The texts of a run's `.hydra`, as Hydra writes them, without writing each anew.

The configurations of a sweep differ in a few scalars. Their text is rendered once, by
OmegaConf itself, with marks in the place of those scalars; a job's text is those pieces
with its own scalars between them. A scalar whose text depends on where it stands, as a
long sentence that is folded, does not fit: such a job's text is rendered as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from omegaconf import OmegaConf

Keys = tuple[str, ...]

MARK = "mlr7hole{}7mlr"
UNQUOTED = re.compile(r"(?=.*[=/])[a-zA-Z/+][\w./,+=-]*", re.ASCII)
"""Overrides and paths that YAML can mistake for nothing else; most strings here are that."""
NUMBER = re.compile("0|[1-9][0-9]*", re.ASCII)
LINE = 80
"""Columns after which YAML's emitter folds, at the next space."""


@dataclass(frozen=True)
class Filled:
    """A text as shared pieces and the few strings between them."""

    pieces: tuple[str, ...]
    fills: tuple[str, ...]

    def __str__(self) -> str:
        parts = [self.pieces[0]]
        for fill, piece in zip(self.fills, self.pieces[1:], strict=True):
            parts += (fill, piece)
        return "".join(parts)


@dataclass(frozen=True)
class Documents(Mapping[str, str]):
    """Texts by file name; small, as each is put together only when asked for."""

    texts: Mapping[str, str | Filled]

    def __getitem__(self, name: str) -> str:
        return str(self.texts[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    def __len__(self) -> int:
        return len(self.texts)


class Template:
    """The text of a plain configuration with holes at some of its leaves.

    A hole at a list of one string takes any number of strings.
    """

    def __init__(self, plain: Mapping[str, Any], holes: Sequence[Keys]) -> None:
        """Render `plain` once; `holes` in any order."""
        marked = copy_plain(plain)
        for index, keys in enumerate(holes):
            parent, last, mark = marked, keys[-1], MARK.format(index)
            for key in keys[:-1]:
                parent = parent[key]
            parent[last] = [mark] if isinstance(parent[last], list) else mark
        text = to_yaml(OmegaConf.create(marked))
        split = re.split(MARK.format(r"(\d+)"), text)
        self.order = [int(number) for number in split[1::2]]
        self.usable = sorted(self.order) == list(range(len(holes)))
        self.pieces = tuple(split[::2])
        # what stands before the scalar in its line: the indent, and the key or the dash
        self.heads = [piece.rpartition("\n")[2] for piece in self.pieces[:-1]]

    def fill(self, values: Sequence[Any]) -> Filled | None:
        """The text with `values` in the holes; None if it must be rendered as a whole."""
        if not self.usable:
            return None
        fills = []
        for head, index in zip(self.heads, self.order, strict=True):
            value = values[index]
            items = value if isinstance(value, list) else [value]
            texts = [scalar_text(item, len(head)) for item in items]
            if not texts or None in texts:
                return None
            fills.append(f"\n{head}".join(texts))  # type: ignore[arg-type]
        return Filled(self.pieces, tuple(fills))


def scalar_text(value: Any, column: int) -> str | None:
    """YAML of a scalar at `column`; None if it may depend on its surroundings."""
    if isinstance(value, str) and not re.fullmatch("[ -~]*", value):
        return None
    text = _scalar_text(repr(value), value)
    return None if " " in text and column + len(text) >= LINE else text


@lru_cache(maxsize=1 << 16)
def _scalar_text(_spelling: str, value: Any) -> str:
    # the spelling tells 0.0 from -0.0 and 1 from True, which are equal as keys
    if type(value) is int:
        return str(value)
    if isinstance(value, str) and UNQUOTED.fullmatch(value):
        return value
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return f"'{value}'"
    return OmegaConf.to_yaml({"k": value}).removeprefix("k: ").removesuffix("\n")


def list_text(items: Sequence[str]) -> str:
    """YAML of a list that is a whole document."""
    texts = [scalar_text(item, len("- ")) for item in items]
    if not texts or None in texts:
        return to_yaml(OmegaConf.create(list(items)))
    return "".join(f"- {text}\n" for text in texts)


def to_yaml(config: Any) -> str:
    """YAML of a configuration, with letters for the lone bytes that LC_ALL=C makes of them."""
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


def copy_plain(value: Any) -> Any:
    """Dictionaries and lists anew, what is in them as it is."""
    if isinstance(value, dict):
        return {key: copy_plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copy_plain(item) for item in value]
    return value
