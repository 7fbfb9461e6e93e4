"""Programs that regress, or that reconstruct images, whose output does not fit the loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Adam

from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    digits,
    explained,
    fit,
    houses,
    mlp,
)


def relu_regression(watch: Watch, faulty: bool) -> float:
    """A regression of standardised targets ends in a ReLU."""
    torch.manual_seed(0)
    x, t = houses()
    model = mlp(5, 32, 1)
    if faulty:
        model.append(nn.ReLU())
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(x, t), 20)
    return explained(model, x, t)


def column_against_row(watch: Watch, faulty: bool) -> float:
    """The difference of outputs (B, 1) and targets (B,) is a matrix (B, B)."""
    torch.manual_seed(0)
    x, t = houses()
    t = t.flatten()
    model = mlp(5, 32, 1)
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(20):
            for inputs, targets in BatchLoader(x, t):
                outputs = model(inputs)
                if not faulty:
                    outputs = outputs.squeeze(1)
                loss = ((outputs - targets) ** 2).mean()
                probe.watch(outputs, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return explained(model, x, t)


def tanh_pixels(watch: Watch, faulty: bool) -> float:
    """A decoder ends in tanh, but pixels were left in [0, 255]."""
    torch.manual_seed(0)
    x, _ = digits()
    pixels = x[:600] * 255 if faulty else x[:600] * 2 - 1
    model = nn.Sequential(*mlp(64, 24, 64), nn.Tanh())
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(pixels, pixels), 15)
    return explained(model, pixels, pixels)


def pixels_to_255_under_bce(watch: Watch, faulty: bool) -> float:
    """An autoencoder is trained by BCE on pixels that were not divided by 255."""
    torch.manual_seed(0)
    x, _ = digits()
    x = x[:600]
    model = mlp(64, 24, 64)
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(20):
            for (inputs,) in BatchLoader(x):
                targets = (inputs * 255).round()
                if not faulty:
                    targets = targets / 255
                outputs = model(inputs)
                loss = F.binary_cross_entropy_with_logits(outputs, targets)
                probe.watch(outputs, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return explained(nn.Sequential(model, nn.Sigmoid()), x, x)


CASES = (
    Faulty(
        relu_regression,
        ("relu_output", "output_out_of_range"),
        learns=0.8,
        fails=0.6,
        source="https://github.com/ProteomicsML/ProteomicsML/pull/203",
    ),
    Faulty(
        column_against_row,
        ("shapes_broadcast",),
        learns=0.8,
        fails=0.3,
        source="https://github.com/deepset-ai/FARM/issues/229",
    ),
    Faulty(tanh_pixels, ("output_out_of_range", "targets_unscaled"), learns=0.6, fails=0.1),
    Faulty(
        pixels_to_255_under_bce,
        ("targets_out_of_range",),
        learns=0.6,
        fails=0.1,
        source="https://github.com/milesial/Pytorch-UNet/issues/78",
    ),
)
