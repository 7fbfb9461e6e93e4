"""Runs of other formats: 2 is read and continued, others are named, not called damaged."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
import yaml

from mlr.analysis.verify.findings import examine_sweep
from mlr.core.checks import DataError
from mlr.records.checkpoint_file import read
from mlr.records.checksums import checksum
from mlr.records.reading import read_runs
from mlr.records.run_folder import read_status
from mlr.records.status import FORMAT, FormatError
from mlr.training.checkpoint import load_checkpoint
from tests.analysis.verify.making import events_of, flip, train
from tests.analysis.verify.test_hostile import resealed, taken_apart
from tests.records.written import retell

CHECKPOINTS = ("checkpoint.safetensors", "checkpoint-previous.safetensors")
FORMATS = Path(__file__).parents[2] / "records" / "formats"
RULE = """the format of a run's folder has changed:
- what is new is added to tests/records/formats/{0}.yaml, for readers of format {0} pass it over;
- what is gone, has another name, type or length raises FORMAT in mlr/records/status.py, and
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
    """Names, types and lengths that a reader of the files depends on."""
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
        (trained / "status.json", '"format": 3,'),
        (swept / "sweep.yaml", "format: 3"),
    ):
        assert told in path.read_text()


def with_told(path: Path, change) -> None:
    """A checkpoint that says other things of itself, and is intact."""
    header, data = taken_apart(path.read_bytes())
    told = json.loads(header["__metadata__"]["mlr"])
    header["__metadata__"] = {"mlr": json.dumps(change(told))}
    path.write_bytes(resealed(header, data))


def of_format_2(run: Path) -> None:
    """As it was: event files listed by their size, checkpoints with a checksum of each tensor."""
    for name in CHECKPOINTS:
        with_told(run / name, lambda told: {
            "sums": dict.fromkeys(told["order"], 7),
            "about": told["about"] | {"format": 2},
        })  # fmt: skip
    status = read_status(run)
    files = {name: checksum((run / name).read_bytes()) for name in status.files}
    for name in files:
        if name.startswith("events"):
            del files[name]["sha256"]
    retell(run, None, format=2, files=files)


def test_a_run_of_format_2_is_verified_read_and_continued(run, trained, verified):
    of_format_2(run)
    assert verified(run)[0] == 0
    assert read_runs(run)[0].metrics == read_runs(trained)[0].metrics
    assert train(f"resume={run}", "epochs=4") == 0
    assert verified(run)[0] == 0
    assert read_status(run).format == FORMAT
    flip(min(run.glob("events.out.tfevents.*")), 4000)
    assert verified(run)[0] == 3


def test_event_files_of_format_2_have_checksums_of_their_own(run, verified):
    of_format_2(run)
    flip(events_of(run), 4000)
    code, files, _ = verified(run)
    assert code == 3
    assert files[events_of(run).name].startswith("damaged is damaged at byte")


def test_a_checkpoint_of_another_format(run, verified):
    for name in CHECKPOINTS:
        with_told(run / name, lambda told: told | {"about": told["about"] | {"format": 4}})
    with pytest.raises(FormatError, match="of format 4, and this mlr reads formats 2 to 3: "):
        load_checkpoint(run / "checkpoint.safetensors")
    code, files, _ = verified(run)
    assert code == 3
    assert files["checkpoint.safetensors"].startswith("format it is of format 4, and")


def test_a_run_of_another_format_is_named_and_left_alone(run, verified, capsys):
    retell(run, None, format=4)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    told = "is of format 4, and this mlr reads formats 2 to 3: read it with the mlr that wrote it"
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
    retell(run, None, format=4)
    line = ("-m", "data=moons", "epochs=1", "seed=0,1", f"sweep.resume={sweep}")
    assert train(*line) == 3
    assert "is of format 4, and this mlr reads formats 2 to 3" in capsys.readouterr().err
    assert (run / "checkpoint.safetensors").exists()


@pytest.mark.parametrize(("number", "kind"), [(2, "ok"), (4, "format")])
def test_a_sweeps_story_of_another_format(swept, tmp_path, number, kind):
    """The seal that one of format 2 has is ignored."""
    sweep = Path(shutil.copytree(swept, tmp_path / "sweep"))
    text = (sweep / "sweep.yaml").read_text().replace("format: 3\n", f"format: {number}\n")
    (sweep / "sweep.yaml").write_text(f"{text}seal: {'a' * 64}\n")
    found = {one.name: one.kind for one in examine_sweep(sweep).found}
    assert found["sweep.yaml"] == kind


def test_a_changed_seal_is_damage(run):
    text = (run / "status.json").read_text()
    for was, now in (('"seal": "', '"real": "'), ('"status": "done"', '"status": "dome"')):
        (run / "status.json").write_text(text.replace(was, now))
        with pytest.raises(DataError, match="is damaged: its SHA-256 is not") as caught:
            read_status(run)
        assert not isinstance(caught.value, FormatError)
