"""Groups of configs/, their choices and their options, read from the files.

Nothing is composed here: refusals and --help must be fast.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from mlr.app.config import output_paths as places
from mlr.core.checks import nearest, unknown
from mlr.losses import OTHER_NAMES
from mlr.probes.families import FAMILIES, families_on

GROUPS = ("head", "loss", "model", "data", "optimizer", "schedule", "probes", "experiment")
_OTHER_NAMES = {"learning_rate": "lr", "hidden": "widths"}
"""Options by their names in other libraries, unlike ours in spelling."""


@lru_cache(maxsize=1)
def choices() -> dict[str, list[str]]:
    """Return the names of the choices of each group, in alphabetical order."""
    return {
        group: sorted(path.stem for path in (places.CONFIGS / group).glob("*.yaml"))
        for group in GROUPS
    }


@lru_cache(maxsize=256)
def _text(group: str, name: str) -> str:
    """Return the text of the file of one choice, with the options that it takes from elsewhere."""
    own = Path(places.CONFIGS, group, f"{name}.yaml").read_text(encoding="utf-8")
    if group == "probes":
        on = families_on(name)
        own += "".join(f"{one.name}: {on[one.name]}  # {one.summary}\n" for one in FAMILIES)
    return own


def title(group: str, name: str) -> str:
    """Return the description of a choice, the first comment of its file, without a full stop."""
    lines = _text(group, name).splitlines()
    comments = [line for line in lines if line.startswith("#") and "@package" not in line]
    return comments[0].lstrip("# ").removesuffix(".") if comments else ""


def comments(group: str, name: str) -> dict[str, str]:
    """Return the comments on the options of one choice, from its file."""
    return dict(re.findall(r"^(\w+):[^#\n]*# (.+)$", _text(group, name), re.M))


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


@lru_cache(maxsize=1)
def all_options() -> dict[str, list[str]]:
    """Return every option by its whole key, with the choices of its group that have it."""
    roots = ("defaults", "hydra")
    found: dict[str, list[str]] = {
        key: [] for key in root_comments() if key.partition(".")[0] not in roots
    }
    for group in GROUPS[:-1]:
        for name in choices()[group]:
            for option in re.findall(r"^(\w+):", _text(group, name), re.M):
                if option != "_target_":
                    found.setdefault(f"{group}.{option}", []).append(name)
    return found


def takes_list(key: str) -> bool:
    """Return True if the usual value of an option is a list, as of `model.widths`."""
    group, _, option = key.lstrip("+").rpartition(".")
    files = [_text(group, name) for name in all_options().get(key.lstrip("+"), [])]
    is_list = rf"^{option}: *\["
    return key in ("allow", "allow_targets") or any(re.search(is_list, one, re.M) for one in files)


def option_named(name: str, cutoff: float = 1.0) -> str | None:
    """Return the whole key of the option or group with a name near to `name`, as for `lr`."""
    by_name = {one.rpartition(".")[2]: one for one in (*reversed(all_options()), *GROUPS)}
    name = name.replace("-", "_")
    if name in all_options():
        return name
    return by_name.get(nearest(_OTHER_NAMES.get(name, name), by_name, cutoff) or "")


def unknown_choice(group: str, name: str, known: list[str] | None = None) -> str:
    """Return the sentence about a choice that its group does not have.

    Args:
        group: as in `head`.
        name: as typed.
        known: all choices, where a folder of the user's adds to mlr's.
    """
    there = choices().get(group, []) if known is None else known
    near = next((f"{other}={name}" for other, names in choices().items() if name in names), None)
    if near is None:
        spelled = nearest(name, [*there, *OTHER_NAMES] if group == "loss" else there)
        near = spelled and f"{group}={OTHER_NAMES.get(spelled, spelled)}"
    return unknown(f"{group}={name}", there, near)


def unknown_option(key: str, siblings: list[str]) -> str:
    """Return the sentence about an option that does not exist.

    Args:
        key: as typed, as in `model.activation`.
        siblings: the options of the same group.
    """
    prefix, _, last = key.rpartition(".")
    owners = all_options().get(key, [])
    if near := nearest(last, siblings, 0.7):
        near = f"{prefix}.{near}" if prefix else near
    elif owners:
        near = f"{prefix}={'|'.join(owners[:3])}, which has it"
    else:
        near = option_named(last, 0.7)
    return unknown(f"option {key}", siblings, near)
