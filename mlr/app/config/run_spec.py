"""Check a configuration, and make plain objects of it; torch is not imported before `build`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from mlr.app.config.catalogue import unknown_option
from mlr.app.config.schema import Config
from mlr.core import console
from mlr.core.checks import InputError, flag, known, memory_limit, positive, typed, unknown, whole
from mlr.data import options
from mlr.data.base import SPLITS, Dataset, Source, check_source
from mlr.data.faults import DataWarning
from mlr.heads.base import Head
from mlr.losses.base import Loss
from mlr.losses.margins.base import MarginLoss
from mlr.models import CosineLogits, Model, UserModule
from mlr.objectives.compatibility import check_pair, takes_any_target
from mlr.probes import ProbeSettings
from mlr.training import LearningRate, Optimizer
from mlr.training.experiment import check_run_options
from mlr.training.instantiate import make_part, own_part, split_loss
from mlr.training.loss_options import LossOptions
from mlr.training.patience import patience_of

if TYPE_CHECKING:
    from torch import nn

    from mlr.training import Experiment

DEVICES = ("auto", "cpu", "cuda", "mps")
LARGEST_SEED = 2**63 - 1
LARGEST_RATE = 1e20
"""Above it the first step overflows float32, whatever the gradient."""
MOST_UPDATES = 10**8
"""Hours of training; each has its learning rate in a list that is made at the start."""
LOSSES = tuple(f"loss/{split}" for split in SPLITS)
OF_LABELS = tuple(
    f"{name}/{split}"
    for name in ("f1_micro", "f1_macro", "label_accuracy", "exact_match")
    for split in SPLITS
    if split != "train" or not name.startswith("f1")
)
"""Final numbers that only data of several labels have."""
OF_CLASSES = (
    *(f"accuracy/{split}" for split in SPLITS),
    *("logit_grad/wrong", "logit_grad/right"),
)
"""Final numbers that only a classification has."""
ADDED = ("evaluate", "stopping")
"""Root groups that runs of older versions do not have."""
PARTS: Mapping[str, type] = {
    "head": Head,
    "loss": Loss,
    "model": Model,
    "data": Source,
    "optimizer": Optimizer,
    "schedule": LearningRate,
    "probes": ProbeSettings,
}
"""Groups of the configuration, each with the abstract class of its parts."""
OF_EXPERIMENT = ("epochs", "steps", "batch_size", "seed", "dtype", "max_grad_norm", "patience")
"""Root options that are an Experiment's own."""
ROOT = tuple(one.name for one in fields(Config))
MOST_PARTS = 1 << 10
_made: dict[tuple[str, str], Any] = {}
"""Parts by group and settings."""


