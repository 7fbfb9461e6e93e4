"""Load the data that many runs of a sweep share once, as one object wherever they are equal."""

from __future__ import annotations

from collections import OrderedDict

import torch

from mlr.app.config.run_spec import RunSpec
from mlr.data import Dataset
from mlr.records.identity import data_key

MOST_BYTES = 1 << 30
"""Of data cached for runs to come; what waiting runs hold is theirs."""


class DataCache:
    """Datasets by their source, its options, and the seed."""

    def __init__(self) -> None:
        self._cached: OrderedDict[str, tuple[Dataset, int]] = OrderedDict()
        self._bytes = 0
        self._first: dict[str, Dataset] = {}  # by options alone

    def of(self, spec: RunSpec) -> Dataset:
        """Return the data of a run.

        Raises:
            InputError: they are missing or damaged.
        """
        key = data_key(spec.config)
        if key in self._cached:
            self._cached.move_to_end(key)
            return self._cached[key][0]
        loaded = spec.load()
        data = self._same(spec, loaded)
        size = _size(data) if data is loaded else 0
        self._cached[key] = (data, size)
        self._bytes += size
        while self._bytes > MOST_BYTES and len(self._cached) > 1:
            dropped, size = self._cached.popitem(last=False)[1]
            self._bytes -= size
            self._first = {key: one for key, one in self._first.items() if one is not dropped}
        return data

    def clear(self) -> None:
        """Drop all datasets."""
        self._cached.clear()
        self._first.clear()
        self._bytes = 0

    def _same(self, spec: RunSpec, data: Dataset) -> Dataset:
        """Return the object loaded for another seed, if this source does not depend on it."""
        options = str(sorted(spec.config["data"].items(), key=str))
        first = self._first.setdefault(options, data)
        return first if _equal(first, data) else data


def _tensors(data: Dataset) -> list[torch.Tensor]:
    splits = (data.train, data.val, data.test)
    return [tensor for split in splits for tensor in (split.features, split.targets)]


def _size(data: Dataset) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in _tensors(data))


def _equal(one: Dataset, two: Dataset) -> bool:
    pairs = zip(_tensors(one), _tensors(two), strict=True)
    alike = (one.classes, one.labels) == (two.classes, two.labels)
    return one is two or (alike and all(torch.equal(*pair) for pair in pairs))
