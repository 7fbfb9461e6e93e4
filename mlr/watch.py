"""Former name of `mlr.loop`, for programs that import it by that."""

import sys

from mlr import loop

sys.modules[__name__] = loop
