from __future__ import annotations

from pathlib import Path

import pytest

from analysis.__main__ import main
from analysis.config import load
from analysis.configfile import ConfigError

GOOD = """
prometheus: {url: "http://127.0.0.1:9090"}
loki: {url: "http://127.0.0.1:3100", timeoutSeconds: 3}
kubernetes: {kubeconfig: /none/kubeconfig}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "analysis.yaml"
    path.write_text(text)
    return path


def test_a_small_file_is_enough(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD))
    assert config.listen.host == "127.0.0.1"
    assert config.loki.timeout_seconds == 3
    assert config.rules.directory.is_dir()
    assert main(["--config", str(tmp_path / "analysis.yaml"), "--check"]) == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "mapping"),
        ("[", "not YAML"),
        ("{}", "prometheus: Field required"),
        (GOOD + "colour: red", "colour"),
        (GOOD.replace("http://127.0.0.1:9090", "127.0.0.1:9090"), "prometheus.url"),
        (GOOD.replace("timeoutSeconds: 3", "timeoutSeconds: 0"), "loki.timeoutSeconds"),
        (GOOD.replace("kubeconfig: /none/kubeconfig", ""), "kubeconfig"),
        (GOOD.replace("kubernetes: {kubeconfig: /none/kubeconfig}", ""), "auth.static"),
        (GOOD + "rules: {directory: /none}", "no rules"),
        (GOOD + "model: {baseUrl: 'http://m/v1', model: x, apiKeyFile: /none}", "apiKeyFile"),
    ],
)
def test_mistakes_end_with_exit_code_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    assert main(["--config", str(write(tmp_path, text)), "--check"]) == 2
    message = capsys.readouterr().err
    assert words in message
    assert message.count("\n") == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        load(tmp_path / "nowhere.yaml")
