"""The story on a terminal that is none: plain lines, nothing read as markup."""

from __future__ import annotations

import io
import shlex

import pytest
from rich.console import Console

from cli.main import cli
from crds.v1alpha1.incident import TimelineEntry
from demo.driver.chain import Change
from demo.driver.kubectl import down_command, ui_command
from demo.driver.tell import Teller, clock
from tests.unit.docs.test_commands import follow


def teller() -> tuple[Teller, io.StringIO]:
    out = io.StringIO()
    return Teller(Console(file=out, highlight=False, soft_wrap=True, width=80)), out


def test_lines_are_plain_and_whole_however_long() -> None:
    tell, out = teller()
    tell.line("x" * 200)
    assert out.getvalue() == "  " + "x" * 200 + "\n"


def test_markup_and_escapes_of_the_cluster_stay_text() -> None:
    tell, out = teller()
    tell.change(Change("log", "[bold]not bold[/bold] \x1b[31m"))
    tell.output("[red]as printed[/red]\n  indented")
    assert "[bold]not bold[/bold] [31m" in out.getvalue()
    assert "    [red]as printed[/red]\n      indented\n" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_times_count_from_the_fault() -> None:
    tell, out = teller()
    assert tell.since_fault == 0
    tell.fault_is_on()
    tell.line("now")
    assert out.getvalue() == "  +0:00  now\n"


def test_the_timeline_is_a_table_of_time_source_and_words() -> None:
    tell, out = teller()
    tell.timeline(
        [TimelineEntry.model_validate({"at": "2026-01-01T10:00:50Z", "source": "rca", "message": "it leaks"})]
    )
    assert out.getvalue().split() == ["10:00:50", "rca", "it", "leaks"]


def test_clock() -> None:
    assert [clock(seconds) for seconds in (0, 65.9, 600)] == ["0:00", "1:05", "10:00"]


@pytest.mark.parametrize("command", [down_command("two"), ui_command("two", "oncall", "payments-leak-1")])
def test_what_it_tells_people_to_type_is_about_this_cluster(command: str) -> None:
    words = shlex.split(command)
    assert "--name=two" in words
    follow(cli, words[1:], complete=True)
