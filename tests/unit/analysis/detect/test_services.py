from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.detect.evaluate import rate_queries
from analysis.detect.finding import Observed, Rates
from analysis.detect.quantiles import evaluate_quantile, histogram_quantile, summed_buckets
from analysis.detect.rules import QuantileRule, RatioRule, RuleSet
from analysis.detect.services import evaluate_ratio
from tests.unit.analysis.detect.world import pods

POD = "payments-7c9d8f6b5d-abcde"
TIMES = np.arange(0.0, 100.0, 10.0)


@pytest.fixture
def ratio(rules: RuleSet) -> RatioRule:
    return next(one for one in rules.rules if one.name == "error-rate" and isinstance(one, RatioRule))


@pytest.fixture
def quantile(rules: RuleSet) -> QuantileRule:
    return next(one for one in rules.rules if isinstance(one, QuantileRule))


def rates(values: dict[tuple[str, ...], np.ndarray]) -> Rates:
    labels = tuple({"namespace": "shop", "pod": key[0], **({"le": key[1]} if len(key) > 1 else {})} for key in values)
    return Rates(labels, TIMES, np.array(list(values.values()), dtype=np.float64).reshape(len(values), TIMES.size))


def world(rule: RatioRule | QuantileRule, *data: Rates) -> Observed:
    empty = Observed(now=100.0, pods=pods(POD))
    return Observed(now=100.0, pods=empty.pods, rates=dict(zip(rate_queries(rule, empty), data, strict=True)))


FULL = np.full(TIMES.size, 10.0)


@pytest.mark.parametrize(
    ("errors", "total", "firing"),
    [
        (FULL * 0.1, FULL, True),
        (FULL * 0.01, FULL, None),
        (FULL * 0.03, FULL, False),
        (np.where(TIMES > 50, 1.0, 0.0), FULL, None),
        (FULL * 0.01, FULL * 0.01, None),
        (FULL * np.nan, FULL, None),
    ],
    ids=["all along", "little", "between the thresholds", "not long enough", "too few requests", "no error series"],
)
def test_share_of_errors(ratio: RatioRule, errors: np.ndarray, total: np.ndarray, firing: bool | None) -> None:
    evaluation = evaluate_ratio(ratio, world(ratio, rates({(POD,): errors}), rates({(POD,): total})))
    assert evaluation is not None
    assert [one.firing for one in evaluation.findings] == ([] if firing is None else [firing])


@pytest.mark.parametrize(
    ("errors", "stays"),
    [
        pytest.param(np.where(TIMES >= 80, 4.0, np.nan), True, id="back, and as before"),
        pytest.param(np.where(TIMES >= 80, 0.1, np.nan), False, id="back, and over"),
        pytest.param(np.where(TIMES <= 80, 4.0, np.nan), False, id="nothing to see now, which the tracker holds"),
        pytest.param(np.where(TIMES >= 80, 0.1, 4.0), False, id="just over"),
    ],
)
def test_after_a_gap_the_few_samples_there_are_end_nothing_that_still_is(
    ratio: RatioRule, errors: np.ndarray, stays: bool
) -> None:
    total = np.where(np.isfinite(errors), 10.0, np.nan)
    evaluation = evaluate_ratio(ratio, world(ratio, rates({(POD,): errors}), rates({(POD,): total})))
    assert evaluation is not None
    assert [one.firing for one in evaluation.findings] == ([False] if stays else [])


LONG = np.arange(-120.0, 100.0, 10.0)


@pytest.mark.parametrize(
    ("started", "slow_since", "onset"),
    [(-110.0, -110.0, -110.0), (-110.0, -30.0, -30.0), (-500.0, -500.0, -120.0), (None, -5.0, 0.0)],
    ids=["slow from its start", "slow in the midst of its warm-up", "slow as far as is looked", "slow since then"],
)
def test_what_a_warm_up_hides_tells_when_it_began(
    quantile: QuantileRule, started: float | None, slow_since: float, onset: float
) -> None:
    """Else a caller, whose pods are older, is told to have been slow before the one that it waits for."""
    quick = np.where(slow_since <= LONG, 1.0, 10.0)
    labels = tuple({"namespace": "shop", "pod": POD, "le": bound} for bound in ("1", "2.5", "+Inf"))
    slow = Rates(labels, LONG, np.stack([quick, np.full(LONG.size, 10.0), np.full(LONG.size, 10.0)]))
    seen = world(quantile, slow, Rates((), LONG, np.empty((0, LONG.size))))
    if started is not None:
        seen = replace(seen, started={("shop", POD, "app"): started})
    evaluation = evaluate_quantile(quantile, seen)
    assert evaluation is not None
    assert [(one.firing, one.onset) for one in evaluation.findings] == [(True, onset)]


@pytest.mark.parametrize(
    ("caller_is_slow", "called"),
    [(True, {"checkout", "payments"}), (False, set())],
    ids=["its caller suffers", "a cold start that harms nobody"],
)
def test_a_warm_up_hides_nothing_that_others_suffer_from(
    quantile: QuantileRule, caller_is_slow: bool, called: set[str]
) -> None:
    """Else the caller is told alone, and the version that was just rolled out behind it is not."""
    caller = "checkout-5f6c7d8e9f-abcde"
    full = np.full(LONG.size, 10.0)
    quick = {POD: full * 0.1, caller: full * 0.1 if caller_is_slow else full}
    series = {(pod, bound): quick[pod] if bound == "1" else full for pod in quick for bound in ("1", "2.5", "+Inf")}
    labels = tuple({"namespace": "shop", "pod": pod, "le": bound} for pod, bound in series)
    seen = world(quantile, Rates(labels, LONG, np.stack(list(series.values()))), Rates((), LONG, np.empty((0, 22))))
    seen = replace(seen, pods=pods(POD, caller), started={("shop", POD, "app"): -20.0, ("shop", caller, "app"): -900.0})
    evaluation = evaluate_quantile(quantile, seen)
    assert evaluation is not None
    assert {one.target.name for one in evaluation.findings if one.firing} == called


