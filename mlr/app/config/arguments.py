"""Check the words of the command line before Hydra parses them.

Only words that Hydra cannot read either are refused here, and names of choices that do not exist.
"""

from __future__ import annotations

import os
import re
from argparse import Namespace

from mlr.app.config.catalogue import GROUPS, all_options, choices, unknown_choice
from mlr.core.checks import InputError
from mlr.losses import OTHER_NAMES


def canonical(line: str) -> str:
    """Return an override with mlr's own names of losses, as `loss=se` for `loss=mse`."""
    key, _, value = line.partition("=")
    if key.lstrip("+").partition("@")[0] != "loss":
        return line
    return f"{key}={re.sub(r'[A-Za-z_]+', lambda one: OTHER_NAMES.get(one[0], one[0]), value)}"


def check_arguments(flags: Namespace) -> None:
    """Refuse words that are not written as options are, and choices that do not exist.

    Args:
        flags: the command line, parsed by `read_flags`.

    Raises:
        InputError: with the right spelling.
    """
    words = flags.overrides
    folders = flags.config_dir or flags.config_path or flags.config_name
    own_choices = folders or any("searchpath" in word for word in words)
    for word, after in zip(words, [*words[1:], ""], strict=False):
        try:
            os.fsencode(word).decode()  # no file of a run could hold other bytes
        except UnicodeError as error:
            raise InputError(
                f"{word!a} holds bytes that are not UTF-8; rename what it names."
            ) from error
        if "=" in (word[:1], after[:1]) or (word.endswith("=") and after and "=" not in after):
            raise InputError("spaces around the = are not allowed: write it as in head=sigmoid.")
        if "=" not in word and not word.startswith("~"):
            raise InputError(_bare(word, after))
        if not own_choices:
            _check_choice(word)


def _bare(word: str, after: str) -> str:
    """Return the sentence about a word without an equals sign."""
    if word in GROUPS or word in all_options():
        return f"{word} has no value: write {word}={after if after and '=' not in after else '…'}."
    found = next((f"{group}={word}" for group, names in choices().items() if word in names), None)
    if found:
        return f"{word} is not an option; options are key=value: {found}?"
    return (
        f"{word.strip() or repr(word):.60} is not an option; options are key=value, as in "
        "head=sigmoid; a list has commas without spaces, and a text with spaces needs quotes; "
        "see --help."
    )


def _check_choice(word: str) -> None:
    """Refuse a choice that its group does not have, before anything is composed."""
    group, _, value = word.partition("=")
    name = group.lstrip("+~")
    if name != group and name in GROUPS[:-1]:
        raise InputError(f"every run has a {name}: write {name}=…, without {word[0]}.")
    several = group == "experiment" and value.startswith("[")
    if group not in GROUPS or several or not re.fullmatch(r"[\w.,/\[\]-]*", value):
        return
    for name in value.split(","):
        own = OTHER_NAMES.get(name, name) if group == "loss" else name
        if own not in choices()[group] and (group, name) != ("experiment", "null"):
            whole = not re.fullmatch(r"[\w./-]+", name)
            raise InputError(unknown_choice(group, value if whole else name))
