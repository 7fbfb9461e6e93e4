"""Folders of event files as torch, Lightning, Keras and Hugging Face leave them."""

from __future__ import annotations

import shutil

import pytest

from mlr.core.checks import DataError, InputError
from mlr.records.tensorboard.logs import is_foreign, read_logs
from tests.analysis.explain.made import falling, run
from tests.records.reading import event_files
from tests.records.tensorboard.logging import by_keras, by_torch, scalar, text, write_events

NAME = "events.out.tfevents.1"
LOSS = {"train/loss": [3.0, 2.0, 1.0]}


def tags(found):
    return {role: curve.tag for role, curve in found.curves.items()}


def read(place, given=()):
    return read_logs(place, dict(given))


def test_the_folders_of_keras_are_one_run(tmp_path):
    by_keras(
        tmp_path / "fit",
        {"epoch_loss": [3.0, 2.0], "epoch_accuracy": [0.5, 0.6], "epoch_learning_rate": [0.1, 0.1]},
        {"epoch_loss": [3.5, 2.5], "epoch_accuracy": [0.4, 0.5]},
    )
    for place, name in ((tmp_path / "fit", "fit"), (tmp_path, "fit")):
        (found,) = read(place)
        assert found.name == name
        assert tags(found) == {
            "loss/train": "train/epoch_loss",
            "loss/val": "validation/epoch_loss",
            "accuracy/train": "train/epoch_accuracy",
            "accuracy/val": "validation/epoch_accuracy",
            "learning_rate": "train/epoch_learning_rate",
        }
        assert found.curves["loss/val"].values.tolist() == [3.5, 2.5]
        assert found.unused == []


def test_a_second_fit_of_keras_is_another_run(tmp_path):
    by_keras(tmp_path, {"epoch_loss": [3.0, 2.0]}, {"epoch_loss": [3.5, 2.5]})
    for part, value in (("train", 9.0), ("validation", 8.0)):
        events = [scalar("epoch_loss", step, value, at=2e9) for step in range(3)]
        write_events(tmp_path / part / "events.out.tfevents.2", *events)
    first, second = read(tmp_path)
    assert first.curves["loss/val"].values.tolist() == [3.5, 2.5]
    assert second.curves["loss/train"].values.tolist() == [9.0] * 3
    assert second.curves["loss/val"].values.tolist() == [8.0] * 3
    assert second.name == f"{tmp_path.name}/events.out.tfevents.2"


def test_a_lone_folder_called_train_is_a_run(tmp_path):
    by_torch(tmp_path / "train", LOSS)
    (found,) = read(tmp_path)
    assert found.name == "train"
    assert tags(found) == {"loss/train": "train/loss"}


def test_the_folders_of_add_scalars_and_add_hparams_belong_to_their_run(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path / "run")) as writer:
        for step in range(3):
            writer.add_scalars("Loss", {"train": 3 - step, "val": 4 - step}, step)
        writer.add_hparams({"lr": 0.1}, {"hparam/loss": 1.0})
    (found,) = read(tmp_path)
    assert tags(found) == {"loss/train": "Loss_train/Loss", "loss/val": "Loss_val/Loss"}
    (unused,) = found.unused
    assert unused.endswith("/hparam/loss")


def test_runs_below_a_folder_are_read_each(tmp_path):
    for name in ("version_1", "version_0", "more/adam"):
        by_torch(tmp_path / name, {"train_loss_step": [3.0, 2.0], "epoch": [0.0]})
    found = read(tmp_path)
    assert [one.name for one in found] == ["more/adam", "version_0", "version_1"]
    assert found[0].unused == ["epoch"]
    (one,) = read(tmp_path / "version_0")
    assert one.name == "version_0"


def test_the_evaluation_of_a_trainer_goes_on_in_another_file(tmp_path):
    """As of Hugging Face: the metrics of the end come by a second writer."""
    first = [scalar("train/loss", step, 3 - step, at=10 + step) for step in range(3)]
    first += [scalar("eval/loss", step, 4 - step, at=11 + step) for step in range(2)]
    write_events(tmp_path / NAME, *first)
    write_events(tmp_path / "events.out.tfevents.2", scalar("eval/loss", 2, 0.5, at=20))
    (found,) = read(tmp_path)
    assert found.curves["loss/val"].values.tolist() == [4, 3, 0.5]
    assert len(found.curves["loss/train"].values) == 3


def test_one_file_is_read_alone(tmp_path):
    write_events(tmp_path / NAME, scalar("loss", 0, 1.0))
    write_events(tmp_path / "events.out.tfevents.2", scalar("val_loss", 0, 1.0))
    (found,) = read(tmp_path / NAME)
    assert tags(found) == {"loss/train": "loss"}


