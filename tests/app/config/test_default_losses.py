"""The loss of a head that was chosen alone, and a loss by another name."""

from __future__ import annotations

import json

import pytest
import yaml
from hydra import compose, initialize_config_dir

from mlr.analysis.formatting import display_name
from mlr.app.cli.command import CONFIGS, VERSION_BASE
from mlr.core.checks import InputError
from mlr.heads import HEADS
from mlr.heads.distributions.base import NumbersHead
from mlr.objectives import Objective
from mlr.objectives.compatibility import check_pair, usual_loss
from tests.app.composing import sweep_of

USUAL = {
    "linear": ("se", "SquaredError"),
    "clipped_linear": ("se", "SquaredError"),
    "sigmoid": ("bce", "BinaryCrossEntropy"),
    "hard_sigmoid": ("bce", "BinaryCrossEntropy"),
    "probit": ("bce", "BinaryCrossEntropy"),
    "cloglog": ("bce", "BinaryCrossEntropy"),
    "softmax": ("ce", "CrossEntropy"),
    "sparsemax": ("matching", "Matching"),
    "entmax15": ("matching", "Matching"),
    "evidential": ("evidential_se", "EvidentialSquaredError"),
    "cumulative": ("ordinal_nll", "OrdinalNll"),
    "coral": ("bce", "BinaryCrossEntropy"),
    "corn": ("ordinal_nll", "OrdinalNll"),
    "gaussian": ("gaussian_nll", "GaussianNll"),
    "poisson": ("nll", "NegativeLogLikelihood"),
    "negative_binomial": ("nll", "NegativeLogLikelihood"),
    "laplace": ("nll", "NegativeLogLikelihood"),
    "student_t": ("nll", "NegativeLogLikelihood"),
    "gamma": ("nll", "NegativeLogLikelihood"),
    "log_normal": ("nll", "NegativeLogLikelihood"),
    "beta": ("nll", "NegativeLogLikelihood"),
    "mdn": ("nll", "NegativeLogLikelihood"),
    "quantiles": ("quantile_score", "QuantileScore"),
}
"""By head: the name of its loss and the class."""


def made(job) -> tuple[str, str]:
    """The loss that a job records: its choice and the class."""
    hydra = yaml.safe_load(job.files["hydra.yaml"])["hydra"]
    return hydra["runtime"]["choices"]["loss"], job.config["loss"]["_target_"].rpartition(".")[2]


def test_every_head_has_a_loss_that_it_can_be_trained_with():
    assert set(USUAL) == {head.name for head in HEADS}
    for head in HEADS:
        regression = issubclass(head, NumbersHead)
        outputs = 10 * head.range.per_target
        check_pair(head.name, usual_loss(head.name), outputs, regression=regression)
    assert usual_loss("arctan") == "matching"  # of a user's group of heads


@pytest.fixture(scope="module")
def sweep():
    return sweep_of()


def test_each_job_of_a_sweep_has_the_loss_of_its_head(sweep):
    jobs = sweep.cheap(*[[f"head={head}", "seed=3"] for head in USUAL])
    for job, (head, (loss, kind)) in zip(jobs, USUAL.items(), strict=True):
        assert made(job) == (loss, kind)
        assert job.folder.name.startswith(f"{head}+{loss}")
        if head in ("linear", "sparsemax", "gaussian"):
            stock = sweep.stock([f"head={head}", "seed=3"])
            assert stock.config == job.config
            assert stock.tree.hydra.runtime.choices["loss"] == loss


@pytest.mark.parametrize(
    ("line", "loss"),
    [
        (["loss=se", "head=softmax"], ("se", "SquaredError")),
        (["head=sigmoid", "loss=matching"], ("matching", "Matching")),
        ([], ("ce", "CrossEntropy")),
        (["experiment=neuron"], ("se", "SquaredError")),
        (["experiment=mnist_mlp", "head=sigmoid"], ("ce", "CrossEntropy")),
        (["experiment=neuron", "loss=bce"], ("bce", "BinaryCrossEntropy")),
        (["head=sigmoid", "loss=mse"], ("se", "SquaredError")),
        (["loss=cross_entropy"], ("ce", "CrossEntropy")),
    ],
)
def test_a_loss_that_was_chosen_is_never_changed(sweep, line, loss):
    (job,) = sweep.cheap(line)
    assert made(job) == loss


