"""Numbers as people read them."""

from __future__ import annotations

import pytest

from analysis.words import MIB, mib_per_minute


@pytest.mark.parametrize(
    ("per_second", "text"),
    [(MIB / 2, "30.0 MiB/min"), (-MIB / 60, "-1.0 MiB/min"), (-1.0, "0.0 MiB/min"), (0.0, "0.0 MiB/min")],
)
def test_growth_has_no_negative_nothing(per_second: float, text: str) -> None:
    assert mib_per_minute(per_second) == text
