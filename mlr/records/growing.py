"""The files of a run that grow while it trains: TensorBoard's events and metrics.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlr.records.blocks import Rows
from mlr.records.continuing import going_on, take_back
from mlr.records.events import EventWriter
from mlr.records.folder import RunFolder
from mlr.records.manifest import Entry
from mlr.records.table import MetricsTable


class GrowingFiles:
    """What is added to them stays in memory until `flush`, which writes both."""

    def __init__(
        self,
        folder: RunFolder,
        tags: Sequence[str],
        events: EventWriter | None = None,
        before: Mapping[str, int] | None = None,
    ):
        """Files in a claimed folder.

        Args:
            folder: the run's.
            tags: the table's columns, in their order.
            events: the file to write; None begins the first.
            before: event files of earlier processes, and their bytes.
        """
        # in a folder just claimed there is none to look for
        self.events = EventWriter(folder.path, first=True) if events is None else events
        self.table = MetricsTable(folder.metrics, tags)
        self._before = dict(before or {})

    @classmethod
    def go_on(
        cls, folder: RunFolder, tags: Sequence[str], position: Mapping[str, Any], step: int
    ) -> GrowingFiles:
        """Files that go on where `position` was taken: the part of `Recorder.go_on` for both."""
        before = position["events"]
        take_back(folder.path, before)
        files = cls(folder, tags, going_on(folder.path, before, step), before)
        files.table.go_on(position["table"])
        return files

    def add(self, rows: Rows) -> None:
        """Add the same rows to both."""
        self.table.add(rows.lines, rows.first, rows.last)
        self.events.add(rows.events)

    def flush(self, sync: bool = False) -> None:
        """Append what was added; after an error it is still there to try again.

        Args:
            sync: wait until it is on the disk.

        Raises:
            WriteError: naming the file.
        """
        self.events.flush(sync)
        self.table.flush(sync)

    def position(self) -> dict[str, Any]:
        """Where the flushed files end; JSON can hold it."""
        return {"table": self.table.position(), "events": self._sizes()}

    def entries(self) -> dict[str, Entry]:
        """What a manifest says of the flushed files, by name."""
        return {
            self.table.path.name: self.table.entry(),
            **{name: {"bytes": size} for name, size in self._sizes().items()},
        }

    def pending_bytes(self) -> int:
        """What is in memory until the next flush."""
        return self.events.pending_bytes() + self.table.pending_bytes()

    def _sizes(self) -> dict[str, int]:
        """Bytes of the event files, by name."""
        return {**self._before, self.events.path.name: self.events.size}
