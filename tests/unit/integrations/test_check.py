"""`make integrations` says what it could not try, and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import toolchain
from devcluster.errors import ClusterError
from integrations import check


@pytest.fixture
def no_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without Go, on which nothing was built yet."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("IIRP_CACHE_DIR", str(tmp_path))
    toolchain.go_version.cache_clear()
    yield
    toolchain.go_version.cache_clear()


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> dict[str, check.Part]:
    """The parts that need a program of ours, by name; they are all that `main` runs."""
    chosen = [part for part in check._parts(None) if part.tool in ("helm", "helm-unittest", "promtool")]
    monkeypatch.setattr(check, "_parts", lambda _: chosen)
    return {part.name: part for part in chosen}


@pytest.mark.usefixtures("no_go")
def test_what_cannot_be_built_is_named_with_the_reason(
    parts: dict[str, check.Part], capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main([]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == len(parts) > 0
    assert all(line.startswith("not here") and "Go 1.21 or newer" in line for line in said)
    assert check.main(["--strict"]) == 1


def test_a_part_that_fails_is_a_failure(parts: dict[str, check.Part], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_command: str, **_: str) -> str:
        raise ClusterError("1 of 20 tests failed")

    monkeypatch.setattr(check, "_built", lambda _toolchain, program: program)
    monkeypatch.setattr(check, "_run", broken)
    assert parts
    assert check.main([]) == 1
