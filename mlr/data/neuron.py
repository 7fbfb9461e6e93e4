"""Neuron: one input, one example, the single saturated unit of the lecture."""

from __future__ import annotations

from mlr.data.base import Dataset, Source, Split


class Neuron(Source):
    """The input 1 whose target is class 0, and nothing else.

    Started at w = b = 2 a sigmoid unit is wrong and saturated: squared error barely moves it,
    cross-entropy moves it at once. Training, validation and test are the same single example:
    nothing is learnt about others here, one trajectory is watched.

    Args:
        order: shuffled or given, which are the same of one example.
        drop_last: as of other data; a batch of one is never left out.

    Source: Nielsen, Neural Networks and Deep Learning, 2015, chapter 3.
    """

    name = "neuron"
    classes: int = 2

    def __init__(self, order: str = "shuffled", drop_last: bool = False) -> None:
        self.take_order(order, drop_last)

    def load(self, seed: int) -> Dataset:
        """The example, features (1, 1) and label (1,); no seed changes it."""
        import torch

        example = Split(torch.ones(1, 1), torch.zeros(1, dtype=torch.int64))
        return Dataset(self.name, example, example, example, self.classes)
