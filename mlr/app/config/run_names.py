"""Names of runs: of their head and loss, and of their folder in a sweep."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from inspect import signature
from typing import Any

from mlr.app.config.run_spec import ROOT
from mlr.heads import HEADS
from mlr.losses import LOSSES
from mlr.training.instantiate import own_part

LONGEST_NAME = 120
"""Bytes of a folder's name: file systems take 255, people and TensorBoard fewer."""
_LONGEST_SEED = 24  # characters: 2**63 has 19
_DIGEST = 6  # bytes: 10,000 jobs with names cut alike must not meet by chance
PAIR = ("head", "loss")
_PARTS: tuple[Any, ...] = (*HEADS, *LOSSES)
_WITHOUT_OPTIONS = {part.name for part in _PARTS if not signature(part).parameters}


def run_name(pair: str, settings: Mapping[str, str], other: str = "") -> str:
    """Return a folder's name, as in `sigmoid+se,lr=0.1,seed=3`.

    The pair comes first, so that names sort and TensorBoard can colour by it, and the seed
    last. What a file system or a shell would stumble over becomes `_`. A name so changed, or
    cut for its length, has a hash of the whole before its seed.

    Args:
        pair: head and loss.
        settings: other options that tell the run from others, by key, as typed.
        other: text that differs from that of other runs of this pair and these settings.
    """
    seed = settings.get("seed", "")
    readable = 0 < len(seed) <= _LONGEST_SEED and re.fullmatch(r"-?\w+", seed, re.ASCII)
    others = {key: value for key, value in settings.items() if key != "seed" or not readable}
    end = f",seed={seed}" if readable else ""
    short = zip(short_keys(others), others.values(), strict=True)
    whole = ",".join([pair, *(f"{key}={value}" for key, value in short)])
    name = re.sub(r"[^\w.=,+\-\[\]]|\.$", "_", whole)
    room = LONGEST_NAME - len(end)
    if name == whole and not other and len(name.encode()) <= room:
        return name + end
    text = f"{whole}\n{other}".encode("utf-8", "surrogateescape")
    digest = blake2b(text, digest_size=_DIGEST).hexdigest()
    cut = name.encode("utf-8", "replace")[: room - len(digest) - 1].decode("utf-8", "ignore")
    return f"{cut}-{digest}{end}"


def short_keys(keys: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """Shorten keys to their last part, where it is a word and no other key has it."""
    last = [re.split(r"[./]", key)[-1] for key in keys]
    return [
        name if last.count(name) == 1 and name not in (*ROOT, "_target_") else key
        for name, key in zip(last, keys, strict=True)
    ]


def pair_of(config: Mapping[str, Any]) -> str:
    """Return head and loss of a configuration, as in `sigmoid+se`, in letters for a folder.

    Args:
        config: not checked yet, so it may name anything.
    """
    parts = []
    for group in PAIR:
        node = config.get(group)
        target = node.get("_target_") if isinstance(node, Mapping) else None
        name = part_name(target) if isinstance(target, str) else ""
        parts.append(re.sub(r"\W", "_", name) or "_")
    return "+".join(parts)


def implied_by_pair(pair: str, key: str, value: str) -> bool:
    """Return True if the pair's name says all that `key=value` chooses.

    A choice of another name than its part's may have options of its own, where the part has any.

    Args:
        pair: head and loss, as `pair_of` names them.
        key: of an override, as in `head` or `head._target_`.
        value: of the override, as typed.
    """
    for group, part in zip(PAIR, pair.split("+"), strict=False):
        if key == f"{group}._target_":
            return part_name(value) == part
        if key == group:
            return part in _WITHOUT_OPTIONS or _letters(value) == _letters(part)
    return False


def _letters(name: str) -> str:
    return name.replace("_", "").casefold()


def part_name(target: str) -> str:
    """Return the name of a part by its `_target_`: mlr's own, or that of the user's class.

    A user's class is named before it is imported, and so not asked for a name of its own.
    """
    own: Any = own_part(target)
    return target.rpartition(".")[2] if own is None else str(own.name)