@dataclass(frozen=True)
class RunSpec:
    """The parts of a run, and the plain configuration that names them."""

    config: dict[str, Any]
    head: Head
    loss: Loss
    model: Model
    source: Source
    optimizer: Optimizer
    schedule: LearningRate
    probes: ProbeSettings
    loss_options: LossOptions = field(default_factory=LossOptions)
    """of the objective, as they are given"""

    @property
    def own_source(self) -> bool:
        """Tell if the source is mlr's, and so has checked its data."""
        return type(self.source).__module__.startswith("mlr.")

    @property
    def seed_of_data(self) -> int | None:
        """Seed that decides the data; None if none does. In a user's own source it may be any."""
        seed: int = self.config["seed"]
        return self.source.seed_of(seed) if self.own_source else seed

    def load(self) -> Dataset:
        """Load the data; InputError if they are missing or damaged."""
        from mlr.data.validate import check_dataset

        with _printed_once():
            data = self.source.load(self.config["seed"])
        if not isinstance(data, Dataset):
            raise InputError(f"data={self.source.name} loads a {type(data).__name__}, no Dataset.")
        if not self.own_source:
            check_dataset(data)
            if self.source.classes not in (None, data.classes):
                raise InputError(
                    f"data={self.source.name} declares classes={self.source.classes} and loads "
                    f"data with classes={data.classes}; make them equal, or declare classes = None."
                )
        return data

    def build(self, data: Dataset | None = None) -> Experiment:
        """Import torch, load the data unless they are given, and initialise the model.

        Raises:
            InputError: the data are missing or damaged, or the parts do not fit them.
        """
        from mlr.training import Experiment
        from mlr.training.experiment import check_one_program
        from mlr.training.trial import try_parts

        config = self.config
        device = choose_device(config["device"], config["dtype"])
        data = self.load() if data is None else data
        regression = data.classes is None and not data.multilabel
        _check_metric(config["objective_metric"], regression, data.multilabel)
        if regression and self._standardizes_targets:
            data = data.standardized
        outputs = self.head.outputs_of(data.classes, data.targets)
        strict = config["objective"]["strict"]
        check_pair(self.head, self.loss, outputs, strict, regression, data.multilabel)
        class_weights = self.loss_options.class_weights(data)
        experiment = Experiment(
            objective=self.loss_options.objective(self.head, self.loss, outputs, strict, data),
            module=self._module(data.feature_shape, outputs),
            data=data,
            optimizer=self.optimizer,
            schedule=self.schedule,
            probes=self.probes,
            device=device,
            shuffle=not self.source.in_file_order,
            drop_last=self.source.drop_last,
            test_every_epoch=config.get("evaluate", {}).get("test_every_epoch", False),
            class_weights=class_weights,
            stopping=patience_of(config.get("stopping", {})),
            **{key: config[key] for key in OF_EXPERIMENT},
        )
        if experiment.total_steps > MOST_UPDATES:
            raise InputError(
                f"{experiment.total_steps:.0e} updates are more than {MOST_UPDATES:.0e}; "
                "choose fewer epochs or steps."
            )
        check_one_program([experiment])
        try_parts(experiment)
        return experiment

    @property
    def _standardizes_targets(self) -> bool:
        scale = self.source.target_scale
        if scale != options.AUTO:
            return scale == options.STANDARDIZE
        return takes_any_target(self.head, self.loss)

    def _module(self, feature_shape: tuple[int, ...], outputs: int) -> nn.Module:
        seed, dtype = self.config["seed"], self.config["dtype"]
        try:
            return self.model.build(feature_shape, outputs, seed, dtype)
        except (MemoryError, RuntimeError) as error:
            if "alloc" not in str(error) and not isinstance(error, MemoryError):
                raise
            raise InputError(
                f"model={self.model.name} does not fit into memory{memory_limit()}; "
                "make it smaller."
            ) from error


def make_run_spec(config: Mapping[str, Any]) -> RunSpec:
    """Make the parts of a plain, resolved configuration.

    Raises:
        InputError: a value out of range, an unknown option, or an illegal pair of head and loss.
    """
    _check_root(config)
    allowed = config["allow_targets"]
    settings = {group: config[group] for group in PARTS}
    options: dict[str, Any] = {}
    if isinstance(settings["loss"], Mapping):
        settings["loss"], options = split_loss(settings["loss"])
    parts = {group: _part(group, settings[group], base, allowed) for group, base in PARTS.items()}
    source = parts.pop("data")
    spec = RunSpec(dict(config), source=source, loss_options=LossOptions(**options), **parts)
    check_source(spec.source)
    source, classes = spec.source, spec.source.classes
    if spec.optimizer.lr > LARGEST_RATE:
        raise InputError(f"optimizer.lr={spec.optimizer.lr} must be at most {LARGEST_RATE:g}.")
    one_class = not (source.regression or source.multilabel)
    spec.loss_options.check(one_class, not source.regression, classes)
    # a user's own source may show only by what it loads if it is a regression
    known_kind = spec.own_source or source.regression or source.multilabel or classes is not None
    _check_metric(
        config["objective_metric"], source.regression, source.multilabel if known_kind else None
    )
    _check_margin(spec.loss, spec.model)
    check_pair(
        spec.head,
        spec.loss,
        None if classes is None else spec.head.outputs(classes),
        config["objective"]["strict"],
        regression=source.regression if known_kind else None,
        multilabel=source.multilabel,
    )
    return spec


def _check_margin(loss: Loss, model: Model) -> None:
    """Refuse a loss of cosines with a model of mlr's that gives none, or of another scale."""
    if not isinstance(loss, MarginLoss) or isinstance(model, UserModule):
        return
    if not isinstance(model, CosineLogits):
        raise InputError(
            f"loss={loss.name} needs logits that are cosines, s cos θ, and model={model.name} "
            "gives others. Use model=cosine or loss=ce."
        )
    if model.scale != loss.scale:
        raise InputError(
            f"loss.scale={loss.scale:g} must be model.scale={model.scale:g}; "
            f"add loss.scale={model.scale:g}."
        )


