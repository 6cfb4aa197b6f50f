from __future__ import annotations

import pytest

from controllers.runtime.limits import ends, first, fit
from crds.v1alpha1.detection import DetectionStatus
from crds.v1alpha1.incident import IncidentSpec, IncidentStatus


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short", "short"),
        ("x" * 300, "x" * 300),
        ("x" * 301, "x" * 299 + "…"),
        ("one\ntwo\x1b[31m", "one two [31m"),
    ],
)
def test_text_fits_on_one_line(text: str, expected: str) -> None:
    assert fit(IncidentSpec, "summary", text) == expected


def test_lists_fit() -> None:
    assert len(first(DetectionStatus, "signals", range(99))) == 6
    kept = ends(IncidentStatus, "timeline", range(100), head=12)
    assert len(kept) == 48
    assert kept[:12] == list(range(12))
    assert kept[-1] == 99
    assert ends(IncidentStatus, "timeline", range(3), head=12) == [0, 1, 2]
