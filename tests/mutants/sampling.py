"""Sampling of mutants: a fixed share of each package, the same ones for a seed."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from tests.mutants.operators import Mutant, mutants

PACKAGES = (
    "mlr/objectives", "mlr/probes", "mlr/training", "mlr/data", "mlr/records",
    "mlr/analysis/explain", "mlr/analysis/compare", "mlr/figures", "mlr/analysis/report",
    "mlr/analysis/verify",
    "mlr/heads", "mlr/losses",
)  # fmt: skip
LEAST = 25
"""Mutants of the smallest package."""


def package(path: str) -> str:
    return next((name for name in PACKAGES if path.startswith(f"{name}/")), "")


def found(root: Path, only: str = "") -> list[Mutant]:
    """Every mutant of the packages, of files that begin with `only`."""
    paths = [path for name in PACKAGES for path in sorted((root / name).rglob("*.py"))]
    names = [(path, path.relative_to(root).as_posix()) for path in paths]
    return [
        mutant
        for path, name in names
        if name.startswith(only)
        for mutant in mutants(path.read_text(encoding="utf-8"), name)
    ]


def sample(every: list[Mutant], size: int, seed: int) -> list[Mutant]:
    """`size` mutants, of each package its share but at least 25; an edit elsewhere moves none."""
    groups = {name: [it for it in every if package(it.path) == name] for name in PACKAGES}
    sizes = shares({name: len(group) for name, group in groups.items()}, size)
    return [
        mutant
        for name, group in groups.items()
        for mutant in sorted(group, key=lambda it: _rank(it, seed))[: sizes[name]]
    ]


def shares(counts: dict[str, int], size: int) -> dict[str, int]:
    """Size of each package's sample: its least, and of the rest what it has of all mutants."""
    least = {name: min(LEAST, count) for name, count in counts.items()}
    rest, left = max(0, size - sum(least.values())), sum(counts.values()) - sum(least.values())
    extra = {name: rest * (counts[name] - least[name]) / max(1, left) for name in counts}
    return {name: min(counts[name], least[name] + round(extra[name])) for name in counts}


def _rank(mutant: Mutant, seed: int) -> str:
    return sha256(f"{seed} {mutant.id}".encode()).hexdigest()
