"""The entry point of scripts/train.py: Hydra around a session, and errors in one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import hydra

from mlr.app import console
from mlr.app.errors import one_sentence, raised_by_hydra
from mlr.app.names import register_resolvers
from mlr.app.schema import register_schema
from mlr.app.session import Session, SweepRefused
from mlr.checks import InputError
from mlr.records.durable import WriteError

CONFIGS = Path(__file__).parents[2] / "configs"
INTERRUPTED = 130


def main() -> int:
    """Run what the command line asks for; returns the exit code."""
    # Hydra then raises instead of printing a shortened traceback and exiting by itself
    os.environ["HYDRA_FULL_ERROR"] = "1"
    register_schema()
    register_resolvers()
    session = Session()
    entry = hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="train")
    try:
        try:
            entry(session.job)()
            return session.report()
        except KeyboardInterrupt:
            return _interrupted(session)
    except SweepRefused as refusal:
        console.refuse(str(refusal))
        return 1
    except BrokenPipeError:  # the reader, as `head`, has seen enough
        console.close_output()
        return 1
    except Exception as error:
        message = _sentence(error, crashed=error is session.crash)
        if message is None:
            raise  # a mistake of ours, or of a user's own code: they need the traceback
        console.refuse(message)
        return 1


def _interrupted(session: Session) -> int:
    folders = [
        str(one.folder) for one in session.outcomes if one.folder and one.status == "interrupted"
    ]
    kept = f"; what was recorded until then is kept in {folders[0]}" if folders else ""
    console.refuse(f"interrupted{kept}.")
    if session.sweep is not None:
        session.report()
    return INTERRUPTED


def _sentence(error: Exception, crashed: bool) -> str | None:
    """What to tell of `error`; None if its traceback is what helps."""
    if isinstance(error, (InputError, WriteError)):
        return str(error)
    if crashed:
        return None
    if raised_by_hydra(error):
        return one_sentence(error)
    if isinstance(error, OSError) and error.filename:  # Hydra makes the folders of runs
        other = "choose another hydra.run.dir or hydra.sweep.dir"
        return f"cannot write {error.filename}: {error.strerror}; {other}."
    if isinstance(error, OSError):
        return f"cannot write the output: {error.strerror}."
    return None