def test_unreadable_rates_are_no_answer(ratio: RatioRule) -> None:
    assert evaluate_ratio(ratio, Observed(now=100.0, pods=pods(POD))) is None


def test_quantile_interpolates_like_prometheus() -> None:
    bounds = np.array([0.1, 0.5, 1.0, np.inf])
    cumulative = np.array([[[10.0], [60.0], [90.0], [100.0]]])
    value = histogram_quantile(0.5, bounds, cumulative, min_rate=1.0)
    assert value[0, 0] == pytest.approx(0.1 + 0.4 * (50 - 10) / 50)
    assert histogram_quantile(0.99, bounds, cumulative, min_rate=1.0)[0, 0] == 1.0
    assert np.isnan(histogram_quantile(0.5, bounds, cumulative, min_rate=1000.0)[0, 0])


OTHER = "payments-7c9d8f6b5d-fghij"
SLOW = {(POD, "0.5"): FULL * 0.1, (POD, "5"): FULL, (POD, "+Inf"): FULL}
FAST = {(POD, "0.5"): FULL, (POD, "5"): FULL, (POD, "+Inf"): FULL}
NATIVE_SLOW = {(POD, "0.7071067811865476"): FULL * 0.1, (POD, "4.0"): FULL, (POD, "+Inf"): FULL}


@pytest.mark.parametrize(
    ("classic", "native", "count"),
    [
        (SLOW, {}, 1),
        (FAST, {}, 0),
        ({}, NATIVE_SLOW, 1),
        ({}, {}, 0),
        (FAST, NATIVE_SLOW, 1),
        ({**SLOW, (POD, "not a number"): FULL, (POD, ""): FULL}, {}, 1),
    ],
    ids=["slow", "fast", "native", "no histogram", "both: the finer one counts", "hostile bounds"],
)
def test_slow_requests(quantile: QuantileRule, classic: dict, native: dict, count: int) -> None:
    evaluation = evaluate_quantile(quantile, world(quantile, rates(classic), rates(native)))
    assert evaluation is not None
    assert len(evaluation.findings) == count
    if native and count:
        query = evaluation.findings[0].metrics[0].query
        assert query.startswith("histogram_quantile(0.95, sum by () (rate(http_request_duration_seconds{")


@pytest.mark.parametrize("theirs", [["0.7", "+Inf"], ["0.1", "0.3", "2.5", "+Inf"], ["+Inf"]])
def test_buckets_of_others_move_no_quantile(theirs: list[str]) -> None:
    """Another workload, or another version of the same, may count at other bounds."""
    ours = {(POD, "0.5"): FULL * 0.99, (POD, "1"): FULL, (POD, "+Inf"): FULL}
    given = rates({**ours, **{(OTHER, le): FULL for le in theirs}})
    bounds = np.unique([float(labels["le"]) for labels in given.labels])
    rows = np.array([0 if labels["pod"] == POD else 1 for labels in given.labels])
    found = histogram_quantile(0.95, bounds, summed_buckets(given, bounds, rows, 2), min_rate=1.0)
    alone = rates(ours)
    own = np.array([0.5, 1.0, np.inf])
    expected = histogram_quantile(0.95, own, summed_buckets(alone, own, np.zeros(3, dtype=np.int64), 1), min_rate=1.0)
    np.testing.assert_allclose(found[0], expected[0])


def test_pods_with_other_buckets_add_up() -> None:
    """During a rollout the old pods count in classic buckets, the new ones in native ones."""
    given = rates({
        (POD, "1"): FULL * 0.5, (POD, "2"): FULL, (POD, "+Inf"): FULL,
        (OTHER, "1.5"): FULL * 0.5, (OTHER, "2"): FULL, (OTHER, "+Inf"): FULL,
    })  # fmt: skip
    bounds = np.array([1.0, 1.5, 2.0, np.inf])
    found = summed_buckets(given, bounds, np.zeros(6, dtype=np.int64), 1)
    np.testing.assert_allclose(found[0, :, 0], [5.0 + 10 / 3, 7.5 + 5.0, 20.0, 20.0])


def test_the_query_of_a_large_workload_still_fits_the_api(ratio: RatioRule) -> None:
    names = [f"payments-7c9d8f6b5d-{index:05d}" for index in range(200)]
    empty = Observed(now=100.0, pods=pods(*names))
    data = [rates({(name,): FULL * share for name in names}) for share in (0.5, 1.0)]
    found = evaluate_ratio(
        ratio, Observed(100.0, empty.pods, rates=dict(zip(rate_queries(ratio, empty), data, strict=True)))
    )
    assert found is not None
    (finding,) = found.findings
    assert len(finding.pods) == 200
    assert finding.metrics[0].query.count("(") == finding.metrics[0].query.count(")"), "not cut in the middle"
