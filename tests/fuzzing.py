"""Generation of inputs: the same ones every time, more of them by MLR_FUZZ, nothing left."""

import os
from datetime import timedelta
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

# else .hypothesis would stand in the checkout
_HOME = TemporaryDirectory(prefix="mlr-hypothesis-")
set_hypothesis_home_dir(_HOME.name)
FACTOR = int(os.environ.get("MLR_FUZZ", "1"))


def fuzzed(examples: int) -> settings:
    """Try `examples` inputs, MLR_FUZZ times as many; one that takes 10 s is a hang."""
    return settings(
        max_examples=examples * FACTOR,
        derandomize=True,
        database=None,
        deadline=timedelta(seconds=10),
        print_blob=True,
        # files are written into one folder, over and over
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
