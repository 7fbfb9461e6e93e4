"""The recipe of mlr/data/__init__.py, followed in a copy: a file, an entry in SOURCES, a YAML."""

import json
import shutil
import subprocess
import sys

from tests.data.support import REPO

SPIRAL = '''"""Spirals: two arms of one turn around the origin, which no straight line separates."""

from dataclasses import dataclass

from mlr.data.generated import Generated
from mlr.data.prepare import generator


@dataclass(eq=False, kw_only=True)
class Spiral(Generated):
    """Two arms of a spiral.

    Args:
        noise: standard deviation of the points around their arm.
    """

    name = "spiral"
    noise: float = 0.1

    def draw(self, seed):
        """Draw points (n, 2) and labels (n,)."""
        import numpy as np

        rng = generator(seed, self.name, "points")
        labels = rng.permutation(self.n) % 2
        radius = rng.uniform(0.2, 1.0, self.n)
        angle = 2 * np.pi * radius + np.pi * labels
        points = radius * np.stack([np.cos(angle), np.sin(angle)])
        return points.T + self.noise * rng.standard_normal((self.n, 2)), labels
'''
CONFIG = """# Two arms of a spiral.
_target_: mlr.data.Spiral
n: 1000  # examples in all three splits together
noise: 0.1  # standard deviation of the points around their arm
label_noise: 0.0  # share of the training labels replaced by another class
val_fraction: 0.2  # share of the examples for validation; 0: none
test_fraction: 0.2  # share of the examples for testing
scale: standardize  # none, standardize or minmax, fitted on the training examples
seed: null  # seed of the generated data; null: the run's seed
order: shuffled  # shuffled or given
drop_last: false  # true: leave out the last examples of an epoch that do not fill a batch
"""


def test_a_dataset_is_a_file_an_entry_and_a_yaml(tmp_path):
    for name in ("mlr", "configs", "scripts"):
        shutil.copytree(REPO / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "mlr/data/spiral.py").write_text(SPIRAL)
    package = tmp_path / "mlr/data/__init__.py"
    text = package.read_text()
    text = text.replace("\nSOURCES:", "from mlr.data.spiral import Spiral\n\nSOURCES:")
    package.write_text(text.replace("    Moons,\n", "    Moons,\n    Spiral,\n"))
    (tmp_path / "configs/data/spiral.yaml").write_text(CONFIG)
    line = [sys.executable, "scripts/train.py", "data=spiral", "data.noise=0.05", "epochs=1"]
    done = subprocess.run(
        [*line, "hydra.run.dir=run"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    status = json.loads((tmp_path / "run/status.json").read_text())
    assert status["status"] == "done"
