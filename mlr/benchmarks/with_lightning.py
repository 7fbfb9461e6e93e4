"""The benchmark's MLP in Lightning's Trainer; needs Lightning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import grad_norm
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from mlr.benchmarks.workloads import LR, Workload


class Module(pl.LightningModule):  # type: ignore[misc, unused-ignore]
    """The network and its loss."""

    def __init__(self, work: Workload) -> None:
        super().__init__()
        self.net = work.model.build((work.features,), work.outputs, 0)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Compute the mean cross-entropy."""
        inputs, targets = batch
        return F.cross_entropy(self.net(inputs), targets)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return plain SGD."""
        return torch.optim.SGD(self.parameters(), lr=LR)


class WithRecipe(Module):
    """The recipe of Lightning's "Debug your model (intermediate)": log gradient norms."""

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Log the norm of every parameter's gradient."""
        self.log_dict(grad_norm(self.net, norm_type=2))


def fit_in_trainer(
    work: Workload,
    batches: list[tuple[Tensor, Tensor]],
    folder: Path,
    recipe: bool = False,
    callback: Any = None,
) -> None:
    """Train one pass over the batches, with Lightning's own logging of every 50th step."""
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=TensorBoardLogger(folder),
        callbacks=[] if callback is None else [callback],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = (WithRecipe if recipe else Module)(work)
    trainer.fit(module, DataLoader(batches, batch_size=None))  # type: ignore[arg-type]
