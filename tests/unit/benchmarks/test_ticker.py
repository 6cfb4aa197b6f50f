"""A tick in a process of its own: what it says is read, and when it dies the reason is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import ticker


def test_what_the_process_prints_is_what_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ticker.main(2000, seed=5)
    (tmp_path / "said").write_text(capsys.readouterr().out, encoding="utf-8")
    _run_instead(tmp_path, monkeypatch, f"cat {tmp_path / 'said'}")
    found = ticker.measure(2000, seed=5)
    assert found.peak > 50, "MiB, of a Python process with numpy"
    assert found.tick.candidates > 0
    assert found.tick.seconds > 0


@pytest.mark.parametrize(("script", "words"), [("exit 1", "failed, see above"), ("kill -9 $$", "enough memory")])
def test_a_process_that_dies_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str) -> None:
    _run_instead(tmp_path, monkeypatch, f'[ "$2" = analysis.warm ] || {script}')
    with pytest.raises(RuntimeError, match=f"benchmarks.ticker 2000 5 .*{words}"):
        ticker.measure(2000, seed=5)


def _run_instead(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o700)
    monkeypatch.setattr(ticker.sys, "executable", str(program))
