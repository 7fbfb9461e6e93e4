"""Memory: bytes per run of a program, and bytes that are free."""

from __future__ import annotations

import os
from contextlib import suppress
from math import prod
from pathlib import Path

import torch
from torch import nn

from mlr.data.base import Dataset
from mlr.training.experiment import Experiment

# measured as the growth of the peak with R, of linear models and MLPs with and without
# histograms, and rounded up: parameters with gradients, moments, their copies (before the updates
# that are not judged yet, and of the best epoch), results and checkpoint
COPIES_OF_PARAMETERS = 22
COPIES_OF_DATA = 8
COPIES_OF_ACTIVATIONS = 4
# at the end of the training, of a batch and of the whole of a held-out split
COPIES_OF_LOGITS = 13
DOUBLES_OF_LOGITS = 6
DOUBLES_OF_EXAMPLES = 9
MOST_ROWS = 2048
"""Examples that are evaluated at a time."""
MOST_VALUES = 1 << 20
"""Logits of one run by which the temperature of its calibration is fitted."""
BYTES_OF_A_POINT = 2_000
"""A measured step: its numbers in memory, as text, and as an event."""
BYTES_AROUND = 200_000
"""Configuration, files of the folder before they are written, objects of Python."""

V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_LIMITS = {
    # cgroup v2, then v1: limit, what is used of it, and what of that can be dropped
    "/sys/fs/cgroup": ("memory.max", "memory.current", "inactive_file"),
    "/sys/fs/cgroup/memory": V1,
}


def bytes_per_run(experiment: Experiment) -> int:
    """Estimate the bytes that one more run adds to a program's peak, without its data."""
    size = 8 if experiment.dtype == "float64" else 4
    parameters = sum(value.numel() for value in experiment.module.parameters())
    examples = experiment.batch_size * activations(experiment.module, experiment.data)
    data, head = experiment.data, experiment.objective.head
    held_out = max(len(data.val), len(data.test))
    rows, outputs = min(MOST_ROWS, held_out), head.outputs_of(data.classes, data.targets)
    last = rows * outputs * (size * COPIES_OF_LOGITS + 8 * DOUBLES_OF_LOGITS)
    last += 8 * DOUBLES_OF_EXAMPLES * held_out
    # with their targets, by which a temperature is fitted
    last += 2 * size * min(len(data.val) * outputs, MOST_VALUES)
    points = experiment.probes.most_steps(experiment.total_steps) + experiment.epochs
    return (
        size * (COPIES_OF_PARAMETERS * parameters + COPIES_OF_ACTIVATIONS * examples)
        + last
        + BYTES_OF_A_POINT * points
        + BYTES_AROUND
    )


def bytes_of_data(data: Dataset) -> int:
    """Estimate the bytes that a dataset adds to a program's peak, however many runs share it."""
    splits = (data.train, data.val, data.test)
    tensors = [tensor for split in splits for tensor in (split.features, split.targets)]
    return COPIES_OF_DATA * sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def free_bytes(device: str) -> int:
    """Return the free bytes of a device, within the limits of a container or of SLURM."""
    if torch.device(device).type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min([_of_machine(), *_of_groups()])


def activations(module: nn.Module, data: Dataset) -> int:
    """Count the numbers of one example in all layers, including itself."""
    counts = [prod(data.feature_shape)]

    def count(_: nn.Module, __: object, output: object) -> None:
        if isinstance(output, torch.Tensor):
            counts.append(output.numel())

    leaves = [part for part in module.modules() if not list(part.children())]
    hooks = [part.register_forward_hook(count) for part in leaves]
    training = module.training
    try:
        module.eval()
        # a module that cannot do this fails with its own message when it is trained
        with torch.no_grad(), suppress(Exception):
            module(data.train.features[:1].to(next(module.parameters())))
    finally:
        module.train(training)
        for hook in hooks:
            hook.remove()
    return sum(counts)


def _of_machine() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # not Linux: half of the installed memory
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _of_groups() -> list[int]:
    """Return the free bytes of the control groups of this process."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for root, names in _LIMITS.items():
        for line in lines:
            _, controllers, place = line.split(":", 2)
            if ("memory" in controllers.split(",")) == root.endswith("memory"):
                inside = Path(root, place.lstrip("/"))
                found += [_left(group, names) for group in (inside, *inside.parents)]
        # seen from within a container its group is the root
        found.append(_left(Path(root), names))
    return [left for left in found if left is not None]


def _left(group: Path, names: tuple[str, str, str]) -> int | None:
    limit, used, droppable = names
    try:
        most = int((group / limit).read_text())  # "max" is no number
        taken = int((group / used).read_text())
        fields = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return max(0, most - taken + int(fields.get(droppable, 0)))
    except (OSError, ValueError):
        return None
