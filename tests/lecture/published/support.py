"""Small stand-ins for MNIST and for a trained network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from mlr.lecture.published.files import Images
from tests.data.support import REPO, mnist_folder


def images(count: int, seed: int = 0) -> Images:
    """Random pixels, a fifth of them lit, and labels."""
    generator = torch.Generator().manual_seed(seed)
    lit = torch.rand(count, 784, generator=generator) < 0.2
    pixels = torch.randint(0, 256, (count, 784), generator=generator) * lit
    return Images(pixels.float(), torch.randint(0, 10, (count,), generator=generator))


def need_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip where the real files are not."""
    folder = mnist_folder()
    if not folder.exists():
        pytest.skip(f"the real MNIST files are not in {folder}; name their folder in MLR_MNIST")
    monkeypatch.setenv("MLR_MNIST", str(folder))


def need_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip where Nielsen's stored curves are not."""
    default = REPO.parent / "shared" / "data" / "nielsen-curves"
    folder = Path(os.environ.get("MLR_NIELSEN", default))
    if not folder.exists():
        pytest.skip(f"Nielsen's curves are not in {folder}; name their folder in MLR_NIELSEN")
    monkeypatch.setenv("MLR_NIELSEN", str(folder))


def need_cement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip where the strengths of cement are not."""
    folder = Path(os.environ.get("MLR_CEMENT", REPO.parent / "shared" / "data" / "cement"))
    if not folder.exists():
        pytest.skip(f"the strengths of cement are not in {folder}; name their folder in MLR_CEMENT")
    monkeypatch.setenv("MLR_CEMENT", str(folder))
