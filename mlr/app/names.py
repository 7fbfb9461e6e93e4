"""Names of folders and columns, and the resolvers by which the configuration asks for them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from inspect import signature
from secrets import token_hex
from typing import Any

from omegaconf import OmegaConf

from mlr.app.identity import identity, is_of_run
from mlr.objectives.pairs import usual_loss

LONGEST_NAME = 120
"""Bytes of a folder's name: file systems take 255, people and TensorBoard fewer."""
_DIGEST = 6  # bytes: 10,000 jobs with names cut alike must not meet by chance


def register_resolvers() -> None:
    """`short_id`: a process's random name; `run_name`: a job's folder; `either`; `usual_loss`."""
    # OmegaConf 2.4 gives the name of a legacy function to this one, and warns of the old name
    register: Any = OmegaConf.register_new_resolver
    if "use_cache" in signature(OmegaConf.register_resolver).parameters:
        register = OmegaConf.register_resolver
    register("short_id", lambda: token_hex(3), use_cache=True, replace=True)
    register("run_name", run_name, replace=True)
    register("either", either, replace=True)
    register("usual_loss", usual_loss, replace=True)


def either(value: Any, otherwise: Any) -> Any:
    """`value`, or what stands in for null."""
    return otherwise if value is None else value


def run_name(head: str, loss: str, overrides: Sequence[str]) -> str:
    """A folder name from a job's pair and its other overrides, as in `sigmoid+se,seed=0`.

    The pair comes first, so that names sort and TensorBoard can colour by it; what a file
    system or a shell would stumble over becomes `_`; a name so changed, or cut for its
    length, ends in a hash of the whole, so that other jobs have other names. What is no
    part of a run, as where its sweep is resumed, is none of its name.
    """
    others = [part for part in overrides if _names_run(part)]
    whole = ",".join([f"{head}+{loss}", *others])
    name = re.sub(r"[^\w.=,+\-\[\]]", "_", whole)
    encoded = name.encode("utf-8", "replace")
    if len(encoded) > LONGEST_NAME or name != whole:
        digest = blake2b(whole.encode("utf-8", "surrogateescape"), digest_size=_DIGEST).hexdigest()
        kept = LONGEST_NAME - len(digest) - 1
        name = f"{encoded[:kept].decode('utf-8', 'ignore')}-{digest}"
    return name


def _names_run(override: str) -> bool:
    key = override.partition("=")[0].lstrip("+")
    return key not in ("head", "loss") and is_of_run(override)


def hyperparameters(config: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The whole configuration as flat scalars, the parts by name and the rate as `lr` first.

    Args:
        config: plain, resolved configuration.
        names: group → name of the part chosen.
    """
    flat: dict[str, Any] = dict(names)
    flat["lr"] = config["optimizer"].get("lr")
    flat["seed"] = config["seed"]
    for key, value in leaves(identity(config)):
        if key not in ("seed", "optimizer.lr") and not key.endswith("_target_"):
            flat[key] = value if isinstance(value, (bool, int, float, str)) else str(value)
    return flat


def leaves(node: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Values by their whole key, as in `optimizer.lr`; lists are values."""
    found: list[tuple[str, Any]] = []
    for key, value in node.items():
        if isinstance(value, Mapping):
            found += leaves(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found


def spoken(name: str) -> str:
    """A head's or loss's name as a person writes it, as in `clipped-linear`, `BCE`."""
    if name == "gaussian_nll":
        return "Gaussian NLL"
    short = ("se", "bce", "ce", "mae", "gce")
    return name.upper() if name in short else name.replace("_", "-")
