"""Text of --help: each choice in a few words, and the configuration with its comments.

It is made by resolvers of the template in train.yaml, so that no other command takes the time.
"""

from __future__ import annotations

import re
from inspect import signature
from textwrap import wrap
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mlr.app.config.catalogue import GROUPS, choices, comments, root_comments, title
from mlr.records.settings import leaves

WIDTH = 80
TITLES = {
    "head": "the output unit: predictions y from logits z",
    "loss": "the cost of an example's predictions y for its targets t",
    "model": "from features to logits",
    "data": "the data set",
    "optimizer": "how the weights are updated from the gradient",
    "schedule": "the learning rate over the run",
    "probes": "what is measured during training, and when",
    "experiment": "a complete configuration; options typed with it take precedence",
}
_NAME, _SETTING = 20, 34
"""Columns before the description of a choice, and of an option."""
_NO_BREAK = "\u00a0"


def register_help() -> None:
    """Register the resolvers that the template of --help uses."""
    register: Any = OmegaConf.register_new_resolver
    if "use_cache" in signature(OmegaConf.register_resolver).parameters:  # 2.4's name for it
        register = OmegaConf.register_resolver
    register("help_choices", _choices, replace=True)
    register("help_settings", _settings, replace=True)


def _choices() -> str:
    """Describe every choice of every group in a line or two."""
    lines = []
    for group, group_title in TITLES.items():
        lines.append(f"{group}: {group_title}")
        for name in choices()[group]:
            lines += _described(f"  {name}", title(group, name), _NAME)
        lines.append("")
    return "\n".join(lines).replace("$", "$$")  # Hydra fills the names after a $


def _settings(*, _root_: DictConfig) -> str:
    """Describe every option with its value and its comment, as it would be typed."""
    chosen = _root_.hydra.runtime.choices
    comment_of = root_comments()
    for group in GROUPS:
        if chosen.get(group) in choices()[group]:
            own = comments(group, chosen[group])
            comment_of |= {f"{group}.{key}": comment for key, comment in own.items()}
    task = OmegaConf.masked_copy(_root_, [str(key) for key in _root_ if key != "hydra"])
    plain = OmegaConf.to_container(task)
    assert isinstance(plain, dict)
    lines = [f"  {group}={chosen[group]}" for group in GROUPS if chosen.get(group)]
    values = leaves({str(key): value for key, value in plain.items()})
    for key, value in sorted(values, key=lambda one: one[0].partition(".")[0] in GROUPS):
        if not key.endswith("_target_"):
            lines += _described(f"  {key}={_shown(value)}", comment_of.get(key, ""), _SETTING)
    return "\n".join(lines).replace("$", "$$")


def _described(name: str, text: str, column: int) -> list[str]:
    """Return lines of a name with its description next to it."""
    pieces = wrap(_without_breaks(text), WIDTH - column, break_on_hyphens=False) or [""]
    pieces = [piece.replace(_NO_BREAK, " ") for piece in pieces]
    first = f"{name:{column}}" if len(name) < column else f"{name}\n{'':{column}}"
    return [f"{first}{pieces[0]}".rstrip(), *(f"{'':{column}}{piece}" for piece in pieces[1:])]


def _without_breaks(text: str) -> str:
    """Forbid line breaks within a formula's brackets, and next to a sign."""
    text = re.sub(r"[(\[][^()\[\]]{,24}[)\]]", lambda one: one[0].replace(" ", _NO_BREAK), text)
    return re.sub(r" ([−=+]) ", rf"{_NO_BREAK}\1{_NO_BREAK}", text)


def _shown(value: object) -> str:
    """Return a value as it is typed."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value).replace(" ", "") if isinstance(value, list) else str(value)
