"""The thorough tier: 10,000 flipped bits, every truncation, and a reader that never stops.

Nothing that was changed is taken for what was written. `make test-faults`.
"""

from __future__ import annotations

import multiprocessing
import random
import shutil
import time

import numpy as np
import pytest

from mlr.analysis.verify.findings import DAMAGED, examine_run
from mlr.app.run.resume import newest
from mlr.core.checks import DataError
from mlr.records.checkpoint_file import read
from mlr.records.encoding import records, scalar_records
from mlr.records.growing_file import new_events
from mlr.records.run_folder import read_status
from tests.analysis.verify.making import bits, events_of

pytestmark = pytest.mark.faults
FLIPS = 10_000
NEWEST, BEFORE = "checkpoint.safetensors", "checkpoint-previous.safetensors"


def refused(reader) -> bool:
    try:
        reader()
    except DataError:
        return True
    return False


def with_flip(content: bytes, bit: int) -> bytes:
    other = bytearray(content)
    other[bit // 8] ^= 1 << bit % 8
    return bytes(other)


def spoiled(content: bytes, path, flips: int, seed: int):
    """The case's name, and the content."""
    for bit in bits(path, flips, seed):
        yield f"bit {bit}, seed {seed}", with_flip(content, bit)
    for size in range(len(content)):
        yield f"cut at {size}", content[:size]


def test_a_spoiled_status_is_refused_by_every_reader(run):
    path = run / "status.json"
    content = path.read_bytes()
    for case, other in spoiled(content, path, FLIPS, seed=1):
        path.write_bytes(other)
        assert refused(lambda: read_status(run)), case
    path.write_bytes(content)
    assert examine_run(run).found[0].kind == "ok"


def test_a_spoiled_checkpoint_gives_way_to_the_one_before(run):
    path, status = run / NEWEST, read_status(run)
    content, before = path.read_bytes(), read(run / BEFORE).about["step"]
    for number, (case, other) in enumerate(spoiled(content, path, FLIPS, seed=2)):
        path.write_bytes(other)
        assert refused(lambda: read(path)), case
        if number % 10 == 0:
            assert newest(run, status).state.step == before, case
    (run / BEFORE).unlink()
    assert refused(lambda: newest(run, status))


def test_a_spoiled_event_file_is_refused_at_the_spoiled_record(run):
    path = events_of(run)
    content = path.read_bytes()
    starts = [0, *np.cumsum([len(one) for one in records(content)])[:-1].tolist()]
    for case, other in spoiled(content, path, FLIPS, seed=3):
        size, whole = len(other), starts
        if size < len(content):
            whole = [start for start in starts if start < size]
        try:
            found = len(list(records(other)))
        except ValueError as error:
            at = int(str(error).removeprefix("is damaged at byte ").replace(",", ""))
            assert at in whole, case
        else:
            assert (found, size) in zip(range(len(starts)), starts, strict=True), case


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_spoiled_is_named_and_only_that(trained, tmp_path, seed):
    """All files of a run, several at once."""
    folder, chance = tmp_path / "run", random.Random(seed)
    shutil.copytree(trained, folder)
    files = [one for one in folder.rglob("*") if one.is_file() and one.name != ".lock"]
    contents = {path: path.read_bytes() for path in files}
    for _ in range(150):
        chosen = chance.sample(files, chance.randint(1, 3))
        for path in chosen:
            content = contents[path]
            cut = chance.random() < 0.3
            size = chance.randrange(len(content))
            path.write_bytes(content[:size] if cut else with_flip(content, 8 * size + 3))
        named = {folder / one.name for one in examine_run(folder).found if one.kind == DAMAGED}
        if folder / "status.json" in chosen:  # which knows of the others
            assert folder / "status.json" in named, (seed, chosen)
        else:
            assert named == set(chosen), (seed, chosen)
        for path, content in contents.items():
            path.write_bytes(content)


def _follow(folder, stop, failures) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader, seen = EventAccumulator(folder, {"scalars": 0}), []
    while not stop.is_set():
        reader.Reload()
        if "a" not in reader.Tags()["scalars"]:
            continue
        now = [(one.step, one.value) for one in reader.Scalars("a")]
        if now[: len(seen)] != seen or any(step != value for step, value in now):
            failures.put((len(seen), now[-3:]))
        seen = now
    failures.put(("end", len(seen)))


def test_a_reader_sees_no_broken_record_while_others_write(tmp_path):
    """F41: a process that reads without a pause, from the first byte to the last."""
    context = multiprocessing.get_context("spawn")
    stop, failures = context.Event(), context.Queue()
    file = new_events(tmp_path)
    file.flush()
    follower = context.Process(target=_follow, args=(str(tmp_path), stop, failures))
    follower.start()
    written, chance = 0, random.Random(5)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        count = chance.randint(1, 30)
        steps = np.arange(written, written + count)
        values = steps[:, None].astype(float)
        there = np.ones(values.shape, dtype=bool)
        file.add(b"".join(scalar_records(steps, ("a",), values, steps + 1000.0, there)))
        file.flush()
        written += count
        time.sleep(0.01)
    time.sleep(2)
    stop.set()
    follower.join(30)
    assert failures.get(timeout=10) == ("end", written)
