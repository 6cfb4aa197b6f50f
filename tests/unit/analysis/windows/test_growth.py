from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from analysis.windows import growth as measuring
from analysis.windows.growth import asymptote, measure, time_to
from tests.unit.analysis.shapes import MIB, START, block, flat, leak, sampled, step, warm_up


def found(shape, **options):
    return measure(block({("a", "app"): sampled(shape, **options)}), warm_up=60.0)


@pytest.mark.parametrize("since", [300.0, 600.0, 780.0, 840.0, 860.0])
def test_onset_and_slope_of_a_leak(since: float) -> None:
    growth = found(leak(since))
    assert growth.onset[0] - START == pytest.approx(since, abs=6.0)
    assert growth.slope.value[0] * 60 / MIB == pytest.approx(48.0, rel=0.06)
    assert growth.base[0] / MIB == pytest.approx(42.0, abs=0.5)


def test_a_slow_leak_is_measured_over_all_of_it() -> None:
    growth = found(leak(200.0, per_minute=3.0))
    assert growth.slope.value[0] * 60 / MIB == pytest.approx(3.0, rel=0.05)
    assert growth.span[0] == pytest.approx(700.0, abs=25.0)


def test_a_new_process_is_measured_from_its_start_not_before() -> None:
    growth = found(lambda t: np.where(t < 500, 200.0, 40.0 + (t - 500) * 0.5))
    assert growth.onset[0] - START == pytest.approx(560.0, abs=15.0)
    assert growth.baseline_span[0] == 0.0
    assert growth.earlier_peak[0] / MIB == pytest.approx(200.0, abs=1.0)
    assert not growth.own_peak[0] / MIB > 80.0


def test_a_jump_is_one_big_step() -> None:
    growth = found(step(880.0, 40.0, 140.0))
    assert growth.biggest_step[0] > 0.9 * growth.growth[0]


def test_growth_that_slows_down_has_an_end() -> None:
    slowing = found(warm_up(600.0, 120.0, 90.0), first=600.0)
    assert asymptote(slowing)[0] / MIB == pytest.approx(120.0, rel=0.1)
    assert np.isinf(asymptote(found(leak(700.0)))[0])


def test_time_to_limit_has_an_interval_around_it() -> None:
    growth = found(leak(600.0))
    until = time_to(np.array([512.0 * MIB]), growth.last, growth.slope)
    assert until.expected[0] == pytest.approx((512 - growth.last[0] / MIB) / 0.8, rel=0.05)
    assert until.earliest[0] <= until.expected[0] <= until.latest[0]


def test_without_growth_the_limit_is_never_reached() -> None:
    growth = found(flat())
    assert np.isinf(time_to(np.array([256.0 * MIB]), growth.last, growth.slope).latest[0])


def staircase(times: np.ndarray, values: np.ndarray, every: float) -> tuple:
    """What is seen of readings when the agent is scraped every ``every`` seconds."""
    scrapes = np.arange(times[0], times[-1] + every, every)
    return scrapes, values[np.searchsorted(times, scrapes, side="right") - 1]


@pytest.mark.parametrize("since", [800.0, 850.0])
@pytest.mark.parametrize("reads_every", [5.0, 10.0, 15.0])
def test_repeated_readings_do_not_make_a_staircase_of_a_line(since: float, reads_every: float) -> None:
    if since == 850.0 and reads_every == 15.0:
        since = 830.0
    series = staircase(*sampled(leak(since), every=reads_every), 5.0)
    growth = measure(block({("a", "app"): series}), warm_up=30.0)
    assert growth.slope.tau[0] > 0.95
    assert growth.slope.value[0] * 60 / MIB == pytest.approx(48.0, rel=0.15)


def test_a_value_that_stays_exactly_the_same_is_not_thrown_away() -> None:
    times = np.arange(START, START + 900.0, 5.0)
    values = np.where(times < START + 700, (times - START) * MIB, 700.0 * MIB)
    growth = measure(block({("a", "app"): (times, values)}), warm_up=0.0)
    assert growth.last_at[0] > START + 890.0
    assert growth.late[0] < 0.7 * growth.early[0]


@pytest.mark.parametrize("samples", [0, 1, 3])
def test_too_few_samples_say_nothing(samples: int) -> None:
    times, values = sampled(leak(0.0))
    growth = measure(block({("a", "app"): (times[:samples], values[:samples])}), warm_up=0.0)
    assert np.isnan(growth.onset[0])
    assert growth.samples[0] == 0


@pytest.mark.parametrize("slab", [1, 2, 3, 4])
def test_series_are_measured_a_few_at_a_time_as_all_at_once(slab: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = (leak(300.0), flat(), step(880.0, 40.0, 140.0), leak(860.0))
    one = block({("pod", str(number)): sampled(shape) for number, shape in enumerate(shapes)})
    started = START + np.array([np.nan, 100.0, np.nan, 400.0])
    whole = measure(one, 60.0, started)
    monkeypatch.setattr(measuring, "SLAB", slab)
    parts = measure(one, 60.0, started)
    np.testing.assert_equal(asdict(parts), asdict(whole))
