"""Reading back what mlr.records writes, by TensorBoard and by hand."""

import struct
from pathlib import Path

from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.util import tensor_util


def accumulate(folder: Path) -> EventAccumulator:
    """Everything in the folder, without subsampling."""
    guidance = dict.fromkeys(("scalars", "histograms", "tensors", "images"), 0)
    return EventAccumulator(str(folder), size_guidance=guidance).Reload()


def points(folder: Path) -> dict[str, list[tuple[int, str]]]:
    """Every tag's steps and values, as the reader of `tensorboard --load_fast=false` shows them.

    Asserts that EventAccumulator shows the same steps.
    """
    seen = plugin_event_accumulator.EventAccumulator(str(folder), {"tensors": 0}).Reload()
    found = {
        tag: [
            (one.step, repr(tensor_util.make_ndarray(one.tensor_proto).tolist()))
            for one in seen.Tensors(tag)
        ]
        for tag in seen.Tags()["tensors"]
    }
    older = accumulate(folder)
    reads = {"scalars": older.Scalars, "histograms": older.Histograms, "images": older.Images}
    for kind, read in (*reads.items(), ("tensors", older.Tensors)):
        for tag in older.Tags()[kind]:
            assert [one.step for one in read(tag)] == [step for step, _ in found[tag]], tag
    return found


def event_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("events.out.tfevents.*"))


def crc32c(content: bytes) -> int:
    """Bit by bit, from the definition: reflected polynomial 0x82F63B78."""
    rest = 0xFFFFFFFF
    for byte in content:
        rest ^= byte
        for _ in range(8):
            rest = rest >> 1 ^ (0x82F63B78 if rest & 1 else 0)
    return rest ^ 0xFFFFFFFF


def masked(content: bytes) -> int:
    checksum = crc32c(content)
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def events(path: Path) -> list[Event]:
    """Every record of the file, its length and both checksums verified."""
    content, found, at = path.read_bytes(), [], 0
    while at < len(content):
        length, length_sum = struct.unpack_from("<QI", content, at)
        assert masked(content[at : at + 8]) == length_sum
        payload = content[at + 12 : at + 12 + length]
        assert len(payload) == length
        assert struct.unpack_from("<I", content, at + 12 + length)[0] == masked(payload)
        found.append(Event.FromString(payload))
        at += 16 + length
    return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
