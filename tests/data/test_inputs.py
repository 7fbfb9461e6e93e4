import json

import numpy as np
import pytest

from mlr.data import Blobs
from mlr.data.inputs import Description, Inputs
from mlr.data.scaling import Scaling
from mlr.data.tables.columns import Columns


def test_what_is_written_is_read():
    columns = Columns(("a", "b c"), {"a": 1 / 3}, {"b c": ("x", "é")})
    scaling = Scaling(np.array([0.1, 0, 0]), np.array([3.0, 1, 1]))
    inputs = Inputs(scaling, False, columns, ("t",))
    target = Scaling(np.array([2.0]), np.array([1e-9]))
    data = Description((3,), None, ("t",), False, 1, target, inputs)
    again = Description.decode(data.encode())
    assert again.encode() == data.encode()
    assert again.inputs.columns == columns
    assert again.inputs.scaling.offset.tolist() == [0.1, 0, 0]
    assert again.target_scaling.divisor.tolist() == [1e-9]
    assert again.names == ("t",)


def test_data_describe_themselves():
    data = Blobs(n=40, classes=3).load(0)
    found = Description.decode(Description.of(data).encode())
    assert (found.feature_shape, found.classes, found.targets) == ((2,), 3, 1)
    assert found.names == ("0", "1", "2")
    assert found.inputs.columns is None
    assert not found.inputs.in_bytes


def test_other_files_are_refused():
    good = {"scaling": {"offset": 0.0, "divisor": 1.0}, "in_bytes": False}
    for changes, why in (
        ({"feature_shape": 3}, "does not describe data: TypeError"),
        ({"classes": "many"}, "invalid literal for int"),
        ({"labels": None}, "does not describe data: TypeError"),
        (good | {"scaling": {"offset": 0.0, "divisor": 0.0}}, "its scaling is not finite"),
        (good | {"scaling": {"offset": 0.0}}, "does not describe data: KeyError..divisor"),
        (good | {"columns": ["a", "b"], "fill": {}, "categories": {}}, "not as many as its feat"),
        ({"class_weights": [1, 2, 3]}, "its class_weights are not as many as its classes"),
        ({"prior": [1.0]}, "its prior are not as many as its classes"),
    ):
        found = json.loads(Description((1,), 2).encode()) | changes
        with pytest.raises(ValueError, match=why):
            Description.decode(json.dumps(found).encode())
    with pytest.raises(ValueError, match="does not describe data: TypeError"):
        Description.decode(b"[]")
