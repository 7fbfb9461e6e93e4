"""Modules, optimizers and schedules of torch or of one's own, by the command line."""

from __future__ import annotations

import json

import pytest
import torch
from torch.nn import functional as F

from mlr.app.trained.restored import restore, trained_again
from mlr.records.reading import read_runs
from mlr.training.checkpoint import load_checkpoint

TRUSTED = "allow_targets=[tests.training.resnets]"
NET = (
    *("model=custom", "model._target_=tests.training.resnets.ResNet", "+model.dropout=0.2"),
    *(TRUSTED, "probes.figures=0"),
)
DATA = (
    *("data=digits", "data.val_fraction=0.3", "data.test_fraction=0.65", "batch_size=30"),
    *("head=softmax", "loss=ce"),
)
UPDATES = (
    *("optimizer=custom", "optimizer._target_=torch.optim.NAdam", "+optimizer.betas=[0.8,0.99]"),
    *("schedule=custom", "schedule._target_=torch.optim.lr_scheduler.StepLR"),
    *("+schedule.step_size=4", "+schedule.gamma=0.5"),
)
LINE = (*NET, *DATA, *UPDATES)


def tensors(folder):
    return load_checkpoint(folder / "checkpoint.safetensors")[0].tensors


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], own) for name, own in expected.items())


@pytest.fixture
def whole(trained_before):
    return trained_before("whole", *LINE, "epochs=4")


@pytest.mark.slow
def test_a_run_is_continued_and_is_that_of_a_sweep(train, whole, tmp_path):
    short = tmp_path / "short"
    assert train(*LINE, "epochs=2", f"hydra.run.dir={short}").code == 0
    # the rates of this schedule do not depend on the number of updates
    continued = train(f"resume={short}", "epochs=4", "allow=[epochs]", TRUSTED)
    assert continued.code == 0, continued.err
    assert_equal(tensors(short), tensors(whole))
    own = tensors(whole)
    assert own["model.norm.num_batches_tracked"] == 12
    assert own["optimizer.output.weight.exp_avg"].shape == own["model.output.weight"].shape
    assert not any(name.startswith("optimizer.stem") for name in own)
    other = train(f"resume={short}", "epochs=5", "optimizer._target_=torch.optim.Adagrad", TRUSTED)
    assert other.code != 0
    assert "optimizer" in other.err
    assert (
        train("-m", *LINE, "epochs=4", "seed=1,0", f"hydra.sweep.dir={tmp_path / 'sweep'}").code
        == 0
    )
    (same,) = (tmp_path / "sweep").glob("*seed=0")
    assert_equal(tensors(same), own)


def test_a_restored_run_predicts_by_its_running_statistics(whole):
    (run,) = read_runs(whole)
    restored = restore(run, ["tests.training.resnets"])
    metrics = json.loads((whole / "status.json").read_text())["metrics"]
    assert restored.last.val.losses.mean() == pytest.approx(metrics["loss/val"], rel=1e-5)
    moments = trained_again(restored)
    assert moments[0].buffers["norm.num_batches_tracked"] == 0
    assert moments[-1].buffers["norm.num_batches_tracked"] == 12
    assert_equal(moments[-1].buffers, restored.last.buffers)
    assert moments[-1].val.losses.mean() == pytest.approx(metrics["loss/val"], rel=1e-5)
    # of a module with the last parameters and the first statistics it is another
    logits = torch.from_numpy(restored.last.val.logits)
    first = moments[0].network(torch.from_numpy(restored.last.val.features))
    assert not torch.allclose(logits.double(), first.double())


def test_the_checkpoint_loads_into_the_plain_module(whole):
    from tests.training.resnets import ResNet

    state = {k.removeprefix("model."): v for k, v in tensors(whole).items() if k[:6] == "model."}
    module = ResNet(outputs=10)
    module.load_state_dict(state)
    (run,) = read_runs(whole)
    data = restore(run, ["tests.training.resnets"]).last.experiment.data
    with torch.no_grad():
        loss = F.cross_entropy(module.eval()(data.test.features.float()), data.test.targets)
    metrics = json.loads((whole / "status.json").read_text())["metrics"]
    assert loss.item() == pytest.approx(metrics["loss/test"], rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["optimizer._target_=torch.optim.LBFGS"], "LBFGS evaluates the loss several times"),
        (["optimizer._target_=torch.optim.SparseAdam"], "does not support dense gradients"),
        (["optimizer._target_=os.system"], "it is not imported"),
        (["schedule._target_=torch.optim.lr_scheduler.ReduceLROnPlateau"], "reads the validation"),
        (["+optimizer.momentum=0.9"], "optimizer.momentum of NAdam"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_a_folder_is_made(
    train, tmp_path, changes, message
):
    plain = [word for word in LINE if not word.startswith("+optimizer")]
    if changes[0].startswith("schedule"):
        plain = [word for word in plain if not word.startswith("+schedule")]
    finished = train(*plain, *changes, "epochs=1", f"hydra.run.dir={tmp_path / 'run'}")
    assert finished.code == 2, finished.err
    assert message in finished.err
    assert not (tmp_path / "run" / "status.json").exists()
