"""A run's folder: the names of its files, and the claim by which it belongs to one run.

All file names of runs and sweeps are defined here. Of a run:

- status.json: how the run was started and how it ended, see `mlr.records.status`.
- metrics.csv: the logged steps as a table.
- events.out.tfevents.*: the same for TensorBoard, one file a process.
- inputs.json: columns, scaling and classes of the data, see `mlr.data.inputs`.
- checkpoint.safetensors: the latest state, at the end the final one;
  checkpoint-previous.safetensors: the state before that.
- .hydra/: the configuration, as Hydra writes it.
- .lock: held by the process that trains the run.

Of a sweep: such a folder a run, runs.csv with a row a run, and sweep.yaml with its commands.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlr.core.checks import DataError, InputError, PlaceError, UnreadableError, known
from mlr.core.durable import WriteError, atomic_write, create_exclusive
from mlr.records.checksums import Checksum, checksum, read_small
from mlr.records.status import STATUSES, RunStatus, now

STATUS, METRICS, EVENTS = "status.json", "metrics.csv", "events.out.tfevents."
CHECKPOINT, PREVIOUS = "checkpoint.safetensors", "checkpoint-previous.safetensors"
INPUTS = "inputs.json"
HYDRA, LOCK = ".hydra", ".lock"
RUNS_TABLE, STORY = "runs.csv", "sweep.yaml"
CONFIG, HYDRA_CONFIG = f"{HYDRA}/config.yaml", f"{HYDRA}/hydra.yaml"
LISTED = (
    *(METRICS, INPUTS, CHECKPOINT, PREVIOUS),
    *(CONFIG, HYDRA_CONFIG, f"{HYDRA}/overrides.yaml"),
)
"""Files of fixed names whose checksums status.json lists when the run has ended."""


class TakenError(InputError):
    """A folder holds a run already."""


class RunFolder:
    """A folder that belongs to one run; `claim` makes it one.

    Attributes:
        path: of the folder.
        status: contents of status.json.
        files: checksums of files that are complete, by name, as their writers know them.
        metrics: path of the table of logged steps.
        checkpoint: of the latest checkpoint; at the end of the run, of the final parameters.
        checkpoint_before: of the checkpoint before that.
    """

    def __init__(self, path: Path, status: RunStatus):
        self.path, self.status = path, status
        self.metrics, self.checkpoint = path / METRICS, path / CHECKPOINT
        self.checkpoint_before = path / PREVIOUS
        self.files: dict[str, Checksum] = {}

    @classmethod
    def claim(
        cls,
        path: Path | str,
        seed: int | None = None,
        command: str | None = None,
        choose: str = "hydra.run.dir=…",
        **fields: Any,
    ) -> RunFolder:
        """Make the folder and its parents, and claim it by creating status.json in it.

        Of many simultaneous claims, by threads, processes or machines, exactly one succeeds.
        Files of others (Hydra's) may be there already, a run may not.

        Args:
            path: the folder, new or without a run.
            seed: the run's seed.
            command: the command line; None takes this process's own.
            choose: the argument by which the user chooses another folder.
            **fields: further fields of `RunStatus`.

        Raises:
            TakenError: the folder holds a run.
            PlaceError: it cannot be made or written; says why.
        """
        folder = Path(path)
        try:
            if not _is_new(folder) and _holds_run(folder):
                raise _taken(folder, choose)
            status = RunStatus.begun(seed, command, **fields)
            create_exclusive(folder / STATUS, status.encode())
        except OSError as cause:
            claimed = isinstance(cause, WriteError) and cause.errno == errno.EEXIST
            raise (_taken if claimed else _refused)(folder, choose, cause) from cause
        return cls(folder, status)

    @classmethod
    def reopen(cls, path: Path | str, command: str | None = None, **fields: Any) -> RunFolder:
        """Continue the run of a folder, as `claim` begins one; the caller holds its lock.

        Raises:
            InputError: it holds no run.
            WriteError: it cannot be written.
        """
        before = RunStatus()
        with suppress(DataError):  # a damaged one is replaced
            before = read_status(path)
        fresh = RunStatus.begun(before.seed, command)
        again = {name: fresh[name] for name in ("format", "command", "host", "pid", "versions")}
        folder = cls(Path(path), before or fresh)
        sessions = [*(before.sessions or []), fresh.started]
        folder.write_status("running", reason=None, **again, sessions=sessions, **fields)
        return folder

    def write_status(self, status: str | None = None, sync: bool = True, **fields: Any) -> None:
        """Replace status.json, as one atomic step.

        Args:
            status: one of `STATUSES`; None leaves it as it is. Anything but running sets
                `finished` to now, and `files` to the checksums of the run's files.
            sync: wait until it is on the disk.
            **fields: further fields of `RunStatus` that change. A number that is not finite is
                written as "nan", "inf" or "-inf", which `float` reads, because JSON has none.

        Raises:
            InputError: an unknown status.
            WriteError: the file could not be written; the old one is still there.
        """
        if status is not None:
            fields["status"] = known("status", status, STATUSES)
            ended = status != "running"
            fields["finished"] = now() if ended else None
            fields["files"] = self._checksums() if ended else None
        changed = replace(self.status, **fields)
        atomic_write(self.path / STATUS, changed.encode(), sync)
        self.status = changed

    def _checksums(self) -> dict[str, Checksum]:
        """Checksums as the writers of the files know them, else of the files as they are."""
        found = dict(self.files)
        for name in LISTED:
            if name not in found:
                with suppress(OSError):  # most often there is none
                    found[name] = checksum((self.path / name).read_bytes())
        return dict(sorted(found.items()))


def read_status(folder: Path | str) -> RunStatus:
    """Read and check status.json of a folder.

    Raises:
        InputError: there is none.
        FormatError: it is of another format.
        UnreadableError: it cannot be read.
        DataError: it is damaged, holds what mlr does not write, or is a link: one to another
            file of a run is not followed either.
    """
    path = Path(folder) / STATUS
    try:
        if path.is_symlink():
            raise DataError(f"{path} is a link, which is not followed.")
        return RunStatus.decode(read_small(path), path)
    except DataError:
        raise
    except FileNotFoundError as cause:
        raise InputError(f"{folder} holds no run: {STATUS} is missing.") from cause
    except OSError as cause:
        raise UnreadableError(f"{path} cannot be read: {cause.strerror}.") from cause
    except (ValueError, RecursionError) as cause:
        raise DataError(f"{path} is damaged: {cause}.") from cause


def check_links(folder: Path) -> None:
    """Refuse to continue in a run's or a sweep's folder that contains a link.

    Raises:
        DataError: naming the link.
    """
    for entry in (*folder.glob("*"), *folder.glob(".*")):
        if entry.is_symlink():
            raise DataError(
                f"{entry} is a link, and continuing would change its target; "
                "put the file itself in its place."
            )


def _is_new(folder: Path) -> bool:
    """Make a folder and its parents; return False if it may have been there."""
    try:
        folder.mkdir()
    except OSError:
        folder.mkdir(parents=True, exist_ok=True)
        return False
    return True


def _holds_run(folder: Path) -> bool:
    """Test for files of a run, finished or not."""
    names = [entry.name for entry in folder.iterdir()]
    return any(name in (STATUS, METRICS, CHECKPOINT) or name.startswith(EVENTS) for name in names)


def _taken(folder: Path, choose: str, *_: OSError) -> TakenError:
    """Build the error of a folder that holds a run."""
    return TakenError(
        f"{folder} already holds a run, and a run is never overwritten. "
        f"Choose another folder ({choose}), or move or delete that one."
    )


def _refused(folder: Path, choose: str, cause: OSError) -> PlaceError:
    """Build the error of a folder that cannot be made or written: what, why, what to do."""
    where = cause.filename or folder
    at = "" if Path(where) in (folder, folder / STATUS) else f" at {where}"
    space = WriteError(folder, cause, getattr(cause, "needed", 0)).space
    return PlaceError(
        f"The run folder {folder} cannot be written: {cause.strerror or cause}{at}{space}. "
        f"Choose another ({choose})."
    )
