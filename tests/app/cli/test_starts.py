"""Many commands at once, and one command in many environments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from hashlib import sha256

import pytest

from tests.app.killing import ROOT, RUN, came_to, read, weights

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it needs fork")
START = (*RUN, "epochs=1", "probes=off", "seed=5")
ENVIRONMENTS = {
    "TZ": {"TZ": "America/St_Johns"},
    "C": {"LC_ALL": "C"},
    "POSIX": {"LC_ALL": "POSIX"},
    "de_DE.UTF-8": {"LC_ALL": "de_DE.UTF-8"},
    "tr_TR.UTF-8": {"LC_ALL": "tr_TR.UTF-8"},
    "hash seed 1": {"PYTHONHASHSEED": "1"},
    "hash seed 77": {"PYTHONHASHSEED": "77"},
    "utf8": {"PYTHONUTF8": "1"},
    "two threads": {"OMP_NUM_THREADS": "2"},
    "all threads": {"OMP_NUM_THREADS": ""},
}
PROBLEM = (
    *("data=digits", "model=mlp", "optimizer=adam", "epochs=2", "probes.figures=0"),
    *("probes.points=10", "batch_size=100", "seed=2"),
)


def trained(folder, environment, cwd=ROOT):
    """A whole command in a process of its own; the digest of its run."""
    python = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "mlr" / "plugins")])}
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/train.py", *PROBLEM, f'hydra.run.dir="{folder}"'],
        cwd=cwd, capture_output=True, env={**os.environ, **python, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return digest_of(folder)


def digest_of(folder):
    """SHA-256 of what a run came to."""
    digest = sha256((folder / "metrics.csv").read_bytes())
    for content in weights(folder)[0].values():
        digest.update(content)
    return digest.hexdigest()


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("usual") / "run", {})


def there(name):
    """Return True if the system has a locale."""
    known = subprocess.run(["locale", "-a"], capture_output=True, text=True).stdout
    return name.replace("-", "").lower() in known.lower().replace("-", "").split()


@pytest.mark.slow
def test_environments_do_not_matter(train, tmp_path):
    """All at once: another place, time, order of hashes, threads, and a plain locale."""
    elsewhere = tmp_path / "größe π"
    elsewhere.mkdir()
    names = ("C", "TZ", "hash seed 1", "two threads")
    others = {key: value for name in names for key, value in ENVIRONMENTS[name].items()}
    found = trained(elsewhere / "läuft", others, elsewhere)
    assert train(*PROBLEM, f"hydra.run.dir={tmp_path}/here").code == 0
    assert digest_of(tmp_path / "here") == found


@pytest.mark.faults
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_environment_matters(usual, tmp_path, name):
    if name in ("de_DE.UTF-8", "tr_TR.UTF-8") and not there(name):
        pytest.skip(f"no locale {name} here")
    folder = tmp_path / "ğüş ☃ 'quoted'"
    folder.mkdir()
    assert trained(folder / "run", ENVIRONMENTS[name], folder) == usual


def started(server, cwd, processes, times):
    """Folders of runs that begin in the same second or so, wherever the defaults put them."""
    answer = server.run(*START, plain=True, beside=processes, times=times, cwd=str(cwd))
    assert answer.code == 0, answer
    folders = [path.parent for path in cwd.glob("runs/*/*/status.json")]
    assert len(folders) == processes * times
    pids = [json.loads((folder / "status.json").read_text())["pid"] for folder in folders]
    assert len(set(pids)) == processes
    first, *others = map(came_to, folders)
    assert all(other == first for other in others)
    for folder in folders:
        assert len([*folder.glob("events*")]) == 1
        read(folder / "checkpoint.safetensors")


def test_simultaneous_starts(server, tmp_path):
    started(server, tmp_path, 3, 2)


@pytest.mark.faults
def test_320_simultaneous_starts(server, tmp_path):
    started(server, tmp_path, 32, 10)
