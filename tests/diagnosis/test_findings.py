"""Sentences with the numbers of one run or of several."""

from __future__ import annotations

from mlr.diagnosis.findings import Finding, sentence


def one(share, count=3, of_many=""):
    numbers = {"share": share, "count": count}
    return Finding("{share:%} of {count:,.0f}.", "", "", numbers, of_many=of_many)


def test_numbers_that_differ_are_a_range_and_the_same_once():
    assert one(0.4).sentence == "40 % of 3."
    assert sentence([one(0.4), one(0.38), one(0.52)]) == "38 to 52 % of 3."
    assert sentence([one(0.401), one(0.4, 5)]) == "40 % of 3 to 5."  # both read the same
    assert sentence([one(0.0004), one(0.5)]) == "under 0.1 to 50 % of 3."
    sizes = [Finding("{size:.3g}", "", "", {"size": size}) for size in (2.5, 11.0)]
    assert sentence(sizes) == "2.5 to 11"


def test_braces_in_a_name_are_left_as_they_are():
    said = Finding("{size:.1f} for {own}, {own.__class__:s} and {0}", "", "", {"size": 2})
    assert said.sentence == "2.0 for {own}, {own.__class__:s} and {0}"


def test_several_runs_have_a_sentence_of_their_own():
    apart = [one(0.4, 3, "{count:,.0f} in each."), one(0.4, 5, "{count:,.0f} in each.")]
    assert sentence(apart) == "3 to 5 in each."
    assert sentence(apart[:1]) == apart[0].sentence == "40 % of 3."
    assert apart[0].kind == "{count:,.0f} in each."
    assert one(0.4).kind == "{share:%} of {count:,.0f}."
