"""Runs of another format are told as such, not as damaged; each number stands for one format."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
import yaml

from mlr.checks import DataError
from mlr.records.checkpoint_file import read
from mlr.records.status import FORMAT, FormatError
from mlr.training.checkpoint import load_checkpoint
from tests.records.written import retell

from .making import train
from .test_hostile import resealed, taken_apart

FORMATS = Path(__file__).parents[2] / "records" / "formats"
RULE = """the format of a run's folder has changed:
- what is new is added to tests/records/formats/{0}.yaml, for readers of format {0} pass it over;
- what is gone, has another name, type or length raises FORMAT in mlr/records/format.py, and
  tests/records/formats/ gets a file more."""


def kinds(value):
    """The value's keys and types; numbers are of one type, and so are the items of a list."""
    if isinstance(value, dict):
        return {key: kinds(one) for key, one in value.items()}
    if isinstance(value, list):
        of = kinds(value[0]) if value else "nothing"
        return [of] if isinstance(of, dict) else f"{len(value)} of {of}"
    return {str: "text", bool: "bool", type(None): "null"}.get(type(value), "number")


def described(run: Path, sweep: Path) -> dict:
    """What a reader of the files depends on."""
    status = json.loads((run / "status.json").read_text())
    status["files"] = sorted(name.partition(".tfevents")[0] for name in status["files"])
    arrays, about = read(run / "checkpoint.safetensors")
    about["config"], about["records"]["events"] = sorted(about["config"]), "bytes by name"
    story = yaml.safe_load((sweep / "sweep.yaml").read_text())
    with (sweep / "runs.csv").open(newline="") as file:
        columns = next(csv.reader(file))
    return {
        "status.json": kinds(status) | {"files": status["files"]},
        "metrics.csv": (run / "metrics.csv").read_text().partition("\n")[0].split(","),
        "checkpoint.safetensors": kinds(about) | {"config": about["config"]},
        "tensors": {name: f"{own.dtype} {own.shape}" for name, own in arrays.items()},
        "sweep.yaml": kinds(story),
        "runs.csv": columns,
    }


def test_a_format_is_what_its_number_stands_for(trained, swept):
    known = yaml.safe_load((FORMATS / f"{FORMAT}.yaml").read_text())
    found = described(trained, swept)
    assert found == known, RULE.format(FORMAT)
    numbers = sorted(int(path.stem) for path in FORMATS.iterdir())
    assert numbers[-1] == FORMAT
    for path, told in (
        (trained / "status.json", '"format": 2,'),
        (swept / "sweep.yaml", "format: 2"),
    ):
        assert told in path.read_text()


def older(path: Path) -> None:
    """As it was before there were seals, JSON or YAML."""
    text = path.read_text()
    if path.suffix == ".json":
        path.write_text(text[: text.rindex(',\n  "seal"')].replace('"format": 2,', "") + "\n}\n")
    else:
        path.write_text(text[: text.rindex("seal: ")].replace("format: 2\n", ""))


def with_told(path: Path, change) -> None:
    """A checkpoint that tells other things of itself, and is whole."""
    header, data = taken_apart(path.read_bytes())
    told = json.loads(header["__metadata__"]["mlr"])
    header["__metadata__"] = {"mlr": json.dumps(change(told))}
    path.write_bytes(resealed(header, data))


CHECKPOINTS = {
    1: lambda told: {"order": list(told["sums"]), "about": told["about"]},
    3: lambda told: told | {"about": told["about"] | {"format": 3}},
}


@pytest.mark.parametrize("number", CHECKPOINTS)
def test_a_checkpoint_of_another_format(run, verified, number):
    for name in ("checkpoint.safetensors", "checkpoint-previous.safetensors"):
        with_told(run / name, CHECKPOINTS[number])
    with pytest.raises(FormatError, match=f"of format {number}, and this mlr reads format 2: "):
        load_checkpoint(run / "checkpoint.safetensors")
    code, files, _ = verified(run)
    assert code == 3
    assert files["checkpoint.safetensors"].startswith(f"format it is of format {number}, and")


@pytest.mark.parametrize("number", [1, 3])
def test_a_run_of_another_format_is_told_and_left_alone(run, verified, capsys, number):
    older(run / "status.json") if number == 1 else retell(run, None, format=3)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    told = f"is of format {number}, and this mlr reads format 2: read it with the mlr that wrote it"
    code, files, _ = verified(run)
    assert code == 3
    assert files["status.json"].startswith(f"format {told}")
    capsys.readouterr()
    assert train(f"resume={run}", "epochs=4") == 3
    assert f"status.json {told}" in " ".join(capsys.readouterr().err.split())
    assert {path: path.read_bytes() for path in before} == before


def test_a_sweep_with_a_run_of_another_format_is_not_trained_again(swept, tmp_path, capsys):
    sweep = Path(shutil.copytree(swept, tmp_path / "sweep"))
    run = next(path for path in sweep.iterdir() if (path / "status.json").exists())
    older(run / "status.json")
    line = ("-m", "data=moons", "epochs=1", "seed=0,1", f"sweep.resume={sweep}")
    assert train(*line) == 3
    assert "status.json is of format 1, and this mlr reads format 2" in capsys.readouterr().err
    assert (run / "checkpoint.safetensors").exists()


def test_a_sweeps_story_of_another_format(swept, tmp_path, verified):
    sweep = Path(shutil.copytree(swept, tmp_path / "sweep"))
    older(sweep / "sweep.yaml")
    code, files, _ = verified(sweep)
    assert code == 3
    assert "is of format 1, and this mlr reads format 2" in files["sweep.yaml"]


def test_a_changed_seal_is_no_older_format(run):
    """Neither a changed digit nor a changed name of the seal."""
    from mlr.records.run_folder import read_status

    text = (run / "status.json").read_text()
    for was, now in (('"seal": "', '"real": "'), ('"status": "done"', '"status": "dome"')):
        (run / "status.json").write_text(text.replace(was, now))
        with pytest.raises(DataError, match="is damaged: its SHA-256 is not") as caught:
            read_status(run)
        assert not isinstance(caught.value, FormatError)
