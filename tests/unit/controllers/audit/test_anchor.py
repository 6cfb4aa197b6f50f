"""Heads outside, against botocore's own stubber: requests are checked against the real S3 model."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import ANY, Stubber

from controllers.audit.anchor import AnchorError, Place, S3Anchor, connect
from controllers.audit.chain import Head
from tests.fakes.kube import START

DIGEST = "a" * 64


def anchor() -> tuple[S3Anchor, Stubber]:
    client: Any = boto3.client(
        "s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x",
        config=Config(retries={"max_attempts": 0}),
    )  # type: ignore[no-untyped-call]  # fmt: skip
    stub = Stubber(client)
    stub.activate()
    return S3Anchor(client, Place.parse("s3://heads/prod/")), stub


def key(seq: int, digest: str = DIGEST) -> str:
    return f"prod/policy/{seq:012d}-{digest}.json"


@pytest.mark.parametrize("locks", [True, False])
def test_a_head_is_kept_and_locked_where_the_bucket_can(locks: bool) -> None:
    made, stub = anchor()
    expected = {
        "Bucket": "heads", "Key": key(7), "Body": ANY,
        "ContentType": "application/json", "ChecksumAlgorithm": "SHA256",
    }  # fmt: skip
    if locks:
        answer = {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}
        stub.add_response("get_object_lock_configuration", answer, {"Bucket": "heads"})
        expected |= {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": START + timedelta(days=365)}
    else:
        stub.add_client_error("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError")
    stub.add_response("put_object", {}, expected)
    assert made.put("policy", Head(7, DIGEST), START) is locks
    stub.assert_no_pending_responses()


def test_a_store_that_refuses_is_said() -> None:
    made, stub = anchor()
    stub.add_client_error("get_object_lock_configuration", "NotImplemented")
    stub.add_client_error("put_object", "AccessDenied", "no")
    with pytest.raises(AnchorError, match="AccessDenied"):
        made.put("policy", Head(7, DIGEST), START)


def test_what_to_do_is_said_where_it_is_known() -> None:
    made, stub = anchor()
    stub.add_client_error("list_objects_v2", "AccessDenied")
    with pytest.raises(AnchorError, match=r"docs/audit\.md names the rights"):
        made.heads("policy")


@pytest.mark.parametrize(
    ("keys", "told"),
    [({}, "set AWS_ACCESS_KEY_ID"), ({"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}, "--endpoint")],
)
def test_without_keys_or_store_the_next_step_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, keys: dict[str, str], told: str
) -> None:
    elsewhere = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"), "AWS_CONFIG_FILE": str(tmp_path / "none")}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**elsewhere, "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1", **keys}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(AnchorError, match=told):
        connect("s3://heads/prod", "http://127.0.0.1:1").heads("policy")


@pytest.mark.parametrize("code", ["AccessDenied", "InternalError", "NoSuchBucket"])
def test_a_head_is_not_kept_unlocked_because_the_lock_could_not_be_read(code: str) -> None:
    made, stub = anchor()
    stub.add_client_error("get_object_lock_configuration", code)
    with pytest.raises(AnchorError, match=code):
        made.put("policy", Head(7, DIGEST), START)
    stub.assert_no_pending_responses()


def test_heads_come_back_oldest_first() -> None:
    made, stub = anchor()
    listing = {"Contents": [{"Key": key(9)}, {"Key": key(2)}], "IsTruncated": False}
    stub.add_response("list_objects_v2", listing, {"Bucket": "heads", "Prefix": "prod/policy/"})
    stub.add_client_error("list_object_versions", "NotImplemented")
    assert made.heads("policy") == [Head(2, DIGEST), Head(9, DIGEST)]


def test_a_delete_marker_hides_no_head_and_a_second_one_shows() -> None:
    made, stub = anchor()
    versions = [{"Key": key(2), "VersionId": version, "IsLatest": False} for version in ("v1", "v2")]
    versions.append({"Key": key(2, "b" * 64), "VersionId": "v1", "IsLatest": True})
    markers = [{"Key": key(2), "VersionId": "v3", "IsLatest": True}]
    stub.add_response("list_objects_v2", {"Contents": [{"Key": key(2, "b" * 64)}], "IsTruncated": False})
    stub.add_response("list_object_versions", {"Versions": versions, "DeleteMarkers": markers, "IsTruncated": False})
    assert made.heads("policy") == [Head(2, DIGEST), Head(2, "b" * 64)]


def test_versions_that_may_not_be_listed_are_no_empty_answer() -> None:
    made, stub = anchor()
    stub.add_response("list_objects_v2", {})
    stub.add_client_error("list_object_versions", "AccessDenied", "no")
    with pytest.raises(AnchorError, match="AccessDenied"):
        made.heads("policy")


@pytest.mark.parametrize("name", ["1.json", "000000000001.json", f"000000000001-{DIGEST}.json/x", f"x-{DIGEST}.json"])
def test_what_is_no_head_is_said(name: str) -> None:
    made, stub = anchor()
    stub.add_response("list_objects_v2", {"Contents": [{"Key": f"prod/policy/{name}"}]})
    stub.add_response("list_object_versions", {})
    with pytest.raises(AnchorError, match="is no head"):
        made.heads("policy")


@pytest.mark.parametrize("url", ["heads/prod", "https://heads/prod", "s3://"])
def test_a_place_is_an_s3_url(url: str) -> None:
    with pytest.raises(ValueError, match="is not s3://"):
        Place.parse(url)


def test_a_bucket_without_prefix() -> None:
    assert Place.parse("s3://heads").key("policy", Head(1, DIGEST)) == f"policy/000000000001-{DIGEST}.json"
