"""Event files as torch, Lightning, Keras and the Trainer of Hugging Face lay them out."""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_STRING

from tests.records.reading import masked

Curves = Mapping[str, Sequence[float]]


def framed(event: Event) -> bytes:
    """A record by the definition of the format."""
    payload = event.SerializeToString()
    length = struct.pack("<Q", len(payload))
    sums = (struct.pack("<I", masked(part)) for part in (length, payload))
    return length + next(sums) + payload + next(sums)


def write_events(path: Path, *events: Event) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(map(framed, events)))
    return path


def scalar(tag: str, step: int, value: float, at: float = 0.0) -> Event:
    """As torch and TensorFlow 1 write it."""
    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
    return Event(wall_time=at or 1.8e9 + step, step=step, summary=summary)


def as_tensor(tag: str, step: int, value: float, plugin: str = "scalars") -> Event:
    """As TensorFlow 2 and Keras write it: packed bytes, without dimensions."""
    one = Summary.Value(
        tag=tag, tensor=TensorProto(dtype=DT_FLOAT, tensor_content=struct.pack("<f", value))
    )
    one.metadata.plugin_data.plugin_name = plugin
    return Event(wall_time=1.8e9 + step, step=step, summary=Summary(value=[one]))


def text(tag: str) -> Event:
    tensor = TensorProto(dtype=DT_STRING, string_val=[b"hello"])
    one = Summary.Value(tag=tag, tensor=tensor)
    one.metadata.plugin_data.plugin_name = "text"
    return Event(wall_time=time.time(), summary=Summary(value=[one]))


def by_torch(folder: Path, curves: Curves, first: int = 0, **options: bool) -> Path:
    """By torch's SummaryWriter, step after step."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for step in range(max(map(len, curves.values()))):
            for tag, values in curves.items():
                if step < len(values):
                    writer.add_scalar(tag, values[step], first + step, **options)
    return folder


def by_keras(folder: Path, train: Curves, validation: Curves) -> Path:
    """As the callback TensorBoard of Keras lays it out."""
    for part, curves in (("train", train), ("validation", validation)):
        events = [
            as_tensor(tag, step, value)
            for tag, values in curves.items()
            for step, value in enumerate(values)
        ]
        name = "events.out.tfevents.1800000000.host.7.0.v2"
        write_events(folder / part / name, text("keras"), *events)
    return folder
