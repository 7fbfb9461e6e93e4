"""Groups of configs/, their choices and their options, read from the files.

Nothing is composed here: refusals and --help must be fast.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from mlr.app.config import output_paths as places
from mlr.app.config.schema import Config
from mlr.core.checks import CHOOSE, nearest, unknown
from mlr.losses import AMBIGUOUS, OTHER_NAMES
from mlr.probes.families import FAMILIES, families_on

GROUPS: Mapping[str, str] = {
    "head": "a head",
    "loss": "a loss",
    "model": "a model",
    "data": "a data set",
    "optimizer": "an optimizer",
    "schedule": "a schedule",
    "probes": "a set of probes",
    "experiment": "an experiment",
}
"""Groups, each with a name for one of its choices."""
MEANT: Mapping[str, str] = {
    **dict.fromkeys(("learning_rate", "rate", "eta"), "lr"),
    **dict.fromkeys(("l2", "wd", "decay"), "weight_decay"),
    **dict.fromkeys(("batch", "bs", "minibatch"), "batch_size"),
    **dict.fromkeys(("hidden", "layers", "units", "hidden_sizes", "hidden_units"), "widths"),
    **dict.fromkeys(("random_state", "random_seed"), "seed"),
    **dict.fromkeys(("iterations", "updates", "max_steps"), "steps"),
    **dict.fromkeys(("early_stopping",), "patience"),
    **dict.fromkeys(("clip", "gradient_clipping", "clip_grad_norm"), "max_grad_norm"),
    **dict.fromkeys(("warmup",), "warmup_steps"),
    **dict.fromkeys(("dataset",), "data"),
    **dict.fromkeys(("network", "net", "architecture"), "model"),
    **dict.fromkeys(("optim", "opt"), "optimizer"),
    **dict.fromkeys(("scheduler", "lr_scheduler"), "schedule"),
    **dict.fromkeys(("criterion", "cost"), "loss"),
}
"""Options and groups by their names in other libraries."""
SYNONYMS: Mapping[str, str] = {
    **dict.fromkeys(("crossentropy", "xent", "log_loss", "categorical_cross_entropy"), "ce"),
    **dict.fromkeys(("binary_cross_entropy", "bce_with_logits", "logistic_loss"), "bce"),
    **dict.fromkeys(("l2", "squared_error", "mean_squared_error", "brier", "quadratic"), "se"),
    **dict.fromkeys(("l1", "absolute_error", "mean_absolute_error"), "mae"),
    **dict.fromkeys(("label_smoothing",), "smoothed_ce"),
    **dict.fromkeys(("logistic",), "sigmoid"),
    **dict.fromkeys(("identity", "none"), "linear"),
    **dict.fromkeys(("normal",), "gaussian"),
    **dict.fromkeys(("clipped", "clip"), "clipped_linear"),
    **dict.fromkeys(("momentum",), "sgd"),
    **dict.fromkeys(("conv", "convnet", "lenet"), "cnn"),
}
"""Choices by their names in other libraries."""
_MOST_NAMED = 2
"""Largest number of choices with an option that a sentence lists."""


@lru_cache(maxsize=1)
def choices() -> dict[str, list[str]]:
    """Return the names of the choices of each group, in alphabetical order."""
    return {
        group: sorted(path.stem for path in (places.CONFIGS / group).glob("*.yaml"))
        for group in GROUPS
    }


@lru_cache(maxsize=256)
def text(group: str, name: str) -> str:
    """Return the text of the file of one choice, with the options that it takes from elsewhere."""
    own = Path(places.CONFIGS, group, f"{name}.yaml").read_text(encoding="utf-8")
    if group == "probes":
        on = families_on(name)
        own += "".join(f"{one.name}: {on[one.name]}  # {one.summary}\n" for one in FAMILIES)
    return own


def title(group: str, name: str) -> str:
    """Return the description of a choice, the first comment of its file."""
    lines = text(group, name).splitlines()
    comments = [line for line in lines if line.startswith("#") and "@package" not in line]
    return comments[0].lstrip("# ") if comments else ""


def options(group: str, name: str) -> list[str]:
    """Return the options of one choice, in the order of its file."""
    keys = re.findall(r"^(\w+):", text(group, name), re.M)
    return [key for key in keys if key not in ("_target_", "defaults")]


def comments(group: str, name: str) -> dict[str, str]:
    """Return the comments on the options of one choice, from its file."""
    return dict(re.findall(r"^(\w+):[^#\n]*# (.+)$", text(group, name), re.M))


def root_comments() -> dict[str, str]:
    """Return the comments on the options that belong to no group, by whole key.

    An option within another may have its comment above it.
    """
    found, owner, above = {}, "", ""
    for line in Path(places.CONFIGS, "train.yaml").read_text(encoding="utf-8").splitlines():
        if comment := re.match(r" +# (.+)", line):
            above += f" {comment[1]}"
        if entry := re.match(r'( *)"?(\w+)"?:[^#]*(?:# (.+))?$', line):
            owner = owner if entry[1] else entry[2]
            found[f"{owner}.{entry[2]}" if entry[1] else owner] = entry[3] or above.strip()
            above = ""
    return found


def root_options() -> list[str]:
    """Return the options that belong to no group, as `epochs` and `objective.strict`."""
    return [key for key in root_types() if key not in GROUPS]


def root_types() -> dict[str, Any]:
    """Return the types of the root options and groups, `list` for a list of any kind."""
    found = {}
    for name, kind in get_type_hints(Config).items():
        inner = get_type_hints(kind) if is_dataclass(kind) else {"": kind}
        for last, its in inner.items():
            found[f"{name}.{last}".rstrip(".")] = get_origin(its) or its
    return found


@lru_cache(maxsize=1)
def all_options() -> dict[str, list[str]]:
    """Return every option by its whole key, with the choices of its group that have it."""
    found: dict[str, list[str]] = {key: [] for key in root_options()}
    for group, names in choices().items():
        for name in names if group != "experiment" else ():
            for option in options(group, name):
                found.setdefault(f"{group}.{option}", []).append(name)
    return found


def takes_list(key: str) -> bool:
    """Return True if an option is a list, as `model.widths`."""
    group, _, option = key.lstrip("+").rpartition(".")
    names = all_options().get(key.lstrip("+"), [])
    is_list = rf"^{option}: *\["
    return key in ("allow", "allow_targets") or any(
        re.search(is_list, text(group, name), re.M) for name in names
    )


def named_values(key: str) -> list[str]:
    """Return the names that an option or a group chooses from; empty for other values."""
    if key in GROUPS:
        return choices()[key]
    group, _, option = key.rpartition(".")
    owners = all_options().get(key, [])
    said = comments(group, owners[0]).get(option, "") if owners else root_comments().get(key, "")
    return re.findall(r"\w+", said.rpartition(":")[2]) if " | " in said else []


def option_meant(name: str, cutoff: float = 0.7) -> str | None:
    """Return the whole key of the option, or the group, that a name probably means."""
    name = MEANT.get(name.casefold().replace("-", "_"), name)
    if name in GROUPS:
        return name
    by_name: dict[str, str] = {group: group for group in GROUPS}
    for key in all_options():
        by_name.setdefault(key.rpartition(".")[2], key)
    near = nearest(name, by_name, cutoff)
    return by_name[near] if near else None


def unknown_choice(group: str, name: str, known: list[str] | None = None) -> str:
    """Return the sentence about a choice that its group does not have.

    Args:
        group: as in `head`.
        name: as typed.
        known: all choices, where a folder of the user's adds to mlr's.
    """
    if group == "loss" and name in AMBIGUOUS:
        return AMBIGUOUS[name]
    there = choices().get(group, []) if known is None else known
    if name in ("", "null", "None"):
        given = f"{group}={name}" if name else group
        return f"{given} has no value. {CHOOSE}{', '.join(there)}."
    for other, names in choices().items():
        if other != group and name in names:
            hint = f"{name} is {GROUPS[other]}: {other}={name}"
            return f"Unknown {group}={name}. {hint}. {CHOOSE}{', '.join(there)}."
    meant = name.casefold().replace("-", "_")
    meant = SYNONYMS.get(meant, OTHER_NAMES.get(meant, name))
    near = meant if meant in there else nearest(name, there)
    return unknown(f"{group}={name}", there, near and f"{group}={near}")


def unknown_option(key: str, siblings: list[str], target: str | None = None) -> str:
    """Return the sentence about an option that does not exist.

    Args:
        key: as typed, as in `model.activation`.
        siblings: the options of the same group.
        target: `_target_` of the group, if it has one.
    """
    prefix, _, last = key.rpartition(".")
    owner = _owner(prefix, target)
    near = _near_option(prefix, last, siblings, owner)
    given = f"option {key}" + (f" of {owner}" if owner else "")
    return unknown(given if siblings else f"{given}, which has none", siblings, near)


def _owner(prefix: str, target: str | None) -> str | None:
    """Return the choice that a `_target_` belongs to, as in `model=linear`; None if not one."""
    names = choices().get(prefix, []) if target else []
    own = [name for name in names if f"_target_: {target}\n" in text(prefix, name)]
    return f"{prefix}={own[0]}" if len(own) == 1 else None


def _near_option(prefix: str, last: str, siblings: list[str], owner: str | None) -> str | None:
    """Return the option that was meant: one of the same group, or of this name elsewhere."""
    name = MEANT.get(last.casefold().replace("-", "_"), last)
    near = nearest(name, siblings, 0.7)
    if near is not None:
        return f"{prefix}.{near}" if prefix else near
    if prefix and owner:
        others = all_options().get(f"{prefix}.{name}", [])
        if len(others) > _MOST_NAMED:
            return f"{prefix}={others[0]} or another that has it"
        if others:
            has = "which has it" if len(others) == 1 else "which have it"
            return f"{' or '.join(f'{prefix}={one}' for one in others)}, {has}"
    return option_meant(name, 1.0 if prefix else 0.7)
