import gc


def pytest_collection_finish() -> None:
    """Have collections look through what tests make, not through torch and 8,000 tests."""
    gc.collect()
    gc.freeze()
