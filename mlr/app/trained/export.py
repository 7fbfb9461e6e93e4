"""The command export: a trained run as a program of torch.export, or of ONNX."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import torch

from mlr.app.trained.loading import TrainedRun, load_trained
from mlr.core import console
from mlr.core.checks import InputError
from mlr.core.commandline import allowed_of
from mlr.core.durable import WriteError, atomic_write
from mlr.records.run_folder import INPUTS

FOLDER = "export"
TORCH, ONNX = "model.pt2", "model.onnx"


def main(folder: str, words: Sequence[str] = (), to: str | None = None, onnx: bool = False) -> int:
    """Export the network of a run with its scaling and head; returns the exit code.

    Args:
        folder: of a run.
        words: names that may be imported, as `allow_targets=[my_parts]`.
        to: folder of the files; None is `export` in the run's.
        onnx: write an ONNX file too.

    Raises:
        InputError: there is no such run, it cannot be exported, or ONNX is not installed.
        WriteError: a file cannot be written.
    """
    if onnx and not (find_spec("onnx") and find_spec("onnxscript")):
        raise InputError(
            "--onnx needs the packages onnx and onnxscript: pip install 'mlr-lab[onnx]'; without "
            "--onnx the program of torch is exported alone."
        )
    trained = load_trained(folder, allowed_of(words))
    target = trained.run.folder / FOLDER if to is None else Path(to)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(target, error) from error
    files = [TORCH, INPUTS]
    program = exported(trained)
    archive = BytesIO()
    torch.export.save(program, archive)
    atomic_write(target / TORCH, archive.getvalue(), sync=False)
    atomic_write(target / INPUTS, trained.data.encode(), sync=False)
    if onnx:
        _write_onnx(program, target / ONNX)
        files.insert(1, ONNX)
    example = trained.predictor.example
    shape, dtype = ", ".join(["N", *map(str, example.shape[1:])]), str(example.dtype)
    outputs, head = trained.objective.outputs, trained.spec.head.name
    console.print_lines(
        console.console(),
        f"exported     {console.shown(target)}: {', '.join(files)}",
        f"input        ({shape}) {dtype.removeprefix('torch.')}, unscaled, as in a file",
        f"output       (N, {outputs}) predictions of head={head}",
    )
    return 0


def exported(trained: TrainedRun) -> torch.export.ExportedProgram:
    """Export values (N, *feature_shape) → predictions (N, K), for any N.

    Of ordered classes the predictions are the levels P(class ≥ k) (N, K − 1), of which `predict`
    tells the differences.

    Raises:
        InputError: torch cannot export the model.
    """
    batch = torch.export.Dim("batch")
    try:
        return torch.export.export(
            trained.predictor, (trained.predictor.example,), dynamic_shapes=({0: batch},)
        )
    except Exception as error:  # torch has no common class of what a module may do wrong
        first = str(error).strip().partition("\n")[0]
        raise InputError(
            f"model={trained.spec.model.name} cannot be exported by torch.export: {first[:200]}"
        ) from error


def _write_onnx(program: torch.export.ExportedProgram, path: Path) -> None:
    """Write an exported program as ONNX, in one file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages of others
        found = torch.onnx.export(program, (), verbose=False)
    assert found is not None
    try:
        found.save(path, external_data=False)
    except OSError as error:
        raise WriteError(path, error) from error
