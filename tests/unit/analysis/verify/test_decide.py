from __future__ import annotations

import numpy as np
import pytest

from analysis.verify.decide import Reading, judge, settled
from analysis.verify.requests import Quantity
from analysis.verify.requests import judge as judge_requests
from crds.v1alpha1.verification import Verdict
from tests.unit.analysis.shapes import END, MIB, START, block, flat, leak, sampled, stopped

EXECUTED = 700.0
OLD, NEW = "payments-7c9d8f6b5d-abcde", "payments-84b5c6d7e8-kkkkk"
SIBLING = "checkout-6d5f7c8b9d-aaaaa"


def reading(
    series: dict,
    *,
    elapsed: float = 1.0,
    final: bool = True,
    restarted: bool = False,
    begin: float = 500.0,
    window: float = END - START - EXECUTED,
) -> Reading:
    whole = settled(block({(pod, "app"): samples for pod, samples in series.items()}))
    return Reading(
        before=whole.between(START + begin, START + EXECUTED),
        after=whole.between(START + EXECUTED, END),
        mine=np.array([labels["pod"].startswith("payments") for labels in whole.labels]),
        limit=np.full(len(whole.labels), 256.0 * MIB),
        query="q",
        executed_at=START + EXECUTED,
        elapsed_share=elapsed,
        window_seconds=window,
        final=final,
        restarted=restarted,
    )


def replaced(after=None, **options) -> dict:
    """The leaking pod was replaced; siblings stayed flat."""
    return {
        OLD: sampled(leak(500.0), last=EXECUTED - 2),
        NEW: sampled(after or flat(), first=EXECUTED - 15, **options),
        SIBLING: sampled(flat()),
    }


def test_growth_that_stops_while_siblings_stay_as_they_were_is_an_effect() -> None:
    answer = judge(reading(replaced()))
    assert (answer.verdict, answer.reason) == (Verdict.EFFECTIVE, "GrowthStopped")
    growth, level = answer.measurements
    assert growth.before * 60 / MIB == pytest.approx(48.0, rel=0.05)
    assert abs(growth.after) * 60 / MIB < 1.0
    assert growth.control_before is not None
    assert level.after < level.before


def test_growth_that_goes_on_is_no_effect() -> None:
    answer = judge(reading(replaced(leak(EXECUTED - 15)), final=False, elapsed=0.6))
    assert (answer.verdict, answer.reason) == (Verdict.INEFFECTIVE, "StillGrowing")


@pytest.mark.parametrize(("seconds", "elapsed", "verdict"), [(40.0, 0.65, None), (60.0, 1.0, Verdict.INCONCLUSIVE)])
def test_a_few_restless_samples_are_not_called_growth_that_goes_on(
    seconds: float, elapsed: float, verdict: Verdict | None
) -> None:
    """The new pod takes a last gulp after its start, and then grows at a third of what it was."""

    def gulp(t):
        return 14.0 + np.where(t > EXECUTED + 20, 4.0, 0.0) + (t - EXECUTED) * 16.0 / 60

    series = {**replaced(), NEW: sampled(gulp, first=EXECUTED - 15, last=EXECUTED + seconds)}
    answer = judge(reading(series, final=elapsed == 1.0, elapsed=elapsed, window=60.0))
    assert answer.verdict is verdict, answer.message


def test_a_restless_start_is_not_judged() -> None:
    answer = judge(reading(replaced(leak(EXECUTED - 15)), final=False, elapsed=0.3))
    assert answer.verdict is None


def test_good_news_waits_for_the_end_of_the_window() -> None:
    assert judge(reading(replaced(), final=False, elapsed=0.9)).verdict is None
    assert judge(reading(replaced(), final=False, elapsed=1.0)).verdict is Verdict.EFFECTIVE


def test_siblings_that_recovered_too_tell_another_story() -> None:
    series = {**replaced(), SIBLING: sampled(stopped(500.0, EXECUTED))}
    answer = judge(reading(series))
    assert (answer.verdict, answer.reason) == (Verdict.RECOVERED_ANYWAY, "SiblingsRecoveredToo")


def test_growth_that_had_stopped_before_the_action_tells_another_story() -> None:
    series = {**replaced(), OLD: sampled(stopped(500.0, 620.0), last=EXECUTED - 2)}
    answer = judge(reading(series))
    assert (answer.verdict, answer.reason) == (Verdict.RECOVERED_ANYWAY, "StoppedBeforeAction")


def test_another_restart_is_no_effect() -> None:
    assert judge(reading(replaced(), restarted=True)).verdict is Verdict.INEFFECTIVE


@pytest.mark.parametrize(
    ("series", "reason"),
    [
        ({OLD: sampled(leak(500.0), last=EXECUTED - 2), SIBLING: sampled(flat())}, "NoDataAfter"),
        ({NEW: sampled(flat(), first=EXECUTED), SIBLING: sampled(flat())}, "NoDataBefore"),
        ({SIBLING: sampled(flat())}, "NoDataAfter"),
    ],
)
def test_s11_missing_data_are_neither_good_nor_bad(series: dict, reason: str) -> None:
    final = judge(reading(series))
    assert (final.verdict, final.reason) == (Verdict.INCONCLUSIVE, reason)
    assert judge(reading(series, final=False, elapsed=0.5)).verdict is None


def test_without_siblings_the_effect_still_counts() -> None:
    series = replaced()
    del series[SIBLING]
    answer = judge(reading(series))
    assert answer.verdict is Verdict.EFFECTIVE
    assert "siblings unknown" in answer.message


@pytest.mark.parametrize(
    ("before", "after", "final", "verdict"),
    [
        ([0.3] * 5, [0.0] * 5, True, Verdict.EFFECTIVE),
        ([0.3] * 5, [0.3] * 5, True, Verdict.INEFFECTIVE),
        ([0.3] * 5, [0.15] * 5, True, Verdict.INCONCLUSIVE),
        ([0.3] * 5, [0.0] * 2, True, Verdict.INCONCLUSIVE),
        ([], [0.0] * 5, True, Verdict.INCONCLUSIVE),
        ([0.0] * 5, [0.0] * 5, True, Verdict.INCONCLUSIVE),
        ([0.0] * 5, [0.0] * 5, False, None),
        ([0.3] * 5, [0.0] * 5, False, None),
        ([0.3] * 5, [], False, None),
    ],
)
def test_request_quantities(before: list, after: list, final: bool, verdict: Verdict | None) -> None:
    quantity = Quantity("share of failed requests", "ratio", 0.01, lambda _: "q")
    assert judge_requests(quantity, "q", before, after, complete=final, final=final).verdict is verdict


@pytest.mark.parametrize(("last", "final", "verdict"), [(745.0, True, Verdict.INCONCLUSIVE), (745.0, False, None)])
@pytest.mark.parametrize("after", [None, leak(EXECUTED - 15)], ids=["flat", "growing"])
def test_s11_samples_that_end_early_say_nothing_about_the_end(after, last, final, verdict) -> None:
    """Metrics cut off during verification: three good samples are no success, three bad ones no failure."""
    answer = judge(reading(replaced(after, last=last), final=final))
    assert (answer.verdict, answer.reason) == (verdict, "DataEndedEarly")
