"""The whole program, from an API server to a receiver, over the network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from notifications.__main__ import main
from notifications.source import Source, in_cluster
from tests.fakes import story
from tests.fakes.apiserver import serve
from tests.unit.notifications.support import http


def test_one_pass_tells_and_the_next_is_silent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "token").write_text("alice-token\n")
    (tmp_path / "secret").write_text("s3cret\n")
    with serve(tmp_path / "pki") as server, http() as receiver:
        body = story.incident()
        body["status"]["approvalRef"] = {"name": f"{story.NAME}-1", "uid": "a"}
        server.add(body)
        hook = {"type": "webhook", "url": receiver.url, "secret_file": str(tmp_path / "secret")}
        config = tmp_path / "config.yaml"
        config.write_text(yaml.safe_dump({"channels": {"hook": hook}, "routes": [{"channels": ["hook"]}]}))
        arguments = [
            "--once", "--config", str(config), "--outbox", str(tmp_path / "outbox.db"), "--api", server.url,
            "--token-file", str(tmp_path / "token"), "--ca-file", str(server.ca_file),
        ]  # fmt: skip
        assert main(arguments) == 0
        assert main(arguments) == 0
        assert [json.loads(content)["event"] for _, content in receiver.requests] == ["opened", "decision"]
        (tmp_path / "token").write_text("expired")
        assert main(arguments) == 1, "one pass for cron, and it saw nothing"
        assert "answered 401 to the list of incidents; the token is not, or no longer, valid" in caplog.text
        (tmp_path / "token").unlink()
        assert main(arguments) == 1
        assert f"the token cannot be read: [Errno 2] No such file or directory: '{tmp_path / 'token'}'" in caplog.text


def test_only_the_named_namespaces_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("alice-token\n")
    with serve(tmp_path / "pki") as server:
        server.add(story.incident())
        for namespaces, found in (([], 1), (["shop"], 1), (["bank", "shop"], 1), (["bank"], 0)):
            source = Source(server.url, tmp_path / "token", server.ca_file, namespaces)
            assert len(list(source.incidents())) == found, namespaces


def test_what_cannot_start_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(tmp_path / "none.yaml"), "--outbox", str(tmp_path / "o.db")]) == 2
    assert "none.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "url"), [("10.96.0.1", "https://10.96.0.1:443"), ("fd00:96::1", "https://[fd00:96::1]:443")]
)
def test_the_clusters_own_api_server(host: str, url: str) -> None:
    assert in_cluster(env={"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "443"}).url == url
