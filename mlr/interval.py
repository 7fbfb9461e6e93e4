"""Former name of `mlr.core.domains`, for programs that import it by that."""

import sys

from mlr.core import domains

sys.modules[__name__] = domains
