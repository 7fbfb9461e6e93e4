"""Updates of L lanes by optimizers of torch, one for each lane, over views of its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mlr.core.checks import InputError, is_out_of_memory
from mlr.core.seeds import derive_seed
from mlr.training.experiment import Experiment
from mlr.training.memory_layout import Layout
from mlr.training.own_updates import OwnOptimizer

_TRIED_STEPS = 2


class OwnStepper:
    """One optimizer of torch for each lane; a lane's numbers are those of the run alone.

    An optimizer sees the parameters in their own shapes. What it draws from torch depends on the
    run's seed and the number of the update.

    Args:
        lanes: the optimizer of each lane.
        seeds: of the lanes.
        layout: of the rows.
        flat: parameters (L, P).
        grads: their gradients (L, P).

    Raises:
        InputError: an optimizer cannot be made, fails in an update, or has a state that no
            checkpoint holds.
    """

    def __init__(
        self,
        lanes: Sequence[OwnOptimizer],
        seeds: Sequence[int],
        layout: Layout,
        flat: Tensor,
        grads: Tensor,
    ) -> None:
        self.state: dict[str, Tensor] = {}
        """no moments (L, P): each lane has its own"""
        self.rates = [own.lr for own in lanes]
        self.seeds = seeds
        self.optimizers: list[LaneOptimizer] = []
        for lane, own in enumerate(lanes):
            row = slice(lane, lane + 1)
            views, slopes = layout.views(flat[row]), layout.views(grads[row])
            parameters = {name: nn.Parameter(view[0]) for name, view in views.items()}
            for name, parameter in parameters.items():
                parameter.grad = slopes[name][0]
            self.optimizers.append(LaneOptimizer(own, parameters))
        found, self.counted, self.draws = self.optimizers[0].tried(lanes[0])
        self.remembered: dict[str, Any] = found
        """what each remembers after an update, of these types"""

    def step(self, parameters: Tensor, gradients: Tensor, factor: float, number: int) -> None:
        """Update every lane; arguments as of `SGDStepper`."""
        for rate, seed, own in zip(self.rates, self.seeds, self.optimizers, strict=True):
            if self.draws:
                torch.manual_seed(derive_seed(seed, "optimizer", number))
            own.step(rate * factor)

    def held(self, lanes: Sequence[int]) -> list[dict[str, Tensor]]:
        """Copy what the optimizers of lanes remember, by `<parameter>.<name>`, to the CPU."""
        remembered = [self.optimizers[lane].remembered(self.counted) for lane in lanes]
        return [{name: as_tensor(one) for name, one in own.items()} for own in remembered]

    def load(self, lanes: Sequence[int], held: Sequence[Mapping[str, Tensor]]) -> None:
        """Have the optimizers of lanes remember this, and nothing else."""
        for lane, own in zip(lanes, held, strict=True):
            self.optimizers[lane].load(own, self.remembered)


def remembered(experiment: Experiment) -> set[str]:
    """Return the names of what the optimizer of a run remembers after an update."""
    layout = Layout.of(experiment.module)
    flat = layout.stack([experiment.parameters])
    assert isinstance(experiment.optimizer, OwnOptimizer)
    own = OwnStepper([experiment.optimizer], [0], layout, flat, torch.zeros_like(flat))
    return set(own.remembered)


class LaneOptimizer:
    """The optimizer of one lane, and the names of its parameters."""

    def __init__(self, own: OwnOptimizer, parameters: dict[str, nn.Parameter]) -> None:
        self.parameters = parameters
        self.optimizer = _made(own, list(parameters.values()))
        (self.group,) = self.optimizer.param_groups
        self.begun = {key: own for key, own in self.group.items() if key not in ("params", "lr")}

    def step(self, rate: float) -> None:
        """Do one update with the gradients of the parameters."""
        self.group["lr"] = rate
        self.optimizer.step()

    def remembered(self, counted: Sequence[str]) -> dict[str, Any]:
        """Return the numbers and tensors of its state, and those settings that it counts."""
        found = {
            f"{name}.{key}": value
            for name, parameter in self.parameters.items()
            for key, value in self.optimizer.state.get(parameter, {}).items()
            if value is not None
        }
        if found:
            # no parameter has an empty name
            found |= {f".{key}": self.group[key] for key in counted}
        return found

    def load(self, held: Mapping[str, Tensor], remembered: Mapping[str, Any]) -> None:
        """Replace the state; each value has the type of that in `remembered`."""
        self.optimizer.state.clear()
        self.group.update(self.begun)
        for name, own in held.items():
            like, value = remembered[name], own.clone()
            value = value.to(like.device) if isinstance(like, Tensor) else type(like)(own.item())
            parameter, key = name.rsplit(".", 1)
            if parameter:
                self.optimizer.state[self.parameters[parameter]][key] = value
            else:
                self.group[key] = value

    def tried(self, own: OwnOptimizer) -> tuple[dict[str, Any], list[str], bool]:
        """Do some updates of copies, with gradients that are drawn.

        Returns:
            What is remembered then, the settings that are counted, and if torch's random numbers
            were drawn.

        Raises:
            InputError: see `OwnStepper`.
        """
        name = f"optimizer._target_={own.kind.__name__}"
        generator = torch.Generator().manual_seed(0)
        copies = {}
        for key, parameter in self.parameters.items():
            copies[key] = nn.Parameter(parameter.detach().clone())
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            copies[key].grad = noise.to(parameter.device)
        twin = LaneOptimizer(own, copies)
        with torch.random.fork_rng(devices=[]):
            before = torch.get_rng_state()
            try:
                for _ in range(_TRIED_STEPS):
                    twin.step(own.lr)
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                raise InputError(f"{name} fails in an update: {error}") from error
            draws = not torch.equal(before, torch.get_rng_state())
        counted = [key for key, value in twin.begun.items() if _differ(twin.group[key], value)]
        found = twin.remembered(counted)
        for key, value in found.items():
            if not isinstance(value, (Tensor, bool, int, float)):
                raise InputError(
                    f"{name} remembers {key} as a {type(value).__name__}, which no checkpoint "
                    "holds; keep tensors and numbers in its state."
                )
        return found, counted, draws


def as_tensor(value: Tensor | float) -> Tensor:
    """Copy a tensor to the CPU, or make one of a number, with all its digits."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    return torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None)


def _made(own: OwnOptimizer, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    options = {"lr": own.lr, **dict(own.options)}
    try:
        made: torch.optim.Optimizer = own.kind(parameters, **options)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise InputError(
            f"optimizer._target_={own.kind.__name__} cannot be made of {options}: {error} "
            "Set its arguments as +optimizer.<argument>=…"
        ) from error
    if len(made.param_groups) != 1:
        raise InputError(
            f"optimizer._target_={own.kind.__name__} makes {len(made.param_groups)} groups of "
            "parameters; there must be one, whose learning rate is set."
        )
    return made


def _differ(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return not torch.equal(one, other)
    return bool(one != other)