def test_an_experiment_may_leave_the_loss_to_the_head(train, tmp_path):
    file = tmp_path / "own" / "experiment" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("# @package _global_\ndefaults:\n  - override /head: sigmoid\n")
    shown = train("--config-dir", str(tmp_path / "own"), "experiment=mine", "--cfg", "job")
    assert "_target_: mlr.losses.BinaryCrossEntropy" in shown.out


def test_the_loss_of_an_experiment_that_does_not_suit_the_head_is_refused(train):
    finished = train("experiment=mnist_mlp", "head=sigmoid")
    assert finished.code == 2
    assert "Use head=softmax, loss=bce or loss=se." in finished.err
    assert finished.err.count("\n") == 1


def test_a_head_alone_runs_and_its_loss_is_recorded_by_name(train):
    finished = train("head=sigmoid", "epochs=1", "probes=off")
    assert finished.code == 0, finished.err
    assert "head=sigmoid loss=bce" in finished.out
    (run,) = finished.runs
    assert "sigmoid+bce" in run.name
    assert finished.status()["pair"] == "sigmoid+bce"
    assert finished.status()["overrides"] == ["head=sigmoid", "epochs=1", "probes=off"]
    config = yaml.safe_load((run / ".hydra" / "config.yaml").read_text())
    loss = config["loss"]
    assert loss.pop("_target_") == "mlr.losses.BinaryCrossEntropy"
    options = ("weight", "pos_weight", "label_smoothing", "prior", "temperature")
    assert loss == dict.fromkeys(options)
    hydra = yaml.safe_load((run / ".hydra" / "hydra.yaml").read_text())
    assert hydra["hydra"]["runtime"]["choices"]["loss"] == "bce"
    longer = train(f"resume={run}", "epochs=2")
    assert longer.code == 0, longer.err
    assert longer.status()["pair"] == "sigmoid+bce"


@pytest.mark.parametrize("launcher", ["batched", "basic"])
def test_both_launchers_give_each_head_its_loss(train, launcher):
    line = ("-m", "head=sigmoid,softmax", "epochs=1", "probes=off", f"hydra/launcher={launcher}")
    finished = train(*line, "hydra.sweep.dir=sweep")
    assert finished.code == 0, finished.err
    pairs = [json.loads((run / "status.json").read_text())["pair"] for run in finished.runs]
    assert sorted(pairs) == ["sigmoid+bce", "softmax+ce"]


def test_other_names_of_losses_are_recorded_as_mlrs_own(train):
    line = ("-m", "loss=mse,cross_entropy", "epochs=1", "probes=off", "hydra.sweep.dir=sweep")
    finished = train(*line)
    assert finished.code == 0, finished.err
    told = [json.loads((run / "status.json").read_text()) for run in finished.runs]
    assert [one["pair"] for one in told] == ["softmax+ce", "softmax+se"]
    assert {one["overrides"][0] for one in told} == {"loss=ce", "loss=se"}
    shown = train("loss=mse", "--cfg", "job")
    assert "mlr.losses.SquaredError" in shown.out


def test_a_sweepers_parameters_may_have_them_too():
    job = sweep_of().cheap(["loss=mse"], ["loss=se"])
    assert [one.overrides for one in job] == [("loss=se",), ("loss=se",)]


def test_an_objective_takes_them():
    assert Objective("softmax", "cross_entropy").loss.name == "ce"
    assert Objective("sigmoid", "mse").loss.name == "se"
    with pytest.raises(InputError, match=r"parameters of a density, but head=softmax .* loss=ce"):
        Objective("softmax", "nll")


def test_another_project_composes_the_groups_without_mlrs_program(tmp_path):
    (tmp_path / "own.yaml").write_text(
        f"hydra: {{searchpath: ['file://{CONFIGS}']}}\n"
        "defaults:\n  - head: sigmoid\n  - loss: bce\n  - _self_\n"
    )
    with initialize_config_dir(str(tmp_path), **VERSION_BASE):
        config = compose("own", ["loss=se"])
    assert config.head._target_ == "mlr.heads.Sigmoid"
    assert config.loss._target_ == "mlr.losses.SquaredError"


def test_the_gaussian_loss_is_spoken_as_people_write_it():
    assert display_name("gaussian_nll") == "Gaussian NLL"
    assert display_name("bce") == "BCE"
