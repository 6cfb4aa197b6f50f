"""Where keys and tokens come from, and that they do not leak."""

from __future__ import annotations

import base64
import datetime
import json
from pathlib import Path

import pytest

from external import credentials
from external.errors import ExternalError
from external.layout import Layout
from external.objectstore import Keys
from external.settings import ObjectStore

SPACES = ObjectStore(endpoint="https://fra1.digitaloceanspaces.com")


def test_the_built_in_store_gets_keys_of_its_own_once(tmp_path: Path) -> None:
    layout = Layout.of("one", tmp_path)
    first = credentials.store_keys(ObjectStore(), layout, None)
    assert credentials.store_keys(ObjectStore(), layout, None) == first
    assert layout.store_keys.stat().st_mode & 0o777 == 0o600
    assert credentials.store_keys(ObjectStore(), Layout.of("two", tmp_path), None) != first


def test_keys_are_never_shown() -> None:
    assert "secret" not in repr(Keys("id", "secret"))


def test_a_mounted_secret(tmp_path: Path) -> None:
    (tmp_path / "accessKeyId").write_text("id\n")
    (tmp_path / "secretAccessKey").write_text("key\n")
    settings = SPACES.model_copy(update={"credentials_dir": tmp_path})
    assert credentials.store_keys(settings, Layout.of("x", tmp_path), None) == Keys("id", "key")
    (tmp_path / "secretAccessKey").unlink()
    with pytest.raises(ExternalError, match=r"credentialsDir: .*secretAccessKey"):
        credentials.store_keys(settings, Layout.of("x", tmp_path), None)


def test_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    with pytest.raises(ExternalError, match="AWS_SECRET_ACCESS_KEY"):
        credentials.store_keys(SPACES, Layout.of("x", tmp_path), None)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    assert credentials.store_keys(SPACES, Layout.of("x", tmp_path), None) == Keys("id", "key")


@pytest.mark.parametrize(("data", "missing"), [({}, "accessKeyId"), ({"accessKeyId": "aQ=="}, "secretAccessKey")])
def test_an_incomplete_secret_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: dict[str, str], missing: str
) -> None:
    monkeypatch.setattr(credentials, "kubectl", lambda *_: json.dumps({"data": data}))
    settings = SPACES.model_copy(update={"secret": "ops/spaces"})
    with pytest.raises(ExternalError, match=f"ops/spaces has no key .*{missing}"):
        credentials.store_keys(settings, Layout.of("x", tmp_path), tmp_path / "kubeconfig")


def test_a_secret_of_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"accessKeyId": base64.b64encode(b"id").decode(), "secretAccessKey": base64.b64encode(b"key").decode()}
    monkeypatch.setattr(credentials, "kubectl", lambda *_: json.dumps({"data": data}))
    settings = SPACES.model_copy(update={"secret": "ops/spaces"})
    assert credentials.store_keys(settings, Layout.of("x", tmp_path), tmp_path / "kubeconfig") == Keys("id", "key")
    with pytest.raises(ExternalError, match="--kubeconfig"):
        credentials.store_keys(settings, Layout.of("x", tmp_path), None)


def test_a_token_tells_when_it_ends() -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": 1_800_000_000}).encode()).decode().rstrip("=")
    assert credentials.token_expiry(f"h.{claims}.s") == datetime.datetime.fromtimestamp(1_800_000_000, datetime.UTC)
    for nonsense in ("", "a.b.c", "x.e30.y"):
        with pytest.raises(ExternalError, match="JWT"):
            credentials.token_expiry(nonsense)
