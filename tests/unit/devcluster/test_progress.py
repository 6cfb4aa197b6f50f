"""What a person reads where there is no terminal, and on the live line."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from devcluster.progress import Progress, _Current


def _progress(steps: list[str]) -> tuple[Progress, io.StringIO]:
    out = io.StringIO()
    return Progress(steps, Console(file=out, width=120)), out


def test_each_step_is_one_plain_line_with_its_number_and_times() -> None:
    progress, out = _progress(["first", "second"])
    with progress.step("first"):
        progress.say("installing [etcd-server]")
    with progress.step("second"):
        pass
    lines = out.getvalue().splitlines()
    assert lines[0].strip() == "installing [etcd-server]"
    assert re.fullmatch(r"✓   1/2  first +\d+\.\d s  \(total \d+ s\)", lines[1])
    assert re.fullmatch(r"✓   2/2  second +\d+\.\d s  \(total \d+ s\)", lines[2])
    assert "\x1b" not in out.getvalue()


def test_a_failed_step_is_marked_and_the_error_passes() -> None:
    progress, out = _progress(["only"])
    with pytest.raises(RuntimeError), progress.step("only"):
        raise RuntimeError
    assert out.getvalue().startswith("✗   1/1  only")


def test_notes_do_not_flood_a_log_file() -> None:
    progress, out = _progress(["only"])
    with progress.step("only"):
        for number in range(100):
            progress.note(f"{number} packages")
    assert "packages" not in out.getvalue()


def test_a_note_after_half_a_minute_is_written() -> None:
    progress, out = _progress(["only"])
    with progress.step("only"):
        assert progress._current is not None
        progress._current.spoken -= 31.0
        progress.note("120 packages")
        progress.note("121 packages")
    assert "120 packages" in out.getvalue()
    assert "121 packages" not in out.getvalue()


def test_a_note_between_steps_is_ignored() -> None:
    progress, out = _progress(["only"])
    progress.note("nobody asked")
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("number", "rest"),
    [(1, "  · then b, c, d …"), (2, "  · then c, d, e"), (5, "")],
)
def test_the_live_line_says_what_remains(number: int, rest: str) -> None:
    steps = ["a", "b", "c", "d", "e"]
    current = _Current(number, steps[number - 1], steps)
    current.note = "half"
    assert re.fullmatch(rf"{number}/5  {steps[number - 1]}: half  \d+ s{re.escape(rest)}", current.line())
