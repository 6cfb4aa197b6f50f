"""From requests to the series that stand out, in bounded memory."""

from __future__ import annotations

import cramjam

from analysis.telemetry.intake import Intake
from analysis.windows.screen import Reason
from tests.unit.analysis.telemetry.remote import request

T0 = 1_700_000_010.0
MIB = 1024.0 * 1024
USED, LIMIT = "container_memory_working_set_bytes", "container_spec_memory_limit_bytes"


def send(intake: Intake, at: float, **levels: float) -> None:
    millis = round(at * 1000)
    series = [({"__name__": USED, "pod": pod}, [(level * MIB, millis)]) for pod, level in levels.items()]
    series += [({"__name__": LIMIT, "pod": pod}, [(256 * MIB, millis)]) for pod in levels]
    intake.accept(bytes(cramjam.snappy.compress_raw(request(*series))), at)


def test_a_leak_a_jump_and_a_full_one_stand_out_and_others_do_not() -> None:
    intake = Intake.of(100)
    for tick in range(20):
        send(
            intake,
            T0 + 15 * tick,
            flat=100 + tick % 2,
            leak=60 + 4 * tick,
            jump=60 if tick < 15 else 180,
            full=250 - tick % 2,
        )
    found = intake.tick(T0 + 15 * 19)
    by_pod = {
        labels["pod"]: Reason(int(reason))
        for labels, reason in zip(intake.block(found.rows).labels, found.reasons, strict=True)
        if labels["__name__"] == USED
    }
    assert by_pod.keys() == {"leak", "jump", "full"}
    assert Reason.GROWS in by_pod["leak"]
    assert Reason.JUMPED in by_pod["jump"]
    assert Reason.NEAR_LIMIT in by_pod["full"]


def test_churn_does_not_grow_it() -> None:
    intake = Intake.of(64)
    for generation in range(50):
        at = T0 + 400.0 * generation
        send(intake, at, **{f"p{generation}x{index}": 50.0 for index in range(16)})
        intake.ring.advance(at)
        intake.evict(300.0)
        assert len(intake.decoder) <= 64
    assert intake.refused == 0
    assert len(intake.decoder) == 32
