"""The command predict: predictions of a trained run for the examples of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mlr.app.trained.files import FileExamples, read_examples
from mlr.app.trained.loading import TrainedRun, load_trained
from mlr.core import console
from mlr.core.checks import InputError
from mlr.core.commandline import allowed_of
from mlr.core.domains import Distributions
from mlr.core.durable import WriteError, atomic_write
from mlr.core.streams import write_utf8
from mlr.heads.distributions.base import NumbersHead
from mlr.records.status import FINISHED
from mlr.records.sweep import csv_text, marked
from mlr.training.calibration import has_probabilities, judge
from mlr.training.evaluation import EvaluatedBatch
from mlr.training.examples import targets_of
from mlr.training.run_objectives import RunObjectives

STDOUT = "-"
LEVELS = (0.05, 0.5, 0.95)
"""Levels of the quantiles that are written of a density."""


class Predictions(NamedTuple):
    """Predictions of N examples.

    header: names of the columns.
    rows: a row an example.
    metrics: numbers by name, of examples with targets; else empty.
    """

    header: list[str]
    rows: list[list[Any]]
    metrics: dict[str, float]


def main(
    folder: str, source: str, words: Sequence[str] = (), output: str = "predictions.csv"
) -> int:
    """Predict a file, write a table, and print the metrics of known targets; the exit code.

    Args:
        folder: of a run.
        source: the file, or a folder of images.
        words: names that may be imported, as `allow_targets=[my_parts]`.
        output: the CSV file; `-` for standard output.

    Raises:
        InputError: there is no such run or file, or they do not fit.
        WriteError: the output cannot be written.
    """
    if output != STDOUT and Path(output).resolve() == Path(source).resolve():
        raise InputError(f"--output={output} is the file that is read; choose another.")
    trained = load_trained(folder, allowed_of(words))
    examples = read_examples(Path(source), trained)
    found = predict(trained, examples)
    if trained.run.status not in FINISHED:
        console.say(
            f"{trained.run.name} is {trained.run.status}: these are predictions of its last "
            f"checkpoint, after {trained.step:,} updates."
        )
    # a spreadsheet would run some texts as formulas
    rows = [found.header, *found.rows]
    text = csv_text([[marked(one) if isinstance(one, str) else one for one in row] for row in rows])
    if output == STDOUT:
        write_utf8(text)
        return 0
    try:
        atomic_write(Path(output), text.encode("utf-8", errors="backslashreplace"), sync=False)
    except OSError as error:
        raise WriteError(Path(output), error) from error
    out = console.console()
    lines = [f"predictions  {console.shown(Path(output))}: {len(found.rows):,} examples"]
    lines += [f"  {name:12} {value:.4g}" for name, value in found.metrics.items()]
    console.print_lines(out, *lines)
    return 0


def predict(trained: TrainedRun, examples: FileExamples) -> Predictions:
    """Predict examples: classes with the prediction for each, or values with σ and quantiles."""
    logits = trained.logits(examples.values)
    y = trained.predictor.predictions(logits)
    data = trained.data
    if data.classes is not None:
        header, columns = _of_classes(trained, logits, y)
    elif data.multilabel:
        header, columns = _of_labels(trained, logits, y)
    else:
        header, columns = _of_values(trained, y)
    rows = [
        [name, *row] for name, row in zip(examples.names, zip(*columns, strict=True), strict=True)
    ]
    return Predictions([examples.named, *header], rows, _metrics(trained, examples, logits, y))


def _of_classes(trained: TrainedRun, logits: Tensor, y: Tensor) -> tuple[list[str], list[list]]:
    """Return the name of the predicted class, and the prediction for each class.

    Of ordered classes these are the differences of the levels that the head predicts.
    """
    names, head = trained.data.names, trained.spec.head
    decided = [names[index] for index in head.classify(logits).tolist()]
    what = "output"
    if has_probabilities(head):
        what, y = "probability", head.class_shares(y)
    labels = names if y.shape[1] == len(names) else names[-1:]  # of one output: that of class 1
    return ["prediction", *(f"{what}_{name}" for name in labels)], [decided, *_columns(y)]


def _of_labels(trained: TrainedRun, logits: Tensor, y: Tensor) -> tuple[list[str], list[list]]:
    """Return 0 or 1 and the prediction for each of several labels."""
    names, head = trained.data.names, trained.spec.head
    what = "probability" if has_probabilities(head) else "output"
    decided = [head.classify(logits[:, k : k + 1]).tolist() for k in range(y.shape[1])]
    header = [*(f"prediction_{name}" for name in names), *(f"{what}_{name}" for name in names)]
    return header, [*decided, *_columns(y)]


def _of_values(trained: TrainedRun, y: Tensor) -> tuple[list[str], list[list]]:
    """Return a prediction of each target, and what the head says of its distribution."""
    data, head = trained.data, trained.spec.head
    endings = [""] if data.targets == 1 else [f"_{name}" for name in data.names]
    found = {"prediction": head.point(y)}
    if isinstance(head.range, Distributions) and head.range.density:
        found["std"] = head.std(y)
    if isinstance(head, NumbersHead):
        levels = LEVELS if head.levels is None else head.levels
        found |= {f"quantile_{level:g}": head.quantile(y, level) for level in levels}
    header = [f"{kind}{ending}" for kind in found for ending in endings]
    return header, _columns(torch.cat(list(found.values()), 1))


def _columns(values: Tensor) -> list[list]:
    # the shortest decimal numbers that the type tells apart
    return [[str(one) for one in column] for column in values.detach().t().numpy()]


def _metrics(
    trained: TrainedRun, examples: FileExamples, logits: Tensor, y: Tensor
) -> dict[str, float]:
    """Compute the final numbers of a run for these examples."""
    if examples.targets is None:
        return {}
    data = trained.data
    given = torch.from_numpy(examples.targets)
    head = trained.objective.head
    t = targets_of(head, given, data.classes, logits.shape[1], logits.dtype)
    scaling, unscaled = data.target_scaling, t
    if scaling is not None:
        t = torch.from_numpy(scaling(examples.targets)).to(logits.dtype)
    program = RunObjectives([trained.objective], False, [data.class_weights], t.dtype, t.device)
    batch = EvaluatedBatch(program, logits[None], t[None], data.multilabel)
    found = {"loss": float(batch.losses.double().mean())}
    if data.classes is not None:
        found["accuracy"] = float(batch.right.double().mean())
    elif not data.multilabel:
        errors = head.point(y) - unscaled
        found["rmse"] = float(errors.double().square().mean().sqrt())
    return found | judge(trained.objective, batch, data.classes)
