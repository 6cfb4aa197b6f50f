from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.telemetry.query import Matcher, among, equal, literal, quantile_query, quote, selector


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("shop", '"shop"'),
        ('a"} or up{x="', '"a\\"} or up{x=\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("new\nline", '"new\\nline"'),
        ("\x00", '"\\x00"'),
    ],
)
def test_hostile_values_stay_inside_their_quotes(value: str, expected: str) -> None:
    assert quote(value) == expected


@given(st.text(max_size=40))
def test_no_value_ends_its_literal(value: str) -> None:
    body = quote(value)[1:-1]
    assert re.fullmatch(r'(?:[^"\\\n\r\x00-\x1f]|\\.)*', body, re.DOTALL)


@given(st.text(max_size=30))
def test_a_literal_pattern_matches_itself_and_nothing_else(value: str) -> None:
    assert re.fullmatch(literal(value), value)
    assert not re.fullmatch(literal(value), value + "x")


def test_one_value_is_an_equality_and_many_are_sorted() -> None:
    assert str(among("pod", ["a"])) == 'pod="a"'
    assert str(among("pod", ["b", "a.x", "b"])) == 'pod=~"a\\\\.x|b"'


def test_a_quantile_is_of_the_native_histogram_where_there_is_one() -> None:
    native = 'histogram_quantile(0.95, sum by (pod) (rate(wait_seconds{a="b"}[60s])))'
    classic = 'histogram_quantile(0.95, sum by (pod, le) (rate(wait_seconds_bucket{a="b"}[60s])))'
    assert quantile_query(0.95, "wait_seconds", "60s", equal("a", "b"), by=("pod",)) == f"{native} or {classic}"


def test_names_are_checked() -> None:
    with pytest.raises(ValueError, match="bad metric"):
        selector("up{} or x")
    with pytest.raises(ValueError, match="bad matcher"):
        str(Matcher("a b", "=", "x"))
    assert selector("up", equal("a", "b")) == 'up{a="b"}'
