"""Checkpoints that somebody has made, sealed as ours are: refused in one sentence (F61, F62)."""

from __future__ import annotations

import json
import random
import sys
from copy import deepcopy
from hashlib import sha256

import pytest

from mlr.app.run.resume import newest
from mlr.core.checks import DataError
from mlr.records.checkpoint_file import SEAL, encode, read
from mlr.records.continuation import check_position
from mlr.records.run_folder import read_status
from mlr.training.checkpoint import load_checkpoint
from tests.analysis.verify.making import RUN, events_of, train

JUNK = (
    *(None, True, -1, 0, 7, 2**63, 2**70, 1e400, float("nan"), "", "x", "../../x", "\0"),
    *([], [1], [0, 2**64], [-1, 3], [[[]]], {}, {"a": 1}, "F64", "BF16", "F8_E4M3", "X" * 999),
)
NUMBERS = ("format", "step", "lowest", "waited", "best_step", "threads", "ending", "records")
FORBIDDEN = ("exec", "compile", "import", "os.", "subprocess", "socket", "shutil", "pickle")


def resealed(header: dict, data: bytes) -> bytes:
    """A file whose SHA-256 fits, whatever it says."""
    text = json.dumps(header).encode()
    content = bytearray(len(text).to_bytes(8, "little") + text + data)
    offsets = header.get(SEAL, {}).get("data_offsets", [0, 0])
    start = 8 + len(text) + offsets[0]
    content[start : start + 32] = bytes(32)
    content[start : start + 32] = sha256(content).digest()
    return bytes(content)


def taken_apart(content: bytes) -> tuple[dict, bytes]:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def put(tree, path, value):
    *above, last = path
    for key in above:
        tree = tree[key]
    tree[last] = value


def places(tree, path=()):
    """Every place in a tree of dictionaries and lists."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in pairs:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))


def hostile(content: bytes, count: int, seed: int):
    """Files with one or two things in their headers, or in what they tell, replaced by junk."""
    chance = random.Random(seed)
    header, data = taken_apart(content)
    told = json.loads(header["__metadata__"]["mlr"])
    for _ in range(count):
        own, about = deepcopy(header), deepcopy(told)
        for _ in range(chance.randint(1, 2)):
            if chance.random() < 0.5:
                names = [place for place in places(own) if place[0] not in (SEAL, "__metadata__")]
                put(own, chance.choice(names), chance.choice(JUNK))
            else:
                put(about, chance.choice(list(places(about))), chance.choice(JUNK))
        own["__metadata__"] = {"mlr": json.dumps(about)}
        yield resealed(own, data)


@pytest.fixture(scope="module")
def audited():
    """Names of audit events that only code would raise, and the switch that records them."""
    heard: list[str] = []
    listening = [False]

    def hook(name, _):
        if listening[0] and name.startswith(FORBIDDEN) and name != "os.scandir":
            heard.append(name)

    sys.addaudithook(hook)
    return heard, listening


def test_hostile_checkpoints_are_refused_or_data(run, audited):
    """200 of them: none runs anything, and none is told of by another error."""
    heard, listening = audited
    path, status = run / "checkpoint.safetensors", read_status(run)
    content = path.read_bytes()
    (run / "checkpoint-previous.safetensors").unlink()
    newest(run, status)  # imports all that it needs
    sentences = {}
    for number, other in enumerate(hostile(content, 200, seed=0)):
        path.write_bytes(other)
        listening[0] = True
        try:
            newest(run, status)
        except DataError as error:
            sentences[number] = str(error)
        finally:
            listening[0] = False
    assert heard == []
    assert len(sentences) > 100  # others changed what is free to choose, in the configuration
    assert max(map(len, sentences.values())) < 600


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [-1, 2**63, "7", [], 1.5, True], ids=repr)
def test_numbers_that_are_none_are_refused(run, name, value):
    path = run / "checkpoint.safetensors"
    (run / "checkpoint-previous.safetensors").unlink()
    arrays, about = read(path)
    path.write_bytes(encode(arrays, about | {name: value}))
    if name == "lowest" and not isinstance(value, list):
        assert load_checkpoint(path)[0].lowest == float(value)
    else:
        with pytest.raises(DataError):
            newest(run, read_status(run))


def test_positions_that_are_none_are_refused(run):
    position = read(run / "checkpoint.safetensors").about["records"]
    check_position(run, position)
    for place in places(position):
        for value in JUNK:
            other = deepcopy(position)
            put(other, place, value)
            try:
                check_position(run, other)
            except DataError:
                continue
            # fewer tags are found out where the tags are known
            assert isinstance(value, (int, float, str)) or "seen" in place, (place, value)
    for junk in JUNK:
        with pytest.raises(DataError):
            check_position(run, junk)
    outside = {**position, "events": {"events.out.tfevents.1/../../x": 0}}
    with pytest.raises(DataError, match="does not say where"):
        check_position(run, outside)


def test_a_checkpoint_of_another_run_is_refused_before_anything_is_lost(
    run,
    tmp_path,
    capsys,
):
    """Its own is taken where it is still there (F61)."""
    other = tmp_path / "other"
    line = ("checkpoint.seconds=0.000001", "seed=4", "optimizer.lr=0.3")
    assert train(*RUN[:3], *line, "probes.figures=0", f"hydra.run.dir={other}") == 0
    stolen = (other / "checkpoint.safetensors").read_bytes()
    (run / "checkpoint.safetensors").write_bytes(stolen)
    assert newest(run, read_status(run)).state.step < 57
    (run / "checkpoint-previous.safetensors").write_bytes(stolen)
    before = events_of(run).read_bytes()
    capsys.readouterr()
    assert train(f"resume={run}", "epochs=4") == 3
    error = capsys.readouterr().err
    assert "or the checkpoint is of another run" in error
    assert len(error.splitlines()) == 1
    assert events_of(run).read_bytes() == before
    assert read_status(run)["status"] == "done"
