"""`hydra/launcher=batched`: what a batch gets, what its answers become, what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.experimental.callback import Callback
from omegaconf import OmegaConf

from mlr.app.sweep.launch import Launch
from mlr.core.checks import InputError
from tests.app.composing import sweep_of


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_batch_gets_every_job_at_once(tmp_path):
    sweep = sweep_of("hydra.sweep.dir=out", "hydra.sweep.subdir=${hydra.job.num}")
    returns = sweep.launch([["seed=1"], ["seed=2", "loss=se"]], 7)
    assert sweep.folder == tmp_path / "out"
    assert sweep.folder.is_dir()
    assert [job.number for job in sweep.jobs] == [7, 8]
    assert [job.overrides for job in sweep.jobs] == [("seed=1",), ("seed=2", "loss=se")]
    assert [job.folder for job in sweep.jobs] == [tmp_path / "out" / "7", tmp_path / "out" / "8"]
    assert not any(job.folder.exists() for job in sweep.jobs)  # made by whoever trains it
    assert [one.return_value for one in returns] == [7.0, 8.0]
    assert [one.status for one in returns] == [JobStatus.COMPLETED] * 2


def test_what_is_returned_tells_of_its_job():
    (one,) = sweep_of().launch([["seed=3"]], 4)
    assert one.overrides == ["seed=3"]
    assert one.cfg.seed == 3
    assert "hydra" not in one.cfg
    assert one.hydra_cfg.hydra.job.num == 4
    assert one.hydra_cfg.hydra.job.id == "4"
    assert one.hydra_cfg.hydra.runtime.output_dir.endswith("softmax+ce,seed=3")
    assert one.task_name == "train"
    assert one.working_dir == str(Path.cwd())


def test_an_exception_is_the_failure_of_its_job_alone(capsys):
    sweep = sweep_of()
    sweep.launch.task.batch = lambda jobs, folder, engine: [1.0, KeyError("broken"), float("inf")]
    good, bad, diverged = sweep.launch([["seed=1"], ["seed=2"], ["seed=3"]], 0)
    assert good.return_value == 1.0
    assert diverged.return_value == float("inf")
    assert bad.status == JobStatus.FAILED
    with pytest.raises(KeyError, match="broken"):
        bad.return_value  # noqa: B018
    assert "seed=2" in capsys.readouterr().err


def test_an_answer_for_each_job_is_needed():
    sweep = sweep_of()
    sweep.launch.task.batch = lambda jobs, folder, engine: []
    with pytest.raises(ValueError, match="shorter"):
        sweep.launch([["seed=1"]], 0)


def test_the_engine_is_passed_on():
    sweep = sweep_of()
    launcher = Plugins.instance().class_name_to_class[
        "hydra_plugins.mlr_batched.launcher.BatchedLauncher"
    ](engine="ray", workers=2, resources=OmegaConf.create({"gpu": 1}))
    launcher.setup(
        hydra_context=sweep.context, task_function=sweep.launch.task, config=sweep.master
    )
    launcher.launch([["seed=1"]], 0)
    assert sweep.engine == {"engine": "ray", "workers": 2, "resources": {"gpu": 1}}
    assert type(sweep.engine["resources"]) is dict


def test_no_engine_is_this_process():
    sweep = sweep_of()
    sweep.launch([["seed=1"]], 0)
    assert sweep.engine is None


def test_prepare_comes_first():
    seen = []

    def task(config):
        raise AssertionError

    task.batch = None
    task.prepare = lambda config: seen.append(config.seed)
    launcher = Plugins.instance().class_name_to_class[
        "hydra_plugins.mlr_batched.launcher.BatchedLauncher"
    ]()
    sweep = sweep_of()
    launcher.setup(hydra_context=sweep.context, task_function=task, config=sweep.master)
    assert seen == [0]


def test_another_programs_task_is_refused():
    sweep = sweep_of()
    with pytest.raises(InputError, match="use hydra/launcher=basic"):
        Launch(sweep.context, lambda config: None, sweep.master)


class Witness(Callback):
    """Notes what Hydra tells it."""

    seen: list = []  # noqa: RUF012

    def on_job_start(self, config, **more):
        task = more["task_function"]
        self.seen.append(("start", config.seed, HydraConfig.get().job.num, task.__name__))

    def on_job_end(self, config, job_return, **more):
        self.seen.append(("end", config.seed, config.hydra.job.num, job_return.return_value))


# 1.4 wants to be told which callbacks are trusted
@pytest.mark.filterwarnings("ignore:hydra.utils.instantiate")
def test_callbacks_are_told_of_every_job():
    Witness.seen.clear()
    sweep = sweep_of(f"+hydra.callbacks.witness._target_={__name__}.Witness")
    sweep.launch([["seed=5"], ["seed=6"]], 1)
    assert Witness.seen == [
        ("start", 5, 1, "task"),
        ("start", 6, 2, "task"),
        ("end", 5, 1, 1.0),
        ("end", 6, 2, 2.0),
    ]


def test_the_batch_sees_the_configuration_of_the_sweep():
    sweep = sweep_of()
    seen = []

    def batch(jobs, folder, engine):
        seen.append(HydraConfig.get())
        return [0.0]

    sweep.launch.task.batch = batch
    sweep.launch([["seed=1"]], 0)
    assert seen[0].job.name == "train"
    assert OmegaConf.is_missing(seen[0].job, "num")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("hydra.job.chdir=true", r"^hydra\.job\.chdir=true is not supported"),
        ("+hydra.job.env_set.THREADS=1", r"^hydra\.job\.env_set .*of THREADS is not supported"),
        ("hydra.job.env_copy=[HOME]", r"env_copy\) of HOME is not supported"),
        ("data.seed=${sed}", r"^Interpolation key 'sed' not found\.$"),
    ],
)
def test_what_one_program_cannot_do_is_refused(setting, message):
    ours = [] if setting.lstrip("+").startswith("hydra") else ["data=blobs", setting]
    sweep = sweep_of(*([] if ours else [setting]))
    with pytest.raises(InputError, match=message):
        sweep.launch([["seed=1", *ours], ["seed=2", *ours]], 0)
    assert sweep.jobs == []


def test_hydra_starts_without_the_heavy_parts(tmp_path):
    """Hydra imports the launcher at every start."""
    script = (
        "import sys; from hydra.core.plugins import Plugins; Plugins.instance();"
        "assert 'hydra_plugins.mlr_batched.launcher' in sys.modules;"
        "heavy = {'torch', 'numpy', 'mlr.app.sweep.launch', 'mlr.app'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, env=dict(os.environ))
