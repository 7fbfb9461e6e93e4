"""scripts/train.py that prints its peak memory in bytes at the end.

python -m mlr.benchmarks.peak BUDGET --multirun seed=0,1

BUDGET is how many bytes a batch may take, 0 for what mlr would choose.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from unittest.mock import patch

from mlr.app.cli.command import main


def within(budget: int) -> int:
    """Run what the command line asks for, as if there were as much free memory as makes this."""
    from mlr.app.sweep.packing import SHARE_OF_FREE_MEMORY

    free = budget / SHARE_OF_FREE_MEMORY
    with patch("mlr.app.sweep.packing.free_bytes", lambda _: free):
        return main()


def peak_bytes() -> int:
    """The most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says there includes the process that started this one
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS counts in bytes


if __name__ == "__main__":
    budget = int(sys.argv.pop(1))
    code = within(budget) if budget else main()
    print(peak_bytes())
    sys.exit(code)
