"""Runs a Hydra application with its task as a batch: python forced_batch.py APP.py ARGUMENTS.

The batch gets what mlr's own gets, a configuration and an output folder for each job, and
calls the application's task with the former, in order.
"""

from __future__ import annotations

import runpy
import sys

import hydra
from hydra.core.utils import JobRuntime
from omegaconf import OmegaConf


def run_in_order(task, jobs):
    """The batch: one task after the other; what Hydra would write is written."""
    returns = []
    for job in jobs:
        target = job.folder / ".hydra"
        target.mkdir(parents=True)
        for name, text in job.files.items():
            (target / name).write_text(text, encoding="utf-8")
        (job.folder / f"{JobRuntime.instance().get('name')}.log").touch()
        try:
            returns.append(task(OmegaConf.create(job.config)))
        except Exception as error:
            returns.append(error)
    return returns


def main() -> None:
    """Run the application with `hydra.main` giving each task a batch."""
    original = hydra.main

    def forced(**settings):
        def decorate(task):
            task.batch = lambda jobs, folder, engine: run_in_order(task, jobs)
            task.prepare = lambda config: None
            return original(**settings)(task)

        return decorate

    hydra.main = forced
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
