"""A looped test fails if a case does, and says which."""

from __future__ import annotations

import pytest

from tests.looping import looped


def test_every_case_is_tried_and_the_failing_ones_are_named(tmp_path):
    tried = []

    @looped("a, b", [(1, 2), (2, 2), (3, 4), ("x", 1)])
    def equal(a, b, tmp_path):
        tried.append((a, b, tmp_path))
        if isinstance(a, str):
            with pytest.raises(ValueError, match="never"):
                pass
        assert a == b

    with pytest.raises(BaseExceptionGroup, match="3 of 4 cases") as raised:
        equal(tmp_path=tmp_path)
    assert tried == [(a, b, tmp_path) for a, b in [(1, 2), (2, 2), (3, 4), ("x", 1)]]
    notes = [one.__notes__ for one in raised.value.exceptions]
    assert notes == [["with a=1, b=2"], ["with a=3, b=4"], ["with a=x, b=1"]]


def test_a_skipped_case_hides_no_failure_and_no_other_case():
    tried = []

    @looped("number", [0, 1, 2])
    def fails_then_skips(number):
        tried.append(number)
        if number == 1:
            pytest.skip("this one")
        assert number != failing

    failing = 0
    with pytest.raises(BaseExceptionGroup, match="1 of 3 cases"):
        fails_then_skips()
    failing = None
    with pytest.raises(pytest.skip.Exception, match="this one"):
        fails_then_skips()
    assert tried == [0, 1, 2] * 2


def test_a_case_of_one_value_and_no_case():
    tried = []
    looped("pair", [(1, 2)])(lambda pair: tried.append(pair))()
    assert tried == [(1, 2)]
    with pytest.raises(AssertionError, match="cannot fail"):
        looped("pair", [])


@looped("number", [1, 2])
@pytest.mark.parametrize("other", ["a", "b"])
def test_fixtures_and_parameters_are_given_too(tmp_path, number, other):
    assert tmp_path.is_dir()
    assert number in (1, 2)
    assert other in "ab"
