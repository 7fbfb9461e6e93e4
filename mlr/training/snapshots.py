"""Parameters that some runs had at some steps, kept for who looks at them after the training."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mlr.training.step import Program

Snapshot = tuple[int, dict[str, Tensor]]
"""Updates done, and θ by name, on the CPU."""


class Snapshots:
    """Copies of single runs' parameters; a step that nobody asked for costs a look-up.

    Args:
        program: whose runs are kept.
        steps: of each run, numbers of updates after which it is kept.
    """

    def __init__(self, program: Program, steps: Sequence[Sequence[int]]) -> None:
        self.program = program
        self.due: dict[int, list[int]] = {}
        for run, own in enumerate(steps):
            for step in own:
                self.due.setdefault(step, []).append(run)
        self.kept: list[list[tuple[int, Tensor]]] = [[] for _ in steps]

    def keep(self, step: int) -> None:
        """Copy what is due after `step` updates."""
        for run in self.due.get(step, ()):
            row = self.program.parameters[self.program.lane_of[run]]
            self.kept[run].append((step, row.to("cpu", copy=True).contiguous()))

    def of(self, run: int, end: int) -> tuple[Snapshot, ...]:
        """Those of one run from before its end: what its lane computed afterwards is not its own.

        Args:
            run: its number in the program.
            end: updates that its final parameters have seen.
        """
        found = []
        for step, row in self.kept[run]:
            if step < end:
                views = self.program.layout.views(row.unsqueeze(0))
                found.append((step, {name: value[0] for name, value in views.items()}))
        return tuple(found)
