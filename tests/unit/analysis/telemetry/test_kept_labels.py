"""Labels of rows: what goes in comes out, and what nobody uses any more is not kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.telemetry.kept_labels import KeptLabels
from analysis.telemetry.labels import encode, split

FEW = st.sampled_from(("", "a", "web-1", "é" * 80, "x" * 200))
LABELS = st.dictionaries(st.sampled_from(("__name__", "A", "pod", "zone")), FEW).map(encode)
RAW = st.one_of(LABELS, st.binary(max_size=20), st.just(b"\n\x7f\n\x08__name__\x12"))


@given(st.lists(st.one_of(RAW, st.integers(0, 30)), max_size=60))
def test_rows_read_as_they_were_written_whatever_comes_and_goes(steps: list[bytes | int]) -> None:
    kept, expected, rows = KeptLabels(), dict[int, bytes](), 0
    for step in steps:
        if isinstance(step, bytes):
            row = kept.add(step)
            assert row not in expected
            rows = max(rows, row + 1)
            expected[row] = step
        elif step < rows:
            gone = np.flatnonzero(kept.drop(np.array([step, step])))
            assert gone.tolist() == ([step] if expected.pop(step, None) is not None else [])
    assert {row: kept.raw(row) for row in expected} == expected
    assert not any(kept.raw(row) for row in range(rows) if row not in expected)
    assert kept.taken == len(expected)
    halves = [split(raw) for raw in expected.values()]
    assert kept.texts == len({name for name, _ in halves}) + len({others for _, others in halves})


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ({"__name__": "used", "pod": "a"}, {"__name__": "used"}),
        ({"__name__": "used"}, {"__name__": "used"}),
        ({"A": "1", "__name__": "used"}, {}),
        ({"__name__": "x" * 200, "pod": "a"}, {}),
        ({"pod": "a"}, {}),
    ],
    ids=["usual", "alone", "not first", "too long", "none"],
)
def test_a_name_that_comes_first_is_told_from_the_rest(labels: dict[str, str], name: dict[str, str]) -> None:
    assert split(encode(labels)) == (encode(name), encode({key: labels[key] for key in labels if key not in name}))


def test_all_metrics_of_a_container_share_its_labels() -> None:
    kept = KeptLabels()
    for pod in range(20):
        for metric in ("used", "limit", "started"):
            kept.add(encode({"__name__": metric, "namespace": "shop", "pod": f"web-{pod}"}))
    assert kept.texts == 3 + 20
