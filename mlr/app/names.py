"""Names of folders and columns, and the resolvers by which the configuration asks for them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from secrets import token_hex
from typing import Any

from omegaconf import OmegaConf

LONGEST_NAME = 120
"""Bytes of a folder's name: file systems take 255, people and TensorBoard fewer."""


def register_resolvers() -> None:
    """`${short_id:}`: one random name a process; `${run_name:…}`: a job's folder."""
    OmegaConf.register_new_resolver("short_id", lambda: token_hex(3), use_cache=True, replace=True)
    OmegaConf.register_new_resolver("run_name", run_name, replace=True)


def run_name(head: str, loss: str, overrides: Sequence[str]) -> str:
    """A folder name from a job's pair and its other overrides, as in `sigmoid+se,seed=0`.

    The pair comes first, so that names sort and TensorBoard can colour by it; what a file
    system or a shell would stumble over becomes `_`; a name so changed, or cut for its
    length, ends in a hash of the whole.
    """
    others = [part for part in overrides if part.partition("=")[0] not in ("head", "loss")]
    whole = ",".join([f"{head}+{loss}", *others])
    name = re.sub(r"[^\w.=,+\-\[\]]", "_", whole)
    encoded = name.encode("utf-8", "replace")
    if len(encoded) > LONGEST_NAME or name != whole:
        digest = blake2b(whole.encode("utf-8", "surrogateescape"), digest_size=3).hexdigest()
        name = f"{encoded[: LONGEST_NAME - 7].decode('utf-8', 'ignore')}-{digest}"
    return name


def hyperparameters(config: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The whole configuration as flat scalars, the parts by name and the rate as `lr` first.

    Args:
        config: plain, resolved configuration.
        names: group → name of the part chosen.
    """
    flat: dict[str, Any] = dict(names)
    flat["lr"] = config["optimizer"].get("lr")
    flat["seed"] = config["seed"]
    for key, value in _leaves(config, ""):
        if key not in ("seed", "optimizer.lr") and not key.endswith("_target_"):
            flat[key] = value if isinstance(value, (bool, int, float, str)) else str(value)
    return flat


def _leaves(node: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for key, value in node.items():
        if isinstance(value, Mapping):
            leaves += _leaves(value, f"{prefix}{key}.")
        else:
            leaves.append((f"{prefix}{key}", value))
    return leaves
