"""The faults do real harm, in bounds, and can be taken back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.shop.faults import FAULTS, DiskFill, FaultError, Faults, InjectedError


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def faults() -> Faults:
    return Faults()


def test_leaked_memory_is_resident_and_goes_on_growing(faults: Faults) -> None:
    before = resident_mib()
    faults.start("leak", {"mib_per_second": 20})
    try:
        assert eventually(lambda: resident_mib() > before + 15)
        first = resident_mib()
        assert eventually(lambda: resident_mib() > first + 15)
    finally:
        faults.stop("leak")
    assert faults.active() == {}


def test_a_leak_with_a_bound_stops_there(faults: Faults) -> None:
    leak = FAULTS["leak"](mib_per_second=4, max_mib=4)
    leak.run(threading.Event())  # returns by itself


def test_a_spike_is_taken_at_once_and_given_back(faults: Faults) -> None:
    before = resident_mib()
    faults.start("memory-spike", {"mib": 64})
    assert eventually(lambda: resident_mib() > before + 60)
    faults.stop("memory-spike")
    assert eventually(lambda: resident_mib() < before + 20)


def test_slow_delays_and_errors_raise_only_their_share(faults: Faults) -> None:
    faults.start("slow", {"milliseconds": 50})
    begun = time.perf_counter()
    faults.on_request()
    assert 0.03 < time.perf_counter() - begun < 1.0
    faults.stop("slow")
    faults.start("errors", {"share": 1})
    with pytest.raises(InjectedError):
        faults.on_request()
    faults.start("errors", {"share": 0})
    faults.on_request()


def test_the_disk_fills_up_to_the_maximum_and_is_cleaned(
    faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DiskFill, "folder", tmp_path)
    faults.start("disk-fill", {"mib_per_second": 1, "max_mib": 2})
    assert eventually(lambda: sum(path.stat().st_size for path in tmp_path.iterdir()) == 2 << 20)
    faults.stop("disk-fill")
    assert list(tmp_path.iterdir()) == []


def test_cpu_burns_until_it_is_stopped(faults: Faults) -> None:
    before = time.process_time()
    faults.start("cpu-burn", {"duty": 0.5})
    assert eventually(lambda: time.process_time() - before > 0.2)
    faults.stop("cpu-burn")


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("nonsense", {}, "unknown fault 'nonsense'"),
        ("leak", {"rate": 1}, "unknown parameter 'rate' of leak"),
        ("leak", {"_cache": 1}, "unknown parameter '_cache' of leak"),
        ("disk-fill", {"folder": 1}, "unknown parameter 'folder'"),
        ("leak", {"mib_per_second": 0}, "between 0.01 and 64"),
        ("leak", {"mib_per_second": "1"}, "must be a number"),
        ("errors", {"share": True}, "must be a number"),
        ("errors", {"share": 2}, "between 0 and 1"),
        ("slow", {"milliseconds": float("nan")}, "between"),
        ("slow", [], "must be a JSON object"),
    ],
)
def test_wrong_parameters_are_named_and_change_nothing(
    faults: Faults, name: str, parameters: dict[str, float], words: str
) -> None:
    with pytest.raises(FaultError, match=words):
        faults.start(name, parameters)
    assert faults.active() == {}


@pytest.mark.parametrize(
    ("text", "active"),
    [
        ("", {}),
        ("errors", {"errors": {"share": 0.3}}),
        ('slow={"milliseconds": 5}', {"slow": {"milliseconds": 5, "share": 1.0}}),
    ],
)
def test_a_rollout_can_bring_its_fault_along(faults: Faults, text: str, active: dict[str, object]) -> None:
    faults.start_from(text)
    assert faults.active() == active


def test_a_fault_on_start_that_is_no_json_says_so(faults: Faults) -> None:
    with pytest.raises(FaultError, match="parameters of 'leak' are not JSON"):
        faults.start_from("leak={")


def test_every_fault_has_defaults_that_pass_its_own_check() -> None:
    for kind in FAULTS.values():
        kind().check()
