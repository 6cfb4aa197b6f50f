"""What is said of a fleet with days and weekends, noise, holidays and deploys, and what is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.detect import learned
from analysis.detect.learned import Deviation, Judgement, Model
from analysis.detect.registry import KEPT, Registry

STEP = 300.0
MONDAY = 1_767_571_200.0
"""2026-01-05 00:00 UTC."""
WEEK = 7 * 86_400.0
KEYS = tuple(("shop", f"w{index}") for index in range(12))
LEAST = {"requests": (0.5, 1.0), "cpu": (0.5, 0.1), "latency": (0.5, 0.1)}


def times(start: float, seconds: float) -> np.ndarray:
    return np.arange(start, start + seconds, STEP)


def fleet(at: np.ndarray, seed: int = 1, keys: int = len(KEYS)) -> dict[str, np.ndarray]:
    """Requests with a day's swing and quiet weekends; CPU follows them; latency is noise."""
    random = np.random.default_rng(seed)
    day = 1.0 + 0.5 * np.sin(2 * np.pi * (at % 86_400) / 86_400 - np.pi / 2)
    weekend = np.where((at // 86_400 + 3) % 7 >= 5, 0.5, 1.0)
    base = np.linspace(10, 200, keys)[:, None]
    requests = base * day * weekend * random.normal(1.0, 0.06, (keys, len(at)))
    return {
        "requests": requests,
        "cpu": 0.01 * requests * random.normal(1.0, 0.05, requests.shape),
        "latency": 0.2 * random.lognormal(0.0, 0.1, requests.shape),
    }


@pytest.fixture(scope="module")
def model() -> Model:
    return trained()


def trained(seconds: float = 2 * WEEK, exclude: np.ndarray | None = None, spoil: object = None) -> Model:
    at = times(MONDAY, seconds)
    values = fleet(at)
    if callable(spoil):
        spoil(at, values)
    nothing = np.zeros((len(KEYS), len(at)), dtype=bool)
    return learned.train(at, values, KEYS, nothing if exclude is None else exclude)


def look(model: Model, change: object, days: float = 1.5, hours_before: float = 25.0, seed: int = 2) -> Judgement:
    """Judge the moment ``days`` after the training, with the newest samples changed."""
    at = times(MONDAY + 2 * WEEK + days * 86_400 - hours_before * 3600, hours_before * 3600)
    values = fleet(at, seed)
    if callable(change):
        change(at, values)
    fresh = at > model.trained_until
    scores = learned.advance(model, at[fresh], {name: one[:, fresh] for name, one in values.items()})
    return learned.judge(model, at, values, scores, LEAST)


def drop(at: np.ndarray, values: dict[str, np.ndarray]) -> None:
    values["requests"][3, -4:] *= 0.1
    values["cpu"][3, -4:] *= 0.1


def only(judged: Judgement) -> Deviation:
    (one,) = judged.deviations
    return one


def test_a_drop_of_one_workload_is_seen_with_what_was_expected() -> None:
    one = only(look(trained(), drop))
    assert one.key == ("shop", "w3")
    assert one.series[0] in {"requests", "cpu"}
    assert one.side["requests"] == -1
    assert one.value["requests"] < 0.2 * one.expected["requests"]
    assert one.rarity > 0.9


@pytest.mark.parametrize("days", [1.5, 3.0, 5.5, 6.9])
def test_ordinary_days_and_weekends_say_nothing(days: float) -> None:
    assert look(trained(), None, days).deviations == ()


def test_a_quiet_week_says_nothing_step_by_step(model: Model) -> None:
    at = times(MONDAY + 2 * WEEK, WEEK)
    values, said = fleet(at, 3), []
    for end in range(300, len(at), 12):
        window = slice(end - 300, end)
        new = slice(end - 12 if end > 300 else 0, end)
        scores = learned.advance(model, at[new], {name: one[:, new] for name, one in values.items()})
        seen = {name: one[:, window] for name, one in values.items()}
        said += learned.judge(model, at[window], seen, scores, LEAST).deviations
    assert said == []


def test_a_holiday_is_a_common_shift_not_twelve_incidents() -> None:
    def holiday(_: np.ndarray, values: dict[str, np.ndarray]) -> None:
        values["requests"][:, -6:] *= 0.2
        values["cpu"][:, -6:] *= 0.2

    judged = look(trained(), holiday)
    assert judged.deviations == ()
    assert "requests low on 12 of 12 workloads" in judged.common


def test_a_deploy_that_changes_the_level_is_normal_after_a_day() -> None:
    def deploy(_: np.ndarray, values: dict[str, np.ndarray]) -> None:
        values["cpu"][5] *= 1.8

    assert look(trained(), deploy).deviations == ()


def test_one_wild_sample_says_nothing() -> None:
    def spike(_: np.ndarray, values: dict[str, np.ndarray]) -> None:
        values["latency"][4, -1] = 9.0
        values["cpu"][4, -1] *= 9.0

    assert look(trained(), spike).deviations == ()


def test_missing_data_say_nothing() -> None:
    def gap(_: np.ndarray, values: dict[str, np.ndarray]) -> None:
        for one in values.values():
            one[:, -6:] = np.nan

    assert look(trained(), gap).deviations == ()


def test_a_short_history_is_learning_and_guesses_nothing() -> None:
    at = times(MONDAY, 6 * 3600)
    young = learned.train(at, fleet(at), KEYS, np.zeros((len(KEYS), len(at)), dtype=bool))
    values = fleet(at, 2)
    drop(at, values)
    judged = learned.judge(young, at, values, {name: np.full((12, 1), np.nan) for name in values}, LEAST)
    assert judged.deviations == ()
    assert judged.learning == set(KEYS)


def test_known_incidents_are_not_learned() -> None:
    at = times(MONDAY, 2 * WEEK)
    broken = (at >= MONDAY + 10 * 86_400) & (at < MONDAY + 12 * 86_400)

    def spoil(_: np.ndarray, values: dict[str, np.ndarray]) -> None:
        values["requests"][3, broken] *= 0.05
        values["cpu"][3, broken] *= 0.05

    exclude = np.zeros((len(KEYS), len(at)), dtype=bool)
    exclude[3] = broken
    assert only(look(trained(exclude=exclude, spoil=spoil), drop)).key == ("shop", "w3")


def test_a_model_that_does_not_fit_any_more_says_so() -> None:
    def other(_: np.ndarray, values: dict[str, np.ndarray]) -> None:
        for one in values.values():
            one *= np.random.default_rng(4).choice([0.2, 4.0], one.shape)

    assert look(trained(), None).outside < 0.01
    assert look(trained(), other).outside > 0.2


def test_versions_are_kept_and_read_back_the_same(tmp_path: Path) -> None:
    model, registry = trained(), Registry(tmp_path, "v1")
    for later in range(KEPT + 3):
        object.__setattr__(model, "trained_until", MONDAY + later)
        registry.save("a/../b", model)
    assert len(list(tmp_path.rglob("*.npz"))) == KEPT
    read = registry.load("a/../b")
    assert read is not None
    assert read.trained_until == MONDAY + KEPT + 2
    assert look(read, drop) == look(model, drop)
    assert Registry(tmp_path, "v2").load("a/../b") is None
    assert registry.load("other") is None


def test_a_damaged_version_is_passed_over(tmp_path: Path) -> None:
    model, registry = trained(2 * 86_400), Registry(tmp_path, "v1")
    registry.save("c", model)
    object.__setattr__(model, "trained_until", model.trained_until + 1)
    newest = registry.save("c", model)
    (path,) = tmp_path.rglob(f"{newest}.npz")
    path.write_bytes(path.read_bytes()[:1000])
    read = registry.load("c")
    assert read is not None
    assert read.trained_until == model.trained_until - 1
    registry.save_windows("c", {("shop", "w"): [(1.0, 2.0)]})
    assert registry.load_windows("c") == {("shop", "w"): [(1.0, 2.0)]}
