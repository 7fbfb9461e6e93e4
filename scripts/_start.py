"""Start a command with this repository's own mlr; without its environment, say how to get one.

Any Python reads this file, so it imports nothing that is new, and nothing of mlr at first.
"""

import os
import sys

SCRIPTS = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(SCRIPTS)
NEEDED = (
    "torch", "hydra", "omegaconf", "tensorboard", "numpy", "matplotlib", "platformdirs",
    "pooch", "rich", "google_crc32c", "safetensors",
)  # fmt: skip
"""The dependencies of pyproject.toml, by the names that are imported."""


def start(name):
    """Run the command of this name, and end the process with its exit code."""
    fault = _fault()
    if fault:
        sys.stderr.write("mlr: {}; run: {}\n".format(fault, _cure()))
        sys.exit(2)
    if sys.path and os.path.realpath(sys.path[0]) == SCRIPTS:
        del sys.path[0]  # `train` and `report` may be modules of the person's own
    # this mlr and its launcher, whatever other copy is installed
    sys.path[:0] = [ROOT, os.path.join(ROOT, "mlr", "plugins")]
    from mlr.app.cli.main import start as run

    sys.path.remove(ROOT)  # mlr is found by now, and `tests` may be the person's own
    sys.exit(run(name))


def _fault():
    if sys.version_info < (3, 11):
        return "Python {}.{} is too old, it needs 3.11 or newer".format(*sys.version_info)
    from importlib.util import find_spec

    missing = [name for name in NEEDED if find_spec(name) is None]
    if not missing:
        return ""
    others = " and {} other packages are".format(len(missing) - 1) if missing[1:] else " is"
    return "{}{} not installed for {}".format(missing[0], others, sys.executable)


def _cure():
    cure = "make install && source .venv/bin/activate"
    if os.path.realpath(os.getcwd()) == ROOT:
        return cure
    return "cd '{}' && {}".format(ROOT, cure)
