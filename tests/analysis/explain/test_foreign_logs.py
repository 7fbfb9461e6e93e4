"""mlr explain on event files of other programs, from the command line on."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mlr.analysis.explain import foreign_logs
from mlr.app.remedies.command import main
from mlr.core.checks import InputError
from mlr.core.console import LONGEST
from tests.analysis.explain.made import falling, run
from tests.diagnosis.curves.made import decay
from tests.records.tensorboard.logging import by_torch, scalar, write_events

NAME = "events.out.tfevents.1"
SOUND = {"train/loss": decay(2.3, 0.1, 40), "val_loss": decay(2.3, 0.12, 10)}
SHORT = {"train/loss": np.linspace(2.3, 1.2, 40), "epoch": np.arange(4.0)}


def test_a_fault_is_printed_with_its_evidence_and_the_limits(tmp_path, capsys):
    by_torch(tmp_path, SHORT)
    assert main(str(tmp_path)) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    lines = shown.out.splitlines()
    assert lines[0] == "cut_short"
    assert lines[1].startswith("  The loss still falls at the end as fast as before")
    assert lines[2].startswith("  evidence  train/loss: means of fifths 2.2")
    assert lines[3].startswith("  write     twice the epochs")
    assert lines[4] == "  sure      likely"
    assert lines[5] == "  page      mlr/docs/foreign_logs.md"
    assert lines[6].startswith(
        "tags      loss/train=train/loss; not used: epoch (--tag loss/train="
    )
    assert lines[7] == foreign_logs.LIMITS
    assert len(lines) == 8


def test_the_exit_code_is_of_certain_faults(tmp_path):
    for name, losses in {"likely": SHORT["train/loss"], "certain": [2.3, 2.0, np.nan]}.items():
        by_torch(tmp_path / name, {"train/loss": losses})
        assert main(str(tmp_path / name)) == 0
        assert main(str(tmp_path / name), exit_code=True) == (name == "certain")


def test_a_sound_training_is_left_alone(tmp_path, capsys):
    by_torch(tmp_path, {**SOUND, "val_acc": np.linspace(50, 97, 10)})
    assert main(str(tmp_path)) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first == (
        "No fault found in the curves: train/loss from 2.3 to 0.101; val_loss from 2.3 to 0.121; "
        "val_acc from 50 % to 97 %."
    )
    assert last == foreign_logs.LIMITS


def test_of_many_runs_each_is_explained_by_name(tmp_path, capsys):
    by_torch(tmp_path / "short", SHORT)
    by_torch(tmp_path / "sound", SOUND)
    by_torch(tmp_path / "other", {"reward": [1.0]})
    assert main(str(tmp_path)) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("cut_short  short\n")
    assert "No fault found in the curves of 1 of 2 runs." in shown.out
    assert shown.out.count("tags      ") == 2
    assert "1 of 3 runs have no loss and are left out: other" in shown.err
    assert main(str(tmp_path / "sound")) == 0
    assert "train/loss from 2.3" in capsys.readouterr().out


def test_more_findings_than_fit_on_a_screen_are_counted(tmp_path, capsys):
    for number in range(15):
        by_torch(tmp_path / f"run_{number:02}", SHORT)
    assert main(str(tmp_path)) == 0
    out = capsys.readouterr().out
    assert out.count("  evidence") == 12
    assert "… and 3 more; all of them by --json" in out
    assert out.count("tags      ") == 1


def test_json_has_findings_tags_and_limits(tmp_path, capsys):
    by_torch(tmp_path / "a", SHORT)
    by_torch(tmp_path / "b", {"train_loss": [1.0] * 5 + [np.nan]})
    by_torch(tmp_path / "c", {"loss": decay(1.0, -3.0, 40)})
    assert main(str(tmp_path), as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    found = [(one["rule"], one["runs"], one["sure"]) for one in told["diagnoses"]]
    assert found == [
        ("cut_short", ["a"], "likely"),
        ("not_finite", ["b"], "certain"),
        ("negative", ["c"], "remark"),
    ]
    assert told["tags"]["a"] == {"loss/train": "train/loss"}
    assert told["unused"] == ["epoch"]
    assert told["runs"] == 3
    assert told["summary"] == "No fault found in the curves of 1 of 3 runs."
    assert told["limits"] == foreign_logs.LIMITS
    assert told["notes"] == []


def test_the_option_says_which_tag_is_which(tmp_path, capsys):
    by_torch(tmp_path, {"objective": np.linspace(2.3, 1.2, 40), "loss": decay(2.3, 0.1, 40)})
    assert main(str(tmp_path), tags=["loss/train=objective"]) == 0
    assert capsys.readouterr().out.startswith("cut_short")


def test_one_file_is_explained(tmp_path, capsys):
    events = [scalar("loss", step, value) for step, value in enumerate(SHORT["train/loss"])]
    path = write_events(tmp_path / NAME, *events)
    path.write_bytes(path.read_bytes()[:-1])
    assert main(str(path)) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("cut_short")
    assert "ends in half a record" in shown.err


def test_the_file_of_a_run_of_mlr_is_that_run(tmp_path, capsys):
    run(tmp_path / "mine", curves=falling())
    path = write_events(tmp_path / "mine" / NAME, scalar("loss/train", 0, 1.0))
    main(str(path))
    ours = capsys.readouterr().out
    main(str(tmp_path / "mine"))
    assert ours == capsys.readouterr().out
    assert "tags  " not in ours


def test_options_that_do_not_fit_are_refused(tmp_path):
    by_torch(tmp_path / "logs", SOUND)
    run(tmp_path / "mine", curves=falling())
    with pytest.raises(InputError, match="--try trains runs of mlr"):
        main(str(tmp_path / "logs"), trial=True)
    with pytest.raises(InputError, match="--tag is for event files of other programs"):
        main(str(tmp_path / "mine"), tags=["loss/val=x"])
    with pytest.raises(InputError, match="leave out more"):
        main(str(tmp_path / "logs"), ["more"])


def test_refusals_fit_into_their_line(tmp_path):
    by_torch(tmp_path, {f"metric_{number:03}": [1.0] for number in range(99)})
    with pytest.raises(InputError, match="No tag in") as error:
        main(str(tmp_path))
    words = str(error.value).replace(str(tmp_path), "logs/a")
    assert "--tag loss/train=TAG: metric_000, metric_001" in words
    assert len(words) < LONGEST


def test_the_command_line_takes_the_option_again_and_again(tmp_path, monkeypatch, capsys):
    from mlr.app.cli.main import main as mlr

    by_torch(tmp_path, {"a": np.linspace(2.3, 1.2, 40), "b": np.linspace(2.3, 1.2, 40)})
    given = ["--tag", "loss/train=a", "--tag", "loss/val=b"]
    monkeypatch.setattr("sys.argv", ["mlr", "explain", str(tmp_path), *given])
    assert mlr() == 0
    assert "loss/train=a, loss/val=b" in capsys.readouterr().out
