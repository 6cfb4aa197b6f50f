"""The plot of the bench."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from benchmarks.plot import cost_plot
from benchmarks.split import part


@pytest.mark.parametrize("points", [[(10_000, 0.01)], [(10_000, 0.009), (1_000_000, 0.9), (4_000_000, 3.9)]])
def test_the_plot_is_well_formed_and_names_every_size(points: list[tuple[int, float]]) -> None:
    text = cost_plot(points)
    root = ElementTree.fromstring(text)
    assert len(root.findall("{http://www.w3.org/2000/svg}circle")) == len(points)
    for circle in root.findall("{http://www.w3.org/2000/svg}circle"):
        assert 0 < float(circle.attrib["cx"]) < 560
        assert 0 < float(circle.attrib["cy"]) < 360


def test_the_halves_do_not_depend_on_the_run() -> None:
    assert [part(f"series-{number}") for number in (1, 2, 3, 4)] == ["test", "dev", "test", "dev"]
