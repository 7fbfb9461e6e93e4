"""Files to predict: tables, arrays and images, as values that a trained run takes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlr.app.trained.loading import TrainedRun
from mlr.core import console
from mlr.core.checks import DataError, InputError, listed
from mlr.data import options
from mlr.data.faults import fault, shown
from mlr.data.idx import read as read_idx
from mlr.data.npz_file import Npz
from mlr.data.tables import columns as encoding
from mlr.data.tables.csv_file import Csv
from mlr.data.tables.table import Table, read_table
from mlr.data.validate import class_labels, finite, yes_or_no

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
KINDS = "a CSV file, an .npz or .npy file, an IDX file, an image, or a folder of images"
_ROOM = 60


class FileExamples(NamedTuple):
    """Examples of a file.

    values: (N, *feature_shape), unscaled.
    targets: class indices (N,) int64, or values (N, K) in the unit of the file; None without any.
    names: of the examples, and what they are: lines, files, or their places in an array.
    """

    values: NDArray
    targets: NDArray | None
    names: Sequence[str | int]
    named: str


def read_examples(path: Path, trained: TrainedRun) -> FileExamples:
    """Read a file or a folder of images.

    Raises:
        InputError: there is none, or it is of another kind.
        DataError: it is damaged, or does not fit the run; says how.
    """
    if not path.exists():
        raise InputError(f"{path} is not there; give {KINDS}.")
    ending = path.suffix.lower()
    if path.is_dir() or ending in IMAGES:
        found = _images(path, trained)
    elif ending in (".npz", ".npy"):
        found = _arrays(path, trained)
    elif "ubyte" in path.name:
        found = _in_shape(path, read_idx(path), trained)
    elif ending in (".csv", ".tsv", ".txt"):
        found = _table(path, trained)
    else:
        raise InputError(f"{path} is of no kind that can be read; give {KINDS}.")
    inputs = trained.data.inputs
    if inputs is not None and inputs.in_bytes:
        return found._replace(values=_bytes(path, found.values))
    return found


def _bytes(path: Path, values: NDArray) -> NDArray[np.uint8]:
    """Check that values are whole numbers from 0 to 255, as those of the training."""
    if values.dtype == np.uint8:
        return values
    if ((values < 0) | (values > 255) | (values != np.rint(values))).any():
        raise fault(
            path,
            f"has numbers from {values.min():g} to {values.max():g}, but the run was trained on "
            "whole numbers from 0 to 255, which it scales itself.",
        )
    return values.astype(np.uint8)


def _table(path: Path, trained: TrainedRun) -> FileExamples:
    """Read the columns of the training by their names, or all columns in their order."""
    source, data = trained.spec.source, trained.data
    inputs = data.inputs
    known = None if inputs is None else inputs.columns
    separator, comma, numbered = ",", False, False
    missing = options.REFUSE
    if isinstance(source, Csv):
        separator, comma = source.separator, source.decimal == "comma"
        numbered = source.header is False
        missing = source.missing if source.missing in (options.MEAN, options.MEDIAN) else missing
    if path.suffix.lower() == ".tsv" and not isinstance(source, Csv):
        separator = "\t"
    table = read_table(path, separator, not numbered, comma, "label", one_column=True)
    if known is None or inputs is None:
        return _columns_in_order(table, trained)
    names = list(known.names)
    others = [name for name in table.columns if name not in inputs.target_columns]
    if numbered and not {*inputs.target_columns} <= {*table.columns} and len(names) == len(others):
        # without the column of the targets, others have moved
        columns = dict(zip(names, (table.columns[name] for name in others), strict=True))
        table = Table(table.file, columns, table.lines, numbered)
    lost = [name for name in names if name not in table.columns]
    if lost:
        raise DataError(
            f"{path} has no column {listed(list(map(shown, lost)), _ROOM)}, on which "
            f"{trained.run.name} was trained; it has "
            f"{listed(list(map(shown, table.columns)), _ROOM)}."
        )
    categorical = list(known.categories)
    of_numbers = [name for name in names if name not in categorical]
    table = encoding.without_missing(table, of_numbers, categorical, missing, names)
    numbers = encoding.numbers_of(table, names, categorical, missing)
    for name, own in numbers.items():
        if name not in known.fill and np.isnan(own).any():
            raise fault(
                path,
                f"has a missing number in column {shown(name)}, and none was missing in training.",
            )
    values = known.features(table, numbers)
    for name in categorical:
        new = {*table.columns[name]} - {*known.categories[name]}
        if new:
            console.say(
                f"column {shown(name)} has {listed(sorted(map(shown, new)), _ROOM)}, which the "
                "training data lack: no indicator of the column is 1 there."
            )
    return FileExamples(values, _targets(table, trained), table.lines, "line")


def _columns_in_order(table: Table, trained: TrainedRun) -> FileExamples:
    """Take all columns of numbers but one named label, for a run on arrays or images."""
    shape = trained.data.feature_shape
    names = [name for name in table.columns if name != "label"]
    if len(names) != prod(shape):
        raise DataError(
            f"{table.file} has {len(names)} columns besides the label, but {trained.run.name} was "
            f"trained on {prod(shape)} features."
        )
    values = table.numbers(names).reshape(len(table.lines), *shape)
    return FileExamples(values, _targets(table, trained, ("label",)), table.lines, "line")


def _targets(
    table: Table, trained: TrainedRun, columns: Sequence[str] | None = None
) -> NDArray | None:
    """Read the targets; None where a column is missing, or one of them is empty everywhere."""
    data = trained.data
    if columns is None:
        assert data.inputs is not None
        columns = data.inputs.target_columns
    if not columns or any(name not in table.columns for name in columns):
        return None
    if not all(any(table.columns[name]) for name in columns):
        return None
    if data.classes is None:
        if len(columns) != data.targets:
            return None
        return table.yes_or_no(columns) if data.multilabel else table.numbers(columns)
    place = {name: index for index, name in enumerate(data.names)}
    texts = table.columns[columns[0]]
    for row, text in enumerate(texts):
        if text not in place:
            raise fault(
                table.place(columns[0], row),
                f"{shown(text) if text else 'an empty label'} is no class of "
                f"{trained.run.name}, whose classes are {listed(data.names, _ROOM)}.",
            )
    return np.array([place[text] for text in texts], np.int64)


def _arrays(path: Path, trained: TrainedRun) -> FileExamples:
    """Read an array of features, and one of targets if it is there."""
    source = trained.spec.source
    keys = (source.features, source.labels) if isinstance(source, Npz) else ("x", "y")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            found = {keys[0]: loaded}
        else:
            with loaded:
                found = {key: loaded[key] for key in loaded.files if key in keys}
                there = list(loaded.files)
    except MemoryError:
        raise
    # numpy and zipfile meet damage with a dozen kinds of errors
    except Exception as error:
        reason = shown(str(error) or type(error).__name__, _ROOM)
        raise fault(path, f"is no array file or damaged: {reason}.") from None
    if keys[0] not in found:
        raise fault(path, f"has no array {keys[0]!r}; it has {listed(there, _ROOM)}.")
    examples = _in_shape(path, found[keys[0]], trained)
    if keys[1] not in found:
        return examples
    return examples._replace(targets=_array_targets(path, found[keys[1]], examples, trained))


def _array_targets(
    path: Path, targets: NDArray, examples: FileExamples, trained: TrainedRun
) -> NDArray:
    """Check targets: whole numbers of classes, 0 and 1 of several labels, or values."""
    data, count = trained.data, len(examples.values)
    if data.classes is None:
        shaped = targets.reshape(len(targets), -1) if targets.ndim else targets
        if shaped.shape != (count, data.targets):
            raise fault(path, f"has targets {targets.shape}, not ({count}, {data.targets}).")
        finite(str(path), shaped, "targets")
        if data.multilabel:
            yes_or_no(str(path), shaped)
        return shaped.astype(np.float64)
    labels, _ = class_labels(str(path), targets, data.classes)
    if len(labels) != count:
        raise fault(path, f"has {count} examples but {len(labels)} labels; every example has one.")
    return labels


def _in_shape(path: Path, values: NDArray, trained: TrainedRun) -> FileExamples:
    """Check features (N, ...); a single channel may be left out."""
    shape = trained.data.feature_shape
    if values.dtype.kind not in "biuf" or values.ndim == 0:
        raise fault(path, f"has an array of {values.dtype}, not of numbers (N, …).")
    if values.shape[1:] != shape and values.shape[1:] != shape[shape[:1] == (1,) :]:
        wanted = ", ".join(["N", *map(str, shape)])
        raise fault(
            path,
            f"has features {values.shape}, but {trained.run.name} was trained on ({wanted}).",
        )
    if not len(values):
        raise fault(path, "has no example.")
    finite(str(path), values)
    return FileExamples(values.reshape(len(values), *shape), None, range(len(values)), "row")


def _images(path: Path, trained: TrainedRun) -> FileExamples:
    """Read one image, or all images of a folder in the order of their names."""
    from PIL import Image, UnidentifiedImageError

    shape, inputs = trained.data.feature_shape, trained.data.inputs
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise InputError(f"{path} holds images, but {trained.run.name} was trained on {shape}.")
    if inputs is None or not inputs.in_bytes:
        raise InputError(
            f"{path} holds images, whose pixels are bytes, but {trained.run.name} was trained on "
            "other numbers; save those in an .npz file, under the key x."
        )
    files = [path]
    if path.is_dir():
        files = sorted(one for one in path.iterdir() if one.suffix.lower() in IMAGES)
    if not files:
        raise InputError(f"{path} holds no image; its files must end in {', '.join(IMAGES)}.")
    pixels = []
    for file in files:
        try:
            with Image.open(file) as image:
                if image.size != (shape[2], shape[1]):
                    raise fault(
                        file,
                        f"has {image.size[0]} × {image.size[1]} pixels, but {trained.run.name} was "
                        f"trained on {shape[2]} × {shape[1]}; scale it first.",
                    )
                found = np.asarray(image.convert("L" if shape[0] == 1 else "RGB"), np.uint8)
        except (UnidentifiedImageError, OSError, SyntaxError) as error:
            raise fault(file, f"is no image or damaged: {shown(str(error), _ROOM)}.") from None
        pixels.append(found[None] if shape[0] == 1 else found.transpose(2, 0, 1))
    return FileExamples(np.stack(pixels), None, [file.name for file in files], "file")
