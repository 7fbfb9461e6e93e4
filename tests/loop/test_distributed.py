"""Loops of several processes, over gloo: what is recorded by whom, and what is refused."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.core.checks import InputError
from mlr.records.evidence import Evidence
from mlr.records.run_folder import read_status
from tests.loop.loops import batches, module, table

STEPS = 3

PROGRAM = """
import os, pickle, sys, warnings
import torch, torch.distributed as dist
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from mlr import GradientProbe
from tests.loop.loops import batches, module

folder, watched = sys.argv[1], sys.argv[2] == "True"
dist.init_process_group("gloo")
rank = dist.get_rank()
model = DistributedDataParallel(module(dtype=torch.float64))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
said, probe = [], None
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    if watched:
        probe = GradientProbe(
            model, optimizer, folder + "/run", settings="full", schedule="every:1"
        )
    for inputs, targets in batches(3, dtype=torch.float64):
        optimizer.zero_grad()
        logits = model(inputs[rank::2])
        loss = F.cross_entropy(logits, targets[rank::2])
        if watched:
            probe.watch(logits, targets[rank::2], loss)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.2)
        optimizer.step()
    if watched:
        probe.close()
        said = [str(one.message) for one in told if "GradientProbe" in str(one.message)]
weights = [own.detach().tolist() for own in model.parameters()]
with open(f"{folder}/{rank}{watched}", "wb") as file:
    pickle.dump((said, probe.step if watched else None, weights), file)
dist.destroy_process_group()
"""


def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def started(folder, watched):
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port(), "WORLD_SIZE": "2"}
    command = [sys.executable, "-c", PROGRAM, str(folder), str(watched)]
    each = [
        subprocess.Popen(command, env={**os.environ, **place, "RANK": str(rank)}) for rank in (0, 1)
    ]
    try:
        assert [one.wait(120) for one in each] == [0, 0]
    finally:
        for one in each:
            one.kill()
    return [pickle.loads((folder / f"{rank}{watched}").read_bytes()) for rank in (0, 1)]


@pytest.mark.slow
def test_two_processes_have_one_run_with_the_gradients_of_both(tmp_path):
    first, second = started(tmp_path, True)
    alone = started(tmp_path, False)
    assert first[2] == second[2] == alone[0][2] == alone[1][2]
    (said,) = first[0]
    assert "records the first of 2 processes" in said
    assert "gradients of parameters are of the mean over all" in said
    assert (second[0], first[1], second[1]) == ([], STEPS, STEPS)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["run"]
    rows = table(tmp_path / "run")
    plain = module(dtype=torch.float64)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    looks = Evidence.decode(read_status(tmp_path / "run").program).looks
    for row, look, (inputs, targets) in zip(
        rows, looks, batches(STEPS, dtype=torch.float64), strict=True
    ):
        optimizer.zero_grad()
        z = plain(inputs)
        F.cross_entropy(z, targets).backward()  # halves of equal length
        norm = torch.cat([own.grad.flatten() for own in plain.parameters()]).norm().item()
        own = F.cross_entropy(z[::2], targets[::2]).item()
        right = (z[::2].argmax(1) == targets[::2]).double().mean().item()
        found = {"grad_norm/total": norm, "loss/train": own, "accuracy/train": right}
        assert {tag: row[tag] for tag in found} == pytest.approx(found, rel=1e-9)
        assert look.after == pytest.approx(norm, rel=1e-9)
        nn.utils.clip_grad_norm_(plain.parameters(), 0.2)
        optimizer.step()


@pytest.fixture
def group():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_sharded_parameters_are_refused(tmp_path, group):
    from torch.distributed.tensor import DeviceMesh, Replicate, distribute_tensor

    model = nn.Linear(4, 3)
    mesh = DeviceMesh("cpu", [0])
    model.weight = nn.Parameter(distribute_tensor(model.weight.detach(), mesh, [Replicate()]))
    with pytest.raises(InputError, match="sharded over processes, as by fully_shard"):
        GradientProbe(model, torch.optim.SGD(model.parameters(), lr=0.1), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_fully_shard_is_refused(tmp_path, group):
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import DeviceMesh

    model = fully_shard(nn.Linear(4, 3), mesh=DeviceMesh("cpu", [0]))
    with pytest.raises(InputError, match="Wrap the model in DistributedDataParallel"):
        GradientProbe(model, torch.optim.SGD(model.parameters(), lr=0.1), tmp_path / "run")


def test_other_processes_than_the_first_record_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "get_rank", lambda: 1)
    model = module()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientProbe(model, optimizer, tmp_path / "run") as probe:
        for inputs, targets in batches(4):
            z = model(inputs)
            probe.watch(z, targets, loss := F.cross_entropy(z, targets))
            loss.backward()
            optimizer.step()
        probe.log_validation(loss=1.0)
        probe.flush()
    assert (probe.step, probe.folder, list(tmp_path.iterdir())) == (4, None, [])
    monkeypatch.setattr(dist, "get_rank", lambda: 0)
    with pytest.warns(UserWarning, match="of 2 processes.*parameters are of this process, too"):
        GradientProbe(model, optimizer, tmp_path / "run").close()
    assert (tmp_path / "run").exists()
