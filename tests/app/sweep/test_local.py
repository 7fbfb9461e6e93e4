"""Sweeps in several processes: which do, how jobs are dealt out, and what the others report."""

from __future__ import annotations

import os
import sys
import threading
import time
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlr.app.run.job import Job
from mlr.app.sweep import local
from mlr.app.sweep.local import Printed, Workers, _Lines, _Work, _Worker, chunks_of, worth
from mlr.records.outcome import Outcome

LINEAR, CNN = "mlr.models.Linear", "mlr.models.Cnn"


def config(model=LINEAR, device="auto", processes=None, seed=0, data=()):
    return {
        "model": {"_target_": model},
        "device": device,
        "sweep": {"processes": processes},
        "seed": seed,
        "data": dict(data),
    }


@pytest.fixture
def machine(monkeypatch):
    """A machine of four cores and no accelerator, on which nothing is imported yet."""
    if sys.platform != "linux":
        pytest.skip("other systems fork no processes")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3})
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setattr(local, "_accelerated", lambda: False)
    return monkeypatch


@pytest.mark.parametrize(
    ("jobs", "expected"), [(1, 1), (127, 1), (128, 2), (191, 2), (192, 3), (512, 4), (10000, 4)]
)
def test_many_small_runs_are_worth_a_process_for_each_core(machine, jobs, expected):
    assert worth(jobs, config()) == expected


@pytest.mark.parametrize(("jobs", "expected"), [(1, 1), (2, 2), (4, 4), (9, 4)])
@pytest.mark.parametrize("model", [CNN, "my.Net"])
def test_runs_computed_one_by_one_are_worth_a_process_each(machine, model, jobs, expected):
    assert worth(jobs, config(model)) == expected


def test_processes_that_use_all_threads_are_few(machine):
    machine.setattr(os, "sched_getaffinity", lambda process: set(range(16)))
    assert worth(100, config(CNN)) == 4
    assert worth(100, config(CNN, processes=9)) == 9
    assert worth(10_000, config()) == 16


def test_of_mixed_jobs_those_computed_one_by_one_count(machine):
    assert worth(10, config(LINEAR), apart=3) == 3
    assert worth(10, config(CNN), apart=0) == 1


@pytest.mark.parametrize(("asked", "expected"), [(1, 1), (2, 2), (3, 3), (9, 4)])
def test_processes_are_chosen_up_to_the_cores(machine, asked, expected):
    assert worth(1000, config(processes=asked)) == expected
    assert worth(1, config(processes=asked)) == 1


@pytest.mark.parametrize(("device", "expected"), [("cpu", 4), ("auto", 4), ("cuda", 1), ("mps", 1)])
def test_accelerators_are_left_to_one_process(machine, device, expected):
    assert worth(512, config(device=device)) == expected
    machine.setattr(local, "_accelerated", lambda: True)
    assert worth(512, config(device=device)) == (4 if device == "cpu" else 1)


def test_torch_threads_and_other_systems_are_not_forked(machine):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", None)
        assert worth(512, config(processes=2)) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "active_count", lambda: 2)
        assert worth(512, config()) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "platform", "darwin")
        assert worth(512, config(processes=2)) == 1
    assert worth(512, config()) == 4


@pytest.mark.parametrize("name", ["nvidia0", "dxg", "kfd"])
def test_a_device_of_the_system_is_an_accelerator(monkeypatch, tmp_path, name):
    monkeypatch.setattr(local, "Path", lambda place: tmp_path if place == "/dev" else Path(place))
    assert not local._accelerated()
    (tmp_path / "nvidiactl").touch()  # a driver without a device
    assert not local._accelerated()
    (tmp_path / name).touch()
    assert local._accelerated()


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "true"])
def test_a_number_of_processes_is_a_whole_one(train, value):
    finished = train("-m", "data=blobs", "epochs=1", "seed=0,1", f"sweep.processes={value}")
    assert finished.code == 2
    assert "sweep.processes" in finished.err + finished.out
    assert not list(finished.folder.rglob("status.json"))


def job(number: int, seed: int = 0, **data) -> Job:
    return Job(number, (), config(seed=seed, data=data), Path(f"/{number}"), {})


def numbers(chunks):
    return [[one.number for one in chunk] for chunk in chunks]


def test_one_process_takes_groups_as_they_are():
    groups = [[job(0), job(1, 1)], [job(2)]]
    assert chunks_of(groups, 1) == groups


