"""Recognition of the losses, accuracies and learning rate of any program by their tags."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mlr.core.checks import InputError, known, nearest, unknown
from mlr.records.tensorboard.event_files import Points

TRAIN, VAL, TEST = "train", "val", "test"
ROLES = ("loss/train", "loss/val", "accuracy/train", "accuracy/val", "learning_rate")
"""What a tag can be, in mlr's own names."""
_SPLITS = {
    **dict.fromkeys(("train", "training", "tr"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval", "evaluation", "holdout"), VAL),
    **dict.fromkeys(("test", "testing"), TEST),
}
_FILLERS = {
    *("epoch", "epochs", "step", "steps", "batch", "iter", "iteration", "iterations", "global"),
    *("total", "avg", "average", "mean", "running", "metric", "metrics", "scalars", "per", "vs"),
}
_LOSS = {"loss", "losses", "cost", "nll", "xent", "bce", "ce", "crossentropy", "cross", "entropy"}
"""Each by itself tells a loss, but `cross` and `entropy`, which need one another."""
_KINDS = {"mse", "mae", "l1", "l2", "huber", "hinge", "categorical", "binary", "sparse", "logits"}
"""Words of a loss, next to one of `_LOSS`."""
_ACCURACY = {"acc", "accuracy", "categorical", "binary", "sparse", "multiclass", "top", "1"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_TIME = re.compile(r"\d{9,}\.\d+")
_GLUED = re.compile(r"(train|valid|val|eval|test)(loss|acc|accuracy)")


class Name(NamedTuple):
    """Tag of a run, and the folder below the run's that holds it; empty for the run's own."""

    tag: str
    part: str = ""

    def __str__(self) -> str:
        return f"{self.part}/{self.tag}" if self.part else self.tag


def words(text: str) -> list[str]:
    """Split a tag into its words in lower case, as `val`, `loss` for valLoss."""
    found = list[str]()
    for word in _WORD.findall(text):
        glued = _GLUED.fullmatch(word.lower())
        found += glued.groups() if glued else [word.lower()]
    return found


def is_part(folder: str) -> bool:
    """Return True for a folder in which a writer keeps some tags of a run.

    Keras has one for each split, as train; add_scalars one for each of its numbers, as Loss_val;
    add_hparams one that is named by its time, as 1800000000.5.
    """
    others = set(words(folder)) - _SPLITS.keys() - _FILLERS - _LOSS - _ACCURACY
    return _TIME.fullmatch(folder) is not None or (split_of(folder) != "" and not others)


def split_of(text: str) -> str:
    """Return the split that a name tells: train, val or test; empty for none or several."""
    found = {_SPLITS[word] for word in words(text) if word in _SPLITS}
    return found.pop() if len(found) == 1 else ""


def quantity_of(text: str) -> str:
    """Return loss, accuracy or learning_rate; empty for any other tag."""
    rest = {word for word in words(text) if word not in _SPLITS and word not in _FILLERS}
    if "lr" in rest or rest >= {"learning", "rate"} or "learningrate" in rest:
        return "learning_rate"
    if rest & (_LOSS - {"cross", "entropy"}) or rest >= {"cross", "entropy"}:
        return "" if rest - _LOSS - _KINDS else "loss"
    if rest & {"acc", "accuracy"} or rest == {"top", "1"}:
        return "" if rest - _ACCURACY else "accuracy"
    return ""


def role_of(name: Name) -> tuple[str, str]:
    """Return quantity and split of a tag, by its own words first; empty where nothing tells."""
    quantity = quantity_of(name.tag) or (quantity_of(str(name)) if name.part else "")
    return quantity, split_of(name.tag) or split_of(name.part)


def assign(
    curves: Mapping[Name, Points], given: Mapping[str, str], folder: str = ""
) -> dict[str, Name]:
    """Find the tag of each role that a run has.

    Of several tags for a role, that with the most points is taken, and then the shortest. Rates of
    several groups of parameters count by the largest that is left at the end.

    Args:
        curves: of the run.
        given: tags by role that a person named.
        folder: name of the run's folder, which tells the split if no tag does.
    """
    found = defaultdict[tuple[str, str], list[Name]](list)
    for name in curves:
        found[role_of(name)].append(name)
    hint = split_of(folder) if is_part(folder) and not any(s for q, s in found if q) else ""
    roles = {}

    def choose(role: str, *keys: tuple[str, str]) -> None:
        for key in keys:
            if having := found.get(key):
                roles[role] = min(having, key=lambda n: (-len(curves[n].steps), len(str(n)), n))
                return

    for quantity in ("loss", "accuracy"):
        unmarked = VAL if hint in (VAL, TEST) else TRAIN
        for split in (TRAIN, VAL):
            keys = [(quantity, split)] + ([(quantity, TEST)] if split == VAL else [])
            choose(f"{quantity}/{split}", *keys, *([(quantity, "")] if split == unmarked else []))
    if rates := [name for key, names in found.items() if key[0] == ROLES[-1] for name in names]:
        roles[ROLES[-1]] = max(rates, key=lambda n: (curves[n].values[-1], len(curves[n].steps)))
    by_text = {text: name for name in curves for text in (name.tag, str(name))}
    chosen = {role: by_text[tag] for role, tag in given.items() if tag in by_text}
    left = {role: name for role, name in roles.items() if name not in chosen.values()}
    return left | chosen


def parse_given(options: Sequence[str]) -> dict[str, str]:
    """Read options of the form ROLE=TAG, as `loss/val=dev_cost`.

    Raises:
        InputError: the form or the role is another.
    """
    given = {}
    for option in options:
        role, equals, tag = option.partition("=")
        if not (equals and tag):
            raise InputError(f"--tag {option} names no tag; write --tag {ROLES[0]}=TAG.")
        given[known("role", role, ROLES)] = tag
    return given


def check_given(given: Mapping[str, str], tags: Sequence[str]) -> None:
    """Refuse a tag that no run has.

    Raises:
        InputError: names the nearest, and all that there are.
    """
    for role, tag in given.items():
        if tag not in tags:
            near = nearest(tag, tags)
            raise InputError(
                unknown(f"tag --tag {role}={tag}", tags, near and f"--tag {role}={near}")
            )
