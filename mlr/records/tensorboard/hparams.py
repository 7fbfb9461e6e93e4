"""Summaries for TensorBoard's HPARAMS page: settings of each run, and its final numbers.

Every run states the whole experiment (all keys, their types, the metrics to show), because
TensorBoard takes the columns from the run that it finds first; then its own values, then
its end. Built of protocol buffers alone: tensorboard.plugins.hparams.api would need TensorFlow,
and its summary_v2 and metadata half a tenth of a second to import.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_FLOAT
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.plugin_data_pb2 import (
    HParamsPluginData,
    SessionEndInfo,
    SessionStartInfo,
)

Value = bool | int | float | str
# TensorBoard ticks five columns by itself: these, in the order of the alphabet
PROMINENT = ("head", "loss", "lr", "model", "seed")
# columns of final numbers, their last values, of which it ticks the first five
HEADLINES = (
    *("accuracy/test", "loss/test", "accuracy/val", "logit_grad/wrong", "logit_grad/right"),
    *("loss/val", "loss/train", "accuracy/train", "stuck/fraction", "stuck/zero"),
    *("saturation/fraction", "zero_grad/fraction"),
)
# whole numbers that are names: TensorBoard would print 3 as 3.0000
_NAMES, _WIDTH = ("seed",), 20
_ENDS = {"done": api_pb2.STATUS_SUCCESS, "running": api_pb2.STATUS_RUNNING}


def hparams_summaries(hparams: Mapping[str, Value | None], trial: str) -> list[Summary]:
    """Build the summaries of the experiment and of the start of this run's session.

    Args:
        hparams: name → value; None stands as "none". A name must have one type in all runs
            of a logdir, or its column turns into text.
        trial: name of the run, its row's first column; must differ from run to run, else
            TensorBoard averages them.

    Returns:
        Two summaries, for step 0.

    Raises:
        TypeError: a value is no bool, number or text.
    """
    settings = [_setting(name, *_scalar(name, value)) for name, value in hparams.items()]
    columns = tuple((one.name, one.kind, one.name in PROMINENT) for one in settings)
    return [_experiment(columns), _session_start(settings, _legible(trial))]


@lru_cache(maxsize=16)  # runs of a sweep that end together
def session_end(status: str, when: float) -> Summary:
    """Build the summary of a run's end at `when`: done is a success, any other end a failure."""
    end = SessionEndInfo(status=_ENDS.get(status, api_pb2.STATUS_FAILURE), end_time_secs=when)
    return _summary("session_end_info", HParamsPluginData(session_end_info=end))


def _session_start(settings: Iterable[_Setting], trial: str) -> Summary:
    """Build the summary of a run's settings."""
    # messages that stand one after the other are one message
    start = SessionStartInfo.FromString(b"".join(one.message for one in settings))
    start.group_name, start.start_time_secs = trial, time.time()
    return _summary("session_start_info", HParamsPluginData(session_start_info=start))


class _Setting(NamedTuple):
    """A setting as the page shows it: its type, and a SessionStartInfo of it alone, encoded."""

    name: str
    kind: type
    message: bytes


@lru_cache(maxsize=1 << 12)
def _setting(name: str, value: Value | None, spelled: str) -> _Setting:
    """Encode a setting; equal values of other types, and -0.0, are spelled otherwise."""
    plain, start = _plain(name, value), SessionStartInfo()
    kind = {bool: "bool_value", str: "string_value"}.get(type(plain), "number_value")
    setattr(start.hparams[name], kind, plain)
    return _Setting(name, type(plain), start.SerializeToString())


def _scalar(name: str, value: object) -> tuple[Value | None, str]:
    """Return a value without its numpy type, and as it is spelled; TypeError if it is none."""
    item = value.item() if hasattr(value, "item") else value
    if item is not None and not isinstance(item, (bool, int, float, str)):
        raise TypeError(f"hparams[{name!r}]={value!r} must be a bool, a number or text.")
    return item, str(item)


@lru_cache(maxsize=64)
def _experiment(columns: tuple[tuple[str, type, bool], ...]) -> Summary:
    """Build the summary of the page's columns, which are equal for all runs of a sweep.

    A column states its type and no domain: a list of the values seen so far would be a filter
    that hides the runs with others.
    """
    types = {bool: api_pb2.DATA_TYPE_BOOL, str: api_pb2.DATA_TYPE_STRING}
    experiment = api_pb2.Experiment(
        hparam_infos=[
            api_pb2.HParamInfo(
                name=name, type=types.get(kind, api_pb2.DATA_TYPE_FLOAT64), differs=prominent
            )
            for name, kind, prominent in columns
        ],
        metric_infos=[
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=_title(tag))
            for tag in HEADLINES
        ],
        time_created_secs=time.time(),
    )
    return _summary("experiment", HParamsPluginData(experiment=experiment))


def _summary(name: str, data: HParamsPluginData) -> Summary:
    """Wrap data of the page in a summary."""
    content = SummaryMetadata.PluginData(plugin_name="hparams", content=data.SerializeToString())
    nothing = TensorProto(
        dtype=DT_FLOAT, tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=0)])
    )
    about = SummaryMetadata(plugin_data=content)
    return Summary(value=[Summary.Value(tag=f"_hparams_/{name}", metadata=about, tensor=nothing)])


def _plain(name: str, value: Value | None) -> Value:
    """Convert a value to one that the page can show."""
    if value is None:
        return "none"
    if name in _NAMES and isinstance(value, int):
        # as text, which is sorted by its characters: a browser does not show the blanks
        return f"{value:>{_WIDTH}}"
    return _legible(value) if isinstance(value, str) else value


def _legible(text: str) -> str:
    """Replace characters that UTF-8 cannot encode.

    Where Python takes the system for one of ASCII, the letters of paths come as lone bytes.
    """
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _title(tag: str) -> str:
    """Format `accuracy/test` as the column head `accuracy (test)`."""
    group, _, name = tag.partition("/")
    return f"{group} ({name})" if name else group