def _part(group: str, settings: Any, base: type, allowed: Sequence[str]) -> Any:
    """Make a part as `make_part` does, or return the same object for the same settings.

    mlr's own parts have no state, and most are equal in all runs of a sweep.
    """
    target = settings.get("_target_") if isinstance(settings, Mapping) else None
    key = group, repr(settings)  # which tells 1, 1.0 and True apart
    # another home folder makes another path
    if not isinstance(target, str) or own_part(target) is None or "~" in key[1]:
        return make_part(group, settings, base, allowed)
    if key not in _made:
        if len(_made) >= MOST_PARTS:
            _made.clear()
        _made[key] = make_part(group, settings, base, allowed)
    return _made[key]


def choose_device(name: str, dtype: str) -> str:
    """Return the torch device for `name`; auto takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        InputError: the device is not there, or cannot compute in `dtype`.
    """
    import torch

    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available() and dtype != "float64",
        "cpu": True,
    }
    if name == "auto":
        return next(device for device in there if there[device])
    if not there[name]:
        raise InputError(
            f"device={name} is not available on this machine in {dtype}; "
            "use device=auto or device=cpu."
        )
    return name


def _check_root(config: Mapping[str, Any]) -> None:
    """Check the options that belong to no part."""
    for key in config:  # only +key=… can bring in another one, and nothing would read it
        if key not in ROOT:
            raise InputError(unknown_option(str(key), sorted(ROOT)))
    _check_shape(config)
    whole("seed", config["seed"], at_least=0, at_most=LARGEST_SEED)
    check_run_options(config)
    if config["device"] == "gpu":  # in letters nearer to cpu
        raise InputError(unknown("device=gpu", DEVICES, "device=cuda"))
    known("device", config["device"], DEVICES)
    positive("checkpoint.seconds", config["checkpoint"].get("seconds"))
    most = config["sweep"].get("max_runs_per_batch")
    if most is not None:
        whole("sweep.max_runs_per_batch", most)
    processes = config["sweep"].get("processes")
    if processes is not None:
        whole("sweep.processes", processes)
    flag("objective.strict", config["objective"].get("strict"))
    patience_of(config.get("stopping", {}))
    if "evaluate" in config:
        flag("evaluate.test_every_epoch", config["evaluate"].get("test_every_epoch"))


def _check_shape(config: Mapping[str, Any]) -> None:
    """Check the shape of a configuration; Hydra has done so, but not for a recorded run."""
    for key in ROOT:
        if key not in config and key not in ADDED:
            raise InputError(f"{key} is missing from the configuration.")
    for key in ("objective", "evaluate", "stopping", "checkpoint", "sweep"):
        if key in config and not isinstance(config[key], Mapping):
            raise InputError(f"{key}={typed(config[key])} must be a group of options.")
    names = config["allow_targets"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"allow_targets={typed(names)} must be a list of names.")


def _check_metric(name: str, regression: bool, multilabel: bool | None) -> None:
    if regression and name in (*OF_CLASSES, *OF_LABELS):
        raise InputError(
            f"objective_metric={name} needs classes, but the data are a regression; "
            f"use one of {', '.join(LOSSES)}."
        )
    if multilabel and name.startswith("accuracy/"):
        raise InputError(
            f"objective_metric={name} needs one class for each example, but the data have several "
            f"labels; use {name.replace('accuracy/', 'label_accuracy/')}."
        )
    if multilabel is False and name in OF_LABELS:
        raise InputError(
            f"objective_metric={name} needs data with several labels (data.task=multilabel); "
            f"use one of {', '.join((*LOSSES, *OF_CLASSES))}."
        )
    known("objective_metric", name, (*LOSSES, *OF_CLASSES, *OF_LABELS))


@contextmanager
def _printed_once() -> Iterator[None]:
    """Print warnings about data on standard error; pass others on."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        yield
    for one in caught:
        text = str(one.message)
        if not issubclass(one.category, DataWarning):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
        else:  # for all runs of a sweep
            console.say_once(text)
