"""Settings of the playground read from a recorded run, with the run's own examples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from mlr.app.config.output_paths import CONFIGS
from mlr.app.config.run_spec import RunSpec, make_run_spec
from mlr.core.checks import InputError
from mlr.core.commandline import override
from mlr.models import Linear, Mlp
from mlr.playground.material import OFFERED_HEADS, OFFERED_LOSSES, described
from mlr.records.reading import Recorded, read_runs
from mlr.records.settings import leaves, value_text
from mlr.training import SGD, Constant

MOST_EXAMPLES = 600
"""Of a run's training split; the page draws each one in every frame."""
MOST_WIDTH = 32
COLUMNS = (1, 2, 64)
"""Features that have a picture: a line, a plane, 8×8 pixels."""


@dataclass(frozen=True)
class Opening:
    """Setting and examples that the page opens with.

    Attributes:
        state: settings by the page's names.
        data: the run's examples, in the form of `material.material`; None for those of the page.
        seed: of the run.
    """

    state: dict[str, Any]
    data: dict[str, Any] | None = None
    seed: int = 0


def opening_of(place: Path) -> Opening:
    """Read the setting of a run, or of two that differ in head and loss only.

    Args:
        place: folder of the run or of the sweep.

    Raises:
        InputError: there is none, or the playground lacks something that it was trained with.
    """
    runs = read_runs(place)
    pairs = {run.pair: run for run in reversed(runs)}
    if len(pairs) > 2:
        raise InputError(
            f"{place} has runs of {len(pairs)} pairs of head and loss; the playground shows two: "
            "name the folder of one run."
        )
    chosen = [run for run in runs if pairs[run.pair] is run]
    specs = [_spec(run) for run in chosen]
    states = [_state(run, spec) for run, spec in zip(chosen, specs, strict=True)]
    if len(states) == 2 and states[0] != states[1]:
        different = [key for key in states[0] if states[0][key] != states[1][key]]
        raise InputError(
            f"The runs in {place} differ in {', '.join(different)} too; the playground shows two "
            "that differ in head and loss: name the folder of one run."
        )
    first = specs[0]
    other = specs[1] if len(specs) == 2 else None
    state = states[0] | {
        "heada": first.head.name,
        "lossa": first.loss.name,
        "headb": first.head.name if other is None else other.head.name,
        "lossb": _counterpart(first) if other is None else other.loss.name,
    }
    return Opening(state, _examples(chosen[0], first), first.config["seed"])


def _spec(run: Recorded) -> RunSpec:
    if not run.config:
        raise InputError(f"{run.name} has no configuration, as a run of a loop of one's own.")
    return make_run_spec(run.config | {"allow_targets": [], "device": "cpu"})


def _counterpart(spec: RunSpec) -> str:
    """Return the loss of the other side: se, or of a run with se the one that matches the head."""
    return "matching" if spec.loss.name == "se" else "se"


def _state(run: Recorded, spec: RunSpec) -> dict[str, Any]:
    """Return the settings that both sides share."""
    if missing := list(_missing(spec)):
        raise InputError(
            f"{run.name} was trained with {', '.join(missing)}, which the playground does not have."
        )
    model: Any = spec.model
    optimizer: Any = spec.optimizer
    is_linear = isinstance(model, Linear)
    return {
        "data": "run",
        "widths": "" if is_linear else ",".join(map(str, model.widths)),
        "activation": "relu" if is_linear else model.activation,
        "init": model.init,
        "scale": model.init_scale,
        "weight": "" if not is_linear or model.weight is None else model.weight,
        "bias": "" if not is_linear or model.bias is None else model.bias,
        "lr": optimizer.lr,
        "momentum": optimizer.momentum,
        "batch": spec.config["batch_size"],
        "seed": spec.config["seed"],
        "threshold": spec.probes.threshold,
    }


def _missing(spec: RunSpec) -> Iterator[str]:
    """Name the settings of a run that the playground does not have, as they are typed."""
    config, model, optimizer = spec.config, spec.model, spec.optimizer
    for kind, part, offered in (
        ("head", spec.head, OFFERED_HEADS),
        ("loss", spec.loss, OFFERED_LOSSES),
    ):
        if part.name not in offered:
            yield f"{kind}={part.name}"
        elif vars(part) != vars(type(part)()):
            yield f"options of {kind}={part.name}"
    yield from (
        f"loss.{name}" for name, value in vars(spec.loss_options).items() if value is not None
    )
    if isinstance(model, Mlp):
        if len(model.widths) > 2 or max(model.widths, default=0) > MOST_WIDTH:
            yield f"model.widths={value_text(str(list(model.widths)))}"
    elif not isinstance(model, Linear):
        yield f"model={model.name}"
    if not isinstance(optimizer, SGD):
        yield f"optimizer={optimizer.name}"
    elif optimizer.nesterov or optimizer.weight_decay:
        yield "optimizer.nesterov or weight_decay"
    if not isinstance(spec.schedule, Constant) or spec.schedule.warmup_steps:
        yield f"schedule={spec.schedule.name}"
    if config.get("max_grad_norm") is not None:
        yield f"max_grad_norm={config['max_grad_norm']}"


def _examples(run: Recorded, spec: RunSpec) -> dict[str, Any]:
    """Return the training examples of a run.

    Raises:
        InputError: they have no picture on the page, are too many, or are no single classes.
    """
    data = spec.load()
    columns, count = prod(data.feature_shape), len(data.train)
    name = f"data={data.name}"
    if data.classes is None:
        raise InputError(
            f"{name} has targets that are no classes; the playground has classes only."
        )
    if data.train.weights is not None:
        raise InputError(f"{name} weighs its examples, which the playground does not.")
    if spec.source.in_file_order or spec.source.drop_last:
        raise InputError(
            f"{name} is not shuffled, or drops examples, which the playground does not."
        )
    if columns not in COLUMNS:
        raise InputError(
            f"{name} has {columns} features; the playground has pictures of 1, 2 or 8×8 of them."
        )
    if count > MOST_EXAMPLES:
        raise InputError(
            f"{name} has {count} training examples; the playground draws up to "
            f"{MOST_EXAMPLES}: train with fewer, as by a larger data.test_fraction."
        )
    return described(data, f"those of {run.name}", _overrides(run, spec))


def _overrides(run: Recorded, spec: RunSpec) -> list[str]:
    """Return arguments of `mlr train` that load the data of a run."""
    name = run.choices.get("data") or spec.source.name
    usual = OmegaConf.to_container(OmegaConf.load(CONFIGS / "data" / f"{name}.yaml"))
    assert isinstance(usual, dict)
    own = {key: value for key, value in leaves(spec.config["data"]) if value != usual.get(key)}
    if "seed" in usual:  # the page may be set to another seed
        own["seed"] = spec.config["seed"] if usual["seed"] is None else own.get("seed")
    return [f"data={name}", *(_typed(f"data.{key}", one) for key, one in own.items())]


def _typed(key: str, value: Any) -> str:
    """Return an override; only text may need quotes."""
    return override(key, value) if isinstance(value, str) else f"{key}={value_text(value)}"
