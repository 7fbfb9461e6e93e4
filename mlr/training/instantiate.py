"""Construct the object that a group of the configuration names by `_target_`.

A name is refused before it is imported unless it is, to the letter, that of one of mlr's own
parts or of a public class of torch.nn or torch.optim, or lies in a package that the user allowed
by name.
Nothing else in mlr makes an object of what a configuration names.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, TypeVar

from mlr.core.checks import InputError, nearest, typed, unknown
from mlr.data import SOURCES
from mlr.heads import HEADS
from mlr.losses import LOSSES
from mlr.losses.base import Loss
from mlr.models import MODELS, Model, UserModule
from mlr.probes import ProbeSettings
from mlr.training import OPTIMIZERS, SCHEDULES, LearningRate, Optimizer
from mlr.training.own_updates import own_optimizer, own_schedule

Part = TypeVar("Part")

_PACKAGES: Mapping[str, Sequence[type]] = {
    "mlr.heads": HEADS,
    "mlr.losses": LOSSES,
    "mlr.models": MODELS,
    "mlr.data": SOURCES,
    "mlr.training": (*OPTIMIZERS, *SCHEDULES),
    "mlr.probes": (ProbeSettings,),
}
OWN = {f"{package}.{kind.__name__}": kind for package, kinds in _PACKAGES.items() for kind in kinds}
"""Parts of mlr that `_target_` may name, as configs/ writes it."""
ALIASES: dict[str, str] = {}
"""Names that parts had in older versions, each with that of today: recorded runs have them."""


OF_OBJECTIVE = ("weight", "pos_weight", "label_smoothing", "prior", "temperature")
"""Options of the group `loss` that are the objective's, and not the loss's own."""


def split_loss(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split the group `loss` into the loss itself, and the options of the objective.

    A loss that is none of mlr's may have options of such names itself: it is given those that are
    not null.
    """
    options = dict(settings)
    own = own_part(str(options.get("_target_"))) is not None
    found = {
        name: options.pop(name)
        for name in OF_OBJECTIVE
        if name in options and (own or options[name] is None)
    }
    return options, found


def recorded_loss(config: Mapping[str, Any], allowed: Sequence[str]) -> Loss:
    """Make the loss of a recorded configuration, without the options of the objective."""
    options, _ = split_loss(config.get("loss") or {})
    return make_part("loss", options, Loss, allowed)  # type: ignore[type-abstract]


def own_part(target: str) -> type | None:
    """Return the part of mlr with this `_target_`, which may be an alias; None for others."""
    return OWN.get(ALIASES.get(target, target))


def make_part(
    group: str, settings: Mapping[str, Any], base: type[Part], allowed: Sequence[str]
) -> Part:
    """Construct the object of `base` that `settings` describes: call its `_target_` with the rest.

    Args:
        group: name of the configuration group, for messages.
        settings: plain values, `_target_` among them.
        base: the abstract class that the target must derive from.
        allowed: names that may be imported besides mlr's own parts, torch.nn and torch.optim:
            packages, modules or classes.

    Raises:
        InputError: the target is not allowed, not found or of another kind, or refuses an option.
    """
    if not isinstance(settings, Mapping):
        raise InputError(f"{group}={typed(settings)} must be a group of options.")
    options = dict(settings)
    target = options.pop("_target_", None)
    if not isinstance(target, str) or "." not in target.strip("."):
        raise InputError(
            f"{group}._target_={target} must name a class with its module, "
            f"as in {group}._target_=my_package.MyClass."
        )
    kind = _find(group, target, allowed)
    torch = sys.modules.get("torch")  # imported already if `kind` is one of its classes
    if torch and isinstance(kind, type):
        if base is Model and issubclass(kind, torch.nn.Module):
            return UserModule(kind, options)  # type: ignore[return-value]
        if base is Optimizer and issubclass(kind, torch.optim.Optimizer):
            _check_options(group, kind, options, ("params",))
            return own_optimizer(kind, options)  # type: ignore[return-value]
        if base is LearningRate and issubclass(kind, torch.optim.lr_scheduler.LRScheduler):
            _check_options(group, kind, options, ("optimizer",))
            return own_schedule(kind, options)  # type: ignore[return-value]
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise InputError(f"{group}._target_={target} is not a {base.__module__}.{base.__name__}.")
    if inspect.isabstract(kind):
        missing = ", ".join(sorted(getattr(kind, "__abstractmethods__", ())))
        raise InputError(f"{group}._target_={target} is not finished: it lacks {missing}.")
    _check_options(group, kind, options)
    return kind(**options)


def _find(group: str, target: str, allowed: Sequence[str]) -> Any:
    if (own := own_part(target)) is not None:
        return own
    package, _, name = target.rpartition(".")
    if target.startswith(("torch.nn.", "torch.optim.")):
        return _public(group, package, name)
    if package in _PACKAGES and not is_allowed(target, allowed):
        names = [kind.__name__ for kind in _PACKAGES[package]]
        near = nearest(name, names, 0.4)
        raise InputError(unknown(f"{group}._target_={target}", names, near and f"{package}.{near}"))
    if not is_allowed(target, allowed):
        raise InputError(
            f"{group}._target_={target} is none of mlr's own parts and not in torch.nn or "
            "torch.optim, so it is not imported. If you trust it, add "
            f"allow_targets=[{target.split('.')[0]}]."
        )
    if "" not in sys.path:
        sys.path.append("")  # the current folder; last, so that it hides no other package
    try:
        kind = getattr(import_module(package), name)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{group}._target_={target} cannot be imported: {error}.") from error
    home = getattr(kind, "__module__", None)
    if isinstance(kind, type) and not is_allowed(f"{home}.{kind.__qualname__}", allowed):
        raise InputError(
            f"{group}._target_={target} is {home}.{kind.__qualname__} under another name; "
            "give it its own, and allow that."
        )
    return kind


def _public(group: str, package: str, name: str) -> Any:
    """Return a class of torch by its public name, and none reached through another module."""
    from torch import nn, optim

    names = {
        "torch.nn": (nn, nn.modules.__all__),
        "torch.optim": (optim, optim.__all__),
        "torch.optim.lr_scheduler": (optim.lr_scheduler, optim.lr_scheduler.__all__),
    }
    module, public = names.get(package, (None, ()))
    if name in public and isinstance(kind := getattr(module, name), type):
        return kind
    home = ".".join(package.split(".")[:2])
    raise InputError(f"{group}._target_={package}.{name} is not a public class of {home}.")


def is_allowed(target: str, allowed: Iterable[str]) -> bool:
    """Return True if `target` is, or lies in, a package that a user allows by name."""
    return any(target == name or target.startswith(f"{name}.") for name in allowed if name)


def _check_options(
    group: str, kind: type, options: Mapping[str, Any], given: Sequence[str] = ()
) -> None:
    """Check that a class takes these options, and needs no others but those that are given."""
    parameters = [own for own in _parameters(kind) if own.name not in given]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    names = [parameter.name for parameter in parameters]
    for option in options:
        if option not in names:
            near = nearest(str(option), names)
            given = f"option {group}.{option} of {kind.__name__}"
            raise InputError(unknown(given, names, near and f"{group}.{near}"))
    for parameter in parameters:
        if parameter.default is parameter.empty and parameter.name not in options:
            raise InputError(
                f"{group}.{parameter.name} has no value yet; set {group}.{parameter.name}=…"
            )


@lru_cache(maxsize=256)
def _parameters(kind: type) -> tuple[inspect.Parameter, ...]:
    """Return the parameters of a class; cached, for a thousand jobs ask for them."""
    return tuple(inspect.signature(kind).parameters.values())
