import numpy as np
import pytest
from tensorboard.plugins.hparams import api_pb2, metadata

from mlr.records.run_folder import STATUSES
from mlr.records.tensorboard.hparams import HEADLINES, hparams_summaries, session_end
from tests.records.reading import accumulate
from tests.records.written import write_events

HPARAMS = {"head": "sigmoid", "lr": 0.1, "seed": 3, "nesterov": True, "clip": None}


def plugin_data(folder):
    content = accumulate(folder).PluginTagToContent("hparams")
    return (
        metadata.parse_experiment_plugin_data(content[metadata.EXPERIMENT_TAG]),
        metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG]),
        metadata.parse_session_end_info_plugin_data(content[metadata.SESSION_END_INFO_TAG]),
    )


def test_tensorboard_reads_columns_values_and_the_end(tmp_path):
    start = hparams_summaries(HPARAMS, "run 7")
    write_events(tmp_path, *((one, 0) for one in (*start, session_end("done", 1.0))))
    experiment, start, end = plugin_data(tmp_path)
    assert {info.name: info.type for info in experiment.hparam_infos} == {
        "head": api_pb2.DATA_TYPE_STRING,
        "lr": api_pb2.DATA_TYPE_FLOAT64,
        "seed": api_pb2.DATA_TYPE_STRING,
        "nesterov": api_pb2.DATA_TYPE_BOOL,
        "clip": api_pb2.DATA_TYPE_STRING,
    }
    assert {info.name for info in experiment.hparam_infos if info.differs} == {"head", "lr", "seed"}
    columns = [(info.name.tag, info.display_name) for info in experiment.metric_infos]
    assert columns[:2] == [("accuracy/test", "accuracy (test)"), ("loss/test", "loss (test)")]
    assert [tag for tag, _ in columns] == list(HEADLINES)
    values = {
        name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()
    }
    assert values == {**HPARAMS, "clip": "none", "seed": f"{3:>20}"}
    assert start.group_name == "run 7"
    assert end.status == api_pb2.STATUS_SUCCESS


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_its_end(status):
    (value,) = session_end(status, 1.5).value
    assert value.tag == metadata.SESSION_END_INFO_TAG
    end = metadata.parse_session_end_info_plugin_data(value.metadata.plugin_data.content)
    kinds = {"done": api_pb2.STATUS_SUCCESS, "running": api_pb2.STATUS_RUNNING}
    assert end.status == kinds.get(status, api_pb2.STATUS_FAILURE)
    assert end.end_time_secs == 1.5


def test_numpy_numbers_are_taken_and_other_things_refused():
    hparams_summaries({"lr": np.float32(0.1), "n": np.int64(3), "b": np.bool_(True)}, "a")
    with pytest.raises(TypeError, match=r"hparams\['a'\]=\[1\] must be"):
        hparams_summaries({"a": [1]}, "a")


def test_seeds_read_as_whole_numbers_and_sort_as_such():
    """TensorBoard prints the number 3 as 3.0000, and sorts texts by their characters."""
    seeds = [0, 2, 10, 9_999, 10_000, np.int64(2**62)]
    shown = []
    for seed in seeds:
        _, start = hparams_summaries({"seed": seed}, "a")
        data = metadata.parse_session_start_info_plugin_data(
            start.value[0].metadata.plugin_data.content
        )
        shown.append(data.hparams["seed"].string_value)
    assert shown == sorted(shown)
    assert [text.strip() for text in shown] == [str(seed) for seed in seeds]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((1, "number_value 1.0"), (True, "bool_value True"), (1.0, "number_value 1.0")),
        *((0.0, "number_value 0.0"), (-0.0, "number_value -0.0"), (False, "bool_value False")),
        *(("1", "string_value 1"), (None, "string_value none"), ("none", "string_value none")),
    ],
)
def test_equal_settings_of_other_types_are_told_apart(value, expected):
    _, start = hparams_summaries({"a": value}, "a")
    data = metadata.parse_session_start_info_plugin_data(
        start.value[0].metadata.plugin_data.content
    )
    kind = data.hparams["a"].WhichOneof("kind")
    shown = str(getattr(data.hparams["a"], kind))
    assert f"{kind} {shown}" == expected
