"""Trained networks read back from the folders of their runs, without the training data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mlr.app.config.run_spec import RunSpec
from mlr.app.trained.restored import load_network, spec_of
from mlr.core import checks
from mlr.core.checks import DataError, InputError
from mlr.core.commandline import command
from mlr.core.seeds import derive_seed
from mlr.data.inputs import Description
from mlr.objectives import Objective
from mlr.records.checksums import check_file, read_small
from mlr.records.reading import Recorded, read_runs, remedied
from mlr.records.run_folder import INPUTS

ROWS = 500
"""Examples that go through the network at a time: it bounds the memory."""


class Predictor(nn.Module):
    """Values of a file → predictions y (B, K): the scaling, the network and its head.

    Targets of a regression are in the unit of the data.

    Args:
        spec: parts of the run.
        data: description of its data.
        network: features → logits.
    """

    offset: Tensor
    divisor: Tensor
    target_offset: Tensor
    target_divisor: Tensor

    def __init__(self, spec: RunSpec, data: Description, network: nn.Module) -> None:
        super().__init__()
        self.head, self.network, self.data = spec.head, network, data
        self.dtype = getattr(torch, spec.config["dtype"])
        inputs, targets = data.inputs, data.target_scaling
        self.scaled, self.in_unit = inputs is not None, targets is not None
        if inputs is not None:
            self.register_buffer("offset", torch.as_tensor(inputs.scaling.offset))
            self.register_buffer("divisor", torch.as_tensor(inputs.scaling.divisor))
        if targets is not None:
            self.register_buffer("target_offset", torch.as_tensor(targets.offset))
            self.register_buffer("target_divisor", torch.as_tensor(targets.divisor))

    @property
    def example(self) -> Tensor:
        """Values of two examples: whole numbers in float32 where they are bytes, else float64."""
        in_bytes = self.data.inputs is not None and self.data.inputs.in_bytes
        dtype = torch.float32 if in_bytes else torch.float64
        return torch.ones(2, *self.data.feature_shape, dtype=dtype)

    def forward(self, values: Tensor) -> Tensor:
        """Compute predictions (B, K) of values (B, *feature_shape)."""
        return self.predictions(self.logits(values))

    def logits(self, values: Tensor) -> Tensor:
        """Compute logits (B, K) of values (B, *feature_shape)."""
        if self.scaled:
            precision = values.dtype
            values = (values - self.offset.to(precision)) / self.divisor.to(precision)
        # the features of a training are float32, whatever the type of the parameters
        logits: Tensor = self.network(values.to(torch.float32).to(self.dtype))
        return logits

    def predictions(self, logits: Tensor) -> Tensor:
        """Compute predictions (B, K), of a regression in the unit of the data."""
        y = self.head(logits)
        if not self.in_unit:
            return y
        offset, divisor = (one.to(self.dtype) for one in (self.target_offset, self.target_divisor))
        return self.head.rescaled(y, offset, divisor)


@dataclass(frozen=True)
class TrainedRun:
    """A run with its trained network.

    Attributes:
        run: that was read.
        spec: its parts.
        data: description of its data.
        objective: head and loss.
        predictor: values of a file → predictions, in evaluation.
        step: updates of the parameters.
    """

    run: Recorded
    spec: RunSpec
    data: Description
    objective: Objective
    predictor: Predictor
    step: int

    @torch.no_grad()
    def logits(self, values: NDArray) -> Tensor:
        """Compute logits (N, K) of values (N, *feature_shape) of a file."""
        given = np.float32 if values.dtype == np.uint8 else np.float64
        with torch.random.fork_rng(devices=[]):  # a user's module may draw
            torch.manual_seed(derive_seed(self.spec.config["seed"], "evaluation"))
            parts = torch.from_numpy(values.astype(given)).split(ROWS)
            return torch.cat([self.predictor.logits(part) for part in parts])


def load_trained(place: Path | str, allowed: Sequence[str] = ()) -> TrainedRun:
    """Load the trained network of a run: the last one, by which its final numbers were computed.

    Args:
        place: folder of the run.
        allowed: names that may be imported besides mlr's own parts.

    Raises:
        InputError: there is no run or there are several, or it has no configuration, checkpoint or
            description of its data.
        DataError: a file is damaged.
    """
    run = _only(place)
    spec = spec_of(run, allowed)
    data = read_description(run)
    outputs = spec.head.outputs_of(data.classes, data.targets)
    strict = run.config["objective"]["strict"]
    objective = spec.loss_options.of_numbers(
        spec.head, spec.loss, outputs, strict, data.pos_weight, data.prior
    )
    network = spec.model.build(data.feature_shape, outputs, run.config["seed"], run.config["dtype"])
    _, step = load_network(run, network)
    predictor = Predictor(spec, data, network).eval()
    return TrainedRun(run, spec, data, objective, predictor, step)


def read_description(run: Recorded) -> Description:
    """Read what is known of a run's data.

    Raises:
        InputError: nothing is, as of runs of older versions.
        DataError: the file is damaged.
    """
    path = run.folder / INPUTS
    files = run.entries.get("files") or {}
    try:
        if INPUTS in files:
            check_file(path, run.folder, files[INPUTS])
        return Description.decode(read_small(path))
    except FileNotFoundError:
        raise InputError(
            f"{run.name} has no {INPUTS}, which says how its data were scaled; it is of a version "
            "of mlr that did not write it: train it again."
        ) from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        verify = command("verify", str(run.folder))
        raise DataError(f"{path} is damaged: {error}; {verify} says more.") from error


def _only(place: Path | str) -> Recorded:
    """Read the only run of a folder."""
    runs = read_runs(place)
    if len(runs) > 1:
        names = checks.listed([run.name for run in runs], 60)
        raise InputError(f"{place} holds {len(runs)} runs; name the folder of one: {names}.")
    if runs[0].changed:
        raise DataError(remedied(runs[0], place))
    return runs[0]