def test_an_accuracy_in_percent_is_a_share(tmp_path):
    by_torch(tmp_path, {"loss": [2.0, 1.0, 0.5], "val_acc": [50.0, float("nan"), 100.0]})
    (found,) = read(tmp_path)
    assert found.curves["accuracy/val"].values[[0, 2]].tolist() == [0.5, 1.0]
    assert found.curves["loss/train"].values.tolist() == [2.0, 1.0, 0.5]


def test_steps_that_count_nothing_are_reported(tmp_path):
    write_events(tmp_path / NAME, *(scalar("loss", 0, one, at=9.0) for one in (3, 2, 1)))
    (found,) = read(tmp_path)
    assert found.notes == ["steps of loss do not count updates: points are numbered"]


def test_a_damaged_file_among_others_is_reported(tmp_path):
    by_torch(tmp_path / "a", LOSS)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (path,) = event_files(tmp_path / "b")
    path.write_bytes(bytes(100))
    (found,) = read(tmp_path)
    assert found.name == "a"
    assert "is damaged at its first record" in found.notes[0]
    with pytest.raises(DataError, match="is damaged at its first record"):
        read(tmp_path / "b")


def test_event_files_without_scalars_are_refused(tmp_path):
    write_events(tmp_path / NAME, text("args"))
    with pytest.raises(InputError, match=r"holds event files without scalars; log the loss"):
        read(tmp_path)
    (tmp_path / NAME).write_bytes(b"")
    with pytest.raises(InputError, match=r"holds event files without scalars; log the loss"):
        read(tmp_path)


def test_without_a_loss_the_tags_and_the_option_are_named(tmp_path):
    by_torch(tmp_path, {"accuracy": [0.1], "objective": [1.0]})
    words = r"recognised as a loss; .* --tag loss/train=TAG: accuracy, objective\."
    with pytest.raises(InputError, match=words):
        read(tmp_path)
    (found,) = read(tmp_path, {"loss/train": "objective"}.items())
    assert tags(found) == {"loss/train": "objective", "accuracy/train": "accuracy"}
    with pytest.raises(InputError, match="Unknown tag --tag loss/train=objectiv"):
        read(tmp_path, {"loss/train": "objectiv"}.items())


def test_a_run_without_a_loss_among_others_is_known(tmp_path):
    by_torch(tmp_path / "a", LOSS)
    by_torch(tmp_path / "b", {"reward": [1.0]})
    assert [one.has_loss for one in read(tmp_path)] == [True, False]


def test_runs_of_mlr_are_not_foreign(tmp_path):
    run(tmp_path / "runs" / "mine", curves=falling())
    event = write_events(tmp_path / "runs" / "mine" / NAME, scalar("loss/train", 0, 1.0))
    other = write_events(tmp_path / "others" / NAME, scalar("loss", 0, 1.0))
    assert not is_foreign(tmp_path)
    assert not is_foreign(tmp_path / "runs")
    assert not is_foreign(event)
    assert not is_foreign(tmp_path / "none")
    assert is_foreign(tmp_path / "others")
    assert is_foreign(other)
    (tmp_path / "nothing").mkdir()
    assert not is_foreign(tmp_path / "nothing")
    (tmp_path / "others" / "runs.csv").touch()  # of a sweep
    assert not is_foreign(tmp_path / "others")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_log_of_lightning_is_read(tmp_path):
    lightning = pytest.importorskip("lightning.pytorch")
    import torch
    from lightning.pytorch.callbacks import LearningRateMonitor
    from lightning.pytorch.loggers import TensorBoardLogger
    from torch.utils.data import DataLoader, TensorDataset

    class Net(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def training_step(self, batch, _):
            loss = self.layer(batch[0]).square().mean()
            self.log("train_loss", loss, on_step=True, on_epoch=True)
            return loss

        def validation_step(self, batch, _):
            self.log("val_loss", self.layer(batch[0]).square().mean())

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.1)

    loader = DataLoader(TensorDataset(torch.randn(40, 2)), batch_size=10)
    lightning.Trainer(
        logger=TensorBoardLogger(tmp_path, name="logs"),
        callbacks=[LearningRateMonitor()],
        max_epochs=6,
        log_every_n_steps=1,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    ).fit(Net(), loader, loader)
    (found,) = read(tmp_path)
    assert found.name == "logs/version_0"
    assert tags(found) == {
        "loss/train": "train_loss_step",
        "loss/val": "val_loss",
        "learning_rate": "lr-Adam",
    }
    assert len(found.curves["loss/train"].values) == 24
    assert found.unused == ["epoch", "train_loss_epoch"]