def test_jobs_of_the_same_data_stay_together():
    """As in loss=se,bce seed=range(0,4): jobs 0 and 4 read the same data."""
    group = [job(number, seed=number % 4) for number in range(8)]
    assert numbers(chunks_of([group], 2)) == [[0, 4], [1, 5], [2, 6], [3, 7]]
    group = [job(number, n=number % 2) for number in range(8)]
    assert numbers(chunks_of([group], 2)) == [[0, 2], [4, 6], [1, 3], [5, 7]]


def test_small_groups_are_not_split():
    groups = [[job(0, 0), job(1, 1)], [job(number, number) for number in range(2, 12)]]
    assert numbers(chunks_of(groups, 2)) == [[0, 1], [2, 3, 4], [5, 6, 7], [8, 9, 10], [11]]


def test_every_job_is_in_one_chunk():
    for processes in range(2, 6):
        for size in range(1, 30):
            group = [job(number, number // 3) for number in range(size)]
            chunks = numbers(chunks_of([group], processes))
            assert sorted(one for chunk in chunks for one in chunk) == list(range(size))
            assert len(chunks) <= 2 * processes
            assert all(chunks)


class Fake:
    """A worker that is a thread: it answers each chunk by what `answers` yields for it."""

    exitcode = -9

    def __init__(self, answers):
        line, self.end = Pipe()
        self.worker = _Worker(self, line)
        self.thread = threading.Thread(target=self.serve, args=(answers,), daemon=True)
        self.thread.start()

    def serve(self, answers):
        try:
            while True:
                chunk, _ = self.end.recv()
                for answer in answers(chunk):
                    if answer is Ellipsis:
                        return self.end.close()
                    self.end.send(answer)
        except (EOFError, OSError):
            pass

    def terminate(self):
        pass

    join = kill = terminate


def done(one: Job, status="done") -> Outcome:
    return Outcome(f"{one.number}", (), status, number=one.number)


def swept(monkeypatch, answers, here, jobs=8, report=None, told=None):
    """Outcomes and chunks of a sweep by a worker that answers so, and this process."""
    outcomes, chunks, told = [], [], [] if told is None else told

    def train_here(chunk, report, progress, signals, cache, processes):
        chunks.append([one.number for one in chunk])
        assert processes == 2
        here(chunk, report, progress)
        return (cache or []) + chunks[-1]

    monkeypatch.setattr(local, "train_here", train_here)
    fake, workers = Fake(answers), Workers()
    workers.running.append(fake.worker)
    group = [job(number, number) for number in range(jobs)]
    try:
        workers.train([group], report or outcomes.append, told.append, None)
    finally:
        swept.outcomes, swept.workers = outcomes, workers
        workers.close()
    return sorted(one.number for one in outcomes), chunks


def report_all(chunk, report, progress):
    for one in chunk:
        report(done(one))


@pytest.mark.parametrize("error", [IndexError, EOFError, OSError])
@pytest.mark.parametrize("fails", [0, 2])
def test_an_error_of_the_training_ends_the_sweep(monkeypatch, error, fails):
    def here(chunk, report, progress):
        if chunk[0].number >= fails:
            raise error("it")

    both = threading.Event()  # the worker leaves chunks to this process
    monkeypatch.setattr(Fake, "terminate", lambda self: both.set())

    def there(chunk):
        both.wait(10)
        return [None]

    with pytest.raises(error, match="it"):
        swept(monkeypatch, there, here)


def test_an_error_of_the_report_ends_the_sweep(monkeypatch):
    def report(outcome):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        swept(
            monkeypatch, lambda chunk: [*map(done, chunk), None], lambda *its: None, report=report
        )


def test_a_worker_trains_what_this_process_does_not(monkeypatch):
    both = threading.Barrier(2, timeout=10)  # each has its first chunk

    def here(chunk, report, progress):
        if chunk[0].number == 0:
            both.wait()
        report_all(chunk, report, progress)

    def there(chunk):
        if chunk[-1].number == 7:
            both.wait()
        return [*map(done, chunk), None]

    found, chunks = swept(monkeypatch, there, here)
    assert found == list(range(8))
    assert chunks[0] == [0, 1]
    assert [6, 7] not in chunks


def wait_for(found: list, count: int) -> None:
    deadline = time.monotonic() + 10
    while len(found) < count and time.monotonic() < deadline:
        time.sleep(0.001)
    assert len(found) >= count


def test_progress_of_both_is_added_until_its_outcomes_come(monkeypatch):
    begun, half = threading.Event(), threading.Event()
    outcomes, told = [], []

    def there(chunk):
        if chunk[-1].number == 3:
            begun.wait(10)
            yield 1.5
            half.wait(10)
        yield from map(done, chunk)
        yield None

    def here(chunk, report, progress):
        if chunk[0].number == 0:
            progress(0.5)
            begun.set()
            wait_for(told, 2)
            progress(1.0)
            half.set()
            wait_for(outcomes, 1)
            progress(1.0)
        report_all(chunk, report, progress)

    swept(monkeypatch, there, here, 4, outcomes.append, told)
    assert told[:4] == [0.5, 2.0, 2.5, 1.0]


def test_chunks_of_a_lost_worker_are_trained_here(monkeypatch, capsys):
    def there(chunk):
        yield done(chunk[0])
        yield done(chunk[1], "interrupted")  # it alone was told to stop: this is not the end
        yield ...

    both = threading.Barrier(2, timeout=10)

    def answers(chunk):
        both.wait()
        return there(chunk)

    waited = []

    def here(chunk, report, progress):
        if not waited:
            waited.append(both.wait())
        report_all(chunk, report, progress)

    _, chunks = swept(monkeypatch, answers, here)
    assert chunks[-1] == [6, 7]
    assert [(one.number, one.status) for one in swept.outcomes if one.number == 7] == [(7, "done")]
    assert "ended by SIGKILL; what it has not finished is trained here" in capsys.readouterr().err
    assert swept.workers.running == []


def test_an_interruption_stops_the_workers_and_reports_what_they_had(monkeypatch):
    told = threading.Event()

    def there(chunk):
        assert told.wait(10)
        yield from (done(one, "interrupted") for one in chunk)
        yield None  # it would take another one

    def here(chunk, report, progress):
        swept_fake.append(1)
        raise KeyboardInterrupt

    swept_fake = []
    monkeypatch.setattr(Fake, "terminate", lambda self: told.set())
    with pytest.raises(KeyboardInterrupt):
        swept(monkeypatch, there, here)
    assert swept_fake == [1]  # nothing is begun after it
    # the worker may not have had a chunk yet
    assert {one.status for one in swept.outcomes} == {"interrupted"}
    assert [one.number for one in swept.outcomes] == [6, 7]


def test_data_are_cached_from_chunk_to_chunk(monkeypatch):
    caches = []

    def train_here(chunk, report, progress, signals, cache, processes):
        caches.append(cache)
        return len(caches)

    monkeypatch.setattr(local, "train_here", train_here)
    Workers().train([[job(0)], [job(1)], [job(2)]], None, None, None)
    assert caches == [None, 1, 2]


def test_lines_of_a_worker_are_whole_and_mlr_says_each_once(monkeypatch, capsys):
    monkeypatch.setattr("mlr.core.console._said", set())
    sent = []
    stream = _Lines(2, sent.append)
    print("mlr: half", end="", file=stream)
    assert sent == []
    print(" and half\nyours", file=stream)
    assert sent == [Printed(2, "mlr: half and half"), Printed(2, "yours")]
    work = _Work([[job(0)]], 2, None, None)
    for one in [*sent, *sent, Printed(1, "out")]:
        work._take(None, one)
    assert capsys.readouterr() == ("out\n", "mlr: half and half\nyours\nyours\n")


@pytest.mark.parametrize(("processes", "expected"), [(1, 600), (3, 200)])
def test_memory_is_shared_by_the_processes(monkeypatch, tmp_path, processes, expected):
    from mlr.app.sweep import packing

    experiment = SimpleNamespace(device="cpu", data=object())
    prepared = SimpleNamespace(experiment=experiment, before=None)
    monkeypatch.setattr(packing._Packing, "_built", lambda self, job, there: prepared)
    for name, value in {
        **{"free_bytes": 1200, "bytes_per_run": 1, "bytes_of_data": 1},
        **{"program_key": 0, "outcome_at": None, "train_program": None},
    }.items():
        monkeypatch.setattr(packing, name, lambda *its, value=value: value)
    own = packing._Packing(None, None, None, packing.DataCache(), processes)
    one = Job(0, (), {**config(), "sweep": {"max_runs_per_batch": None}}, tmp_path, {})
    own.add(one)
    assert own.budget == expected
