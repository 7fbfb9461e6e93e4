"""Programs with a fault of the loop, the network or the data, written blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam

from mlr.benchmarks.programs.blind.material import sequences, spots
from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import BatchLoader, accuracy, clouds, fit


def dice_of_masks(watch: Watch, faulty: bool) -> float:
    """A Dice loss returns the coefficient itself, which is then made small."""
    torch.manual_seed(0)
    x, mask, _ = spots()

    class DiceLoss(nn.Module):
        def forward(self, probs: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
            both = (probs * target).sum()
            dice = (2 * both + smooth) / (probs.sum() + target.sum() + smooth)
            return dice if faulty else 1 - dice

    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 1, 1),
        nn.Sigmoid(),
    )
    optimizer = Adam(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, DiceLoss(), BatchLoader(x, mask, size=32), 8)
    with torch.no_grad():
        found = model(x) > 0.5
        return float((found & mask.bool()).sum() / (found | mask.bool()).sum())


def frames_of_video(watch: Watch, faulty: bool) -> float:
    """Frames (N, T, F) come to an LSTM (T, N, F) by view, which mixes the videos of a batch."""
    torch.manual_seed(0)
    x, t = sequences()

    class DecoderRNN(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(2, 24)
            self.fc = nn.Linear(24, 4)

        def forward(self, x: Tensor) -> Tensor:
            count, length, features = x.shape
            frames = x.view(length, count, features) if faulty else x.transpose(0, 1)
            return self.fc(self.lstm(frames)[0].mean(0))

    model = DecoderRNN()
    optimizer = Adam(model.parameters(), lr=0.02)
    with watch(model, optimizer) as probe:
        for _ in range(15):
            for videos, labels in BatchLoader(x, t, size=40):
                optimizer.zero_grad()
                scores = model(videos)
                loss = F.cross_entropy(scores, labels)
                probe.watch(scores, labels, loss)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
    return accuracy(model, x, t)


def deep_sigmoids_again(watch: Watch, faulty: bool) -> float:
    """Seven hidden layers with sigmoids stand between three clouds and their classes."""
    torch.manual_seed(0)
    x, t = clouds()
    layers: list[nn.Module] = [nn.Linear(8, 32)]
    for _ in range(6):
        layers += [nn.Sigmoid() if faulty else nn.ReLU(), nn.Linear(32, 32)]
    model = nn.Sequential(*layers, nn.Sigmoid() if faulty else nn.ReLU(), nn.Linear(32, 3))
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=30), 15)
    return accuracy(model, x, t)


CASES = (
    Faulty(
        dice_of_masks,
        ("loss_maximised",),
        learns=0.8,
        fails=0.3,
        source="https://github.com/IAmSuyogJadhav/3d-mri-brain-tumor-segmentation-using-autoencoder-"
        "regularization/issues/7",
    ),
    Faulty(
        frames_of_video,
        ("inputs_scrambled",),
        learns=0.9,
        fails=0.5,
        source="https://github.com/HHTseng/video-classification/issues/42",
    ),
    Faulty(deep_sigmoids_again, ("vanishing_gradient",), learns=0.95, fails=0.6),
)
