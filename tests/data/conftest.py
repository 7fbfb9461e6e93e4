import pytest

from mlr.data import SOURCES
from tests.data.support import OWN_FILES, publish, write_idx_folder


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Makes a source of any class with few examples, files of a user's own included."""
    import numpy as np

    def make(source, **options):
        if source in OWN_FILES:
            if source.name == "csv":
                rows = [f"{i},{i * i % 7},{'ab'[i % 2]}" for i in range(60)]
                path = tmp_path / "own.csv"
                path.write_text("first,second,label\n" + "\n".join(rows) + "\n")
                return source(path=path, **options)
            if source.name == "npz":
                path = tmp_path / "own.npz"
                np.savez(path, x=np.arange(120.0).reshape(60, 2), y=np.arange(60) % 3)
                return source(path=path, **options)
            folder = write_idx_folder(tmp_path / "idx")
            if source.name != "idx":
                publish(monkeypatch, source, folder)
            options = {"root": folder} | options
            held_out = {"val_fraction": 0.2} if source.name == "idx" else {"val_size": 20}
            return source(**held_out | options)
        if source.name == "synthetic_mnist":
            options = {"n": 200} | options
        return source(**options)

    return make


@pytest.fixture(params=SOURCES, ids=lambda source: source.name)
def source(request):
    return request.param
