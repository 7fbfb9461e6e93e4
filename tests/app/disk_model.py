"""Model of a disk after a power failure: changes of files reach it at any time.

A change that nothing waited for may have reached the disk or not, whatever came before or after
it: the weakest that POSIX allows, and weaker than any file system in use. fsync of a file waits
for its bytes, fsync of a folder for its names, sync for all. A kill is much less than that: what
a killed process wrote is in the system's memory, and reaches the disk.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

NEVER = 1 << 60
CALLS = (
    *("open", "write", "fsync", "sync", "replace", "unlink", "ftruncate", "close"),
    *("mkdir", "rmdir"),
)


@dataclass
class Change:
    """of: the file or folder whose fsync waits for it. durable: when nothing can undo it."""

    of: int
    apply: Callable[[dict, random.Random], None]
    what: str
    at: int
    durable: int = NEVER


class Disk:
    """Records what a process changes below `root`, through Python's `os`.

    Folders and files are numbers; 0 is the root.
    """

    def __init__(self, root: Path):
        self.root, self.changes, self.now = root, [], 0
        self.numbers: dict[str, int] = {str(root): 0}
        self.fresh = 0
        self.open: dict[int, int] = {}

    def take_up(self) -> None:
        """Files that are below the root already are on the disk."""
        for path in sorted(self.root.rglob("*")):
            number = self.made(path, path.is_dir())
            if path.is_file():
                self.written(number, 0, path.read_bytes())
        self.wait()

    def number(self, path) -> int | None:
        return self.numbers.get(_absolute(path))

    def inside(self, path) -> bool:
        return isinstance(path, (str, Path)) and _absolute(path).startswith(f"{self.root}/")

    def change(self, of, apply, what) -> None:
        self.now += 1
        self.changes.append(Change(of, apply, what, self.now))

    def wait(self, of=None) -> None:
        self.now += 1
        for one in self.changes:
            if one.durable == NEVER and of in (None, one.of):
                one.durable = self.now

    def name(self, path, number) -> None:
        """A file or folder gets a name."""
        folder, name = self.number(Path(path).parent), Path(path).name
        self.numbers[_absolute(path)] = number
        self.change(folder, lambda state, _: state[folder].update({name: number}), f"+{path}")

    def made(self, path, folder: bool) -> int:
        self.fresh += 1
        number = self.fresh
        kind = dict if folder else bytearray
        # what it is comes with its name; what is in it does not
        self.change(-1, lambda state, _: state.setdefault(number, kind()), "made")
        self.changes[-1].durable = self.now
        self.name(path, number)
        return number

    def unnamed(self, path) -> None:
        folder, name = self.number(Path(path).parent), Path(path).name
        self.numbers.pop(_absolute(path), None)
        self.change(folder, lambda state, _: state[folder].pop(name, None), f"-{path}")

    def renamed(self, old, new) -> None:
        number = self.numbers.pop(_absolute(old))
        self.numbers[_absolute(new)] = number
        (folder,) = {self.number(Path(one).parent) for one in (old, new)}
        names = Path(old).name, Path(new).name

        def apply(state, _):
            if state[folder].get(names[0]) == number:
                del state[folder][names[0]]
            state[folder][names[1]] = number

        self.change(folder, apply, f"{old} → {new}")

    def written(self, number, start, content) -> None:
        def apply(state, draw):
            kept = content if draw is None else content[: draw.randint(0, len(content))]
            held = state[number]
            held.extend(bytes(max(0, start + len(kept) - len(held))))
            held[start : start + len(kept)] = kept

        self.change(number, apply, f"write {len(content)} at {start}")

    def truncated(self, number, size) -> None:
        def apply(state, _):
            held = state[number]
            held.extend(bytes(max(0, size - len(held))))
            del held[size:]

        self.change(number, apply, f"cut at {size}")

    def after_failure(self, moment: int, draw: random.Random) -> dict:
        """By number, what the disk holds if the power fails at a moment: bytes, or names.

        Each change that nothing waited for is there or not; a write may be there in part.
        """
        state: dict = {0: {}}
        share = draw.choice([0.0, 0.1, 0.5, 0.9, 1.0])
        for one in self.changes:
            if one.at <= moment and (one.durable <= moment or draw.random() < share):
                torn = one.durable > moment and draw.random() < 0.3
                folder = state.get(one.of)
                if one.of == -1 or folder is not None:
                    one.apply(state, draw if torn else None)
        return state


def _absolute(path) -> str:
    return str(Path(path).absolute())


def lay_down(state: dict, number: int, place: Path) -> None:
    """Write a state of the model into a real folder."""
    place.mkdir()
    for name, inner in state[number].items():
        if isinstance(state[inner], dict):
            lay_down(state, inner, place / name)
        else:
            (place / name).write_bytes(state[inner])


@contextmanager
def recorded(disk: Disk, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Record what goes through `os` meanwhile."""
    real = {name: getattr(os, name) for name in CALLS}

    def opened(path, flags, mode=0o777, **more):
        before = disk.inside(path) and Path(path).exists()
        descriptor = real["open"](path, flags, mode, **more)
        known = disk.number(path)
        if known is None and disk.inside(path) and not before:
            known = disk.made(path, False)
        if known is not None:
            disk.open[descriptor] = known
        return descriptor

    def write(descriptor, content):
        number = disk.open.get(descriptor)
        if number is None:
            return real["write"](descriptor, content)
        size = os.fstat(descriptor).st_size
        done = real["write"](descriptor, content)
        # O_APPEND moves the position first
        start = os.lseek(descriptor, 0, os.SEEK_CUR) - done
        assert 0 <= start <= size
        disk.written(number, start, bytes(content[:done]))
        return done

    def fsync(descriptor):
        real["fsync"](descriptor)
        if descriptor in disk.open:
            disk.wait(disk.open[descriptor])

    def after(name, then):
        def call(*arguments, **more):
            found = real[name](*arguments, **more)
            then(*arguments)
            return found

        return call

    def only_inside(then):
        return lambda path, *_: then(path) if disk.inside(path) else None

    replaced = {
        "open": opened,
        "write": write,
        "fsync": fsync,
        "sync": after("sync", lambda: disk.wait()),
        "replace": after("replace", lambda old, new: disk.renamed(old, new)),
        "unlink": after("unlink", only_inside(disk.unnamed)),
        "rmdir": after("rmdir", only_inside(disk.unnamed)),
        "mkdir": after("mkdir", only_inside(lambda path: disk.made(path, True))),
        "ftruncate": after("ftruncate", lambda to, size: disk.truncated(disk.open[to], size)),
        "close": after("close", lambda descriptor: disk.open.pop(descriptor, None)),
    }  # fmt: skip
    with patch.context() as inner:
        for name, call in replaced.items():
            inner.setattr(os, name, call)
        yield
