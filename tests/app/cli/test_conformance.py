"""Hydra's own suites for launchers, their tasks made to take batches."""

from __future__ import annotations

import subprocess
from functools import wraps
from pathlib import Path

import hydra
import pytest
from hydra import version
from hydra.test_utils.launcher_common_tests import (
    BatchedSweeperTestSuite,
    IntegrationTestSuite,
    LauncherTestSuite,
)
from hydra.test_utils.test_utils import SweepTaskFunction
from omegaconf import OmegaConf

from mlr.app.sweep.launch import BatchReturn
from tests.app.forced_batch import run_in_order

ONE_THREE = hydra.__version__.startswith("1.3")

REFUSED = {
    "test_custom_sweeper_run_workdir": "hydra.job.chdir=true: one program stands in one folder",
    "test_to_absolute_path_multirun": "hydra.job.chdir=true: likewise",
}
"""Cases that a single program cannot honour, each with what it asks for."""

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),  # the suites use what is deprecated
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
LAUNCHER = pytest.mark.parametrize(("launcher_name", "overrides"), [("batched", [])])
TWO_AT_A_TIME = "hydra.sweeper.max_batch_size=2"
FROM_SHELL = pytest.mark.parametrize(
    ("task_launcher_cfg", "extra_flags"), [({}, ["-m", "hydra/launcher=batched"])]
)


@pytest.fixture(autouse=True)
def as_hydra_tests(hydra_restore_singletons):
    """The state in which Hydra's own tests start."""
    if ONE_THREE:
        version.setbase("1.1")
    yield
    OmegaConf.clear_resolver("my_custom_resolver")


@pytest.fixture
def as_a_batch(monkeypatch):
    """Tasks of these suites are given a `batch`."""
    monkeypatch.setattr(
        SweepTaskFunction,
        "batch",
        lambda self, jobs, folder, engine: run_in_order(self, jobs),
        raising=False,
    )
    monkeypatch.setattr(SweepTaskFunction, "prepare", lambda self, config: None, raising=False)
    if ONE_THREE:  # its suites say working directory and mean output folder, as 1.4's say
        place = property(lambda self: self.hydra_cfg.hydra.runtime.output_dir, lambda self, _: None)
        monkeypatch.setattr(BatchReturn, "working_dir", place, raising=False)


@LAUNCHER
@pytest.mark.usefixtures("as_a_batch")
class TestBatch(LauncherTestSuite):
    """Every case holds for a batch."""


@pytest.mark.parametrize("launcher_name", ["batched"])
@pytest.mark.usefixtures("as_a_batch")
class TestBatchInBatches(BatchedSweeperTestSuite):
    """Every case holds for batches."""

    @pytest.fixture
    def overrides(self):
        return [TWO_AT_A_TIME]


@pytest.mark.slow
@FROM_SHELL
class TestBatchFromTheShell(IntegrationTestSuite):
    """Every case holds for a batch, but for those refused."""

    def generate_custom_cmd(self):
        runner = str(Path(__file__).parents[1] / "forced_batch.py")
        return lambda command, filename: [command[0], runner, *command[1:]]

    @pytest.fixture(autouse=True)
    def printed(self, capfd):
        self.printed = capfd


def refusal(name):
    """The case `name` of the suite, which must end with our error."""
    case = getattr(IntegrationTestSuite, name)

    @wraps(case)  # its parameters, too
    def test(self, **arguments):
        with pytest.raises(subprocess.CalledProcessError):
            case(self, **arguments)
        assert "InputError: hydra.job.chdir=true is not supported" in self.printed.readouterr().err

    return test


for name in REFUSED:
    setattr(TestBatchFromTheShell, name, refusal(name))
