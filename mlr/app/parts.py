"""The object that a group of the configuration names by `_target_`.

A name is refused before it is imported unless it lies in mlr, in torch.nn, or in a
package that the user allowed by name.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from mlr.checks import InputError
from mlr.models import Model, UserModule

Part = TypeVar("Part")

OWN_PACKAGES = ("mlr", "torch.nn")


def make_part(
    group: str, settings: Mapping[str, Any], base: type[Part], allowed: Sequence[str]
) -> Part:
    """The object of `base` that `settings` describes: its `_target_` called with the rest.

    Args:
        group: name of the configuration group, for messages.
        settings: plain values, `_target_` among them.
        base: the abstract class that the target must derive from.
        allowed: packages beside mlr and torch.nn that may be imported.

    Raises:
        InputError: a target that is not allowed, not found, or of another kind; an option
            that it does not know, or a value that it refuses.
    """
    options = dict(settings)
    target = options.pop("_target_", None)
    if not isinstance(target, str) or "." not in target:
        raise InputError(
            f"{group}._target_={target} must name a class with its module, "
            f"as in {group}._target_=my_package.MyClass."
        )
    kind = _find(group, target, allowed)
    if base is Model and _is_module(kind):
        return UserModule(kind, options)  # type: ignore[return-value]
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise InputError(f"{group}._target_={target} is not a {base.__module__}.{base.__name__}.")
    if inspect.isabstract(kind):
        missing = ", ".join(sorted(getattr(kind, "__abstractmethods__", ())))
        raise InputError(f"{group}._target_={target} is not finished: it lacks {missing}.")
    _check_options(group, kind, options)
    return kind(**options)


def _find(group: str, target: str, allowed: Sequence[str]) -> Any:
    packages = (*OWN_PACKAGES, *allowed)
    if not any(target.startswith(f"{package}.") for package in packages):
        raise InputError(
            f"{group}._target_={target} lies outside {', '.join(packages)}, so it is not "
            f"imported. If you trust it, add allow_targets=[{target.split('.')[0]}]."
        )
    if allowed and (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)  # a user's package commonly lies where they stand
    module, _, name = target.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{group}._target_={target} cannot be imported: {error}.") from error


def _is_module(kind: Any) -> bool:
    torch = sys.modules.get("torch")  # imported already if `kind` is one of its classes
    return torch is not None and isinstance(kind, type) and issubclass(kind, torch.nn.Module)


def _check_options(group: str, kind: type, options: Mapping[str, Any]) -> None:
    parameters = _parameters(kind)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    names = [parameter.name for parameter in parameters]
    for option in options:
        if option not in names:
            near = get_close_matches(option, names, n=1)
            hint = f" Did you mean {group}.{near[0]}?" if near else ""
            raise InputError(
                f"{group}.{option} is not an option of {kind.__name__}; "
                f"it has: {', '.join(names) or 'none'}.{hint}"
            )
    for parameter in parameters:
        if parameter.default is parameter.empty and parameter.name not in options:
            raise InputError(
                f"{group}.{parameter.name} has no value yet; set {group}.{parameter.name}=…"
            )


@lru_cache(maxsize=256)
def _parameters(kind: type) -> tuple[inspect.Parameter, ...]:
    """What a class takes; asked for each of a thousand jobs."""
    return tuple(inspect.signature(kind).parameters.values())
