"""The bucket: created, tried out, and protected from rules that would corrupt Loki; every refusal says what to do."""

from __future__ import annotations

import importlib
import io
from typing import Any

import pytest

from external.errors import ObjectStoreError
from external.objectstore import ABORT_RULE, prepare, unsafe_rules
from external.settings import ObjectStore

# By name: botocore has no types to check.
exceptions: Any = importlib.import_module("botocore.exceptions")
ENDPOINT = "https://fra1.digitaloceanspaces.com"
SPACES = ObjectStore(endpoint=ENDPOINT, region="fra1", bucket="acme-logs")


def refusal(code: str, status: int = 400, operation: str = "HeadBucket") -> Exception:
    body: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error: Exception = exceptions.ClientError(body, operation)
    return error


class Store:
    """A bucket in memory; `errors` are raised by the operation of that name."""

    def __init__(self, exists: bool = True, rules: list[dict[str, Any]] | None = None, **errors: Exception) -> None:
        self.exists = exists
        self.rules = rules
        self.errors = errors
        self.objects: dict[str, bytes] = {}
        self.made: dict[str, Any] = {}

    def _may(self, operation: str) -> None:
        if operation in self.errors:
            raise self.errors[operation]

    def head_bucket(self, **_: Any) -> dict[str, Any]:
        self._may("head")
        if not self.exists:
            raise refusal("404", 404)
        return {}

    def create_bucket(self, **kwargs: Any) -> dict[str, Any]:
        self._may("create")
        self.made, self.exists = kwargs, True
        return {}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> dict[str, Any]:  # noqa: N803
        self._may("put")
        self.objects[Key] = Body
        return {}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        self._may("get")
        return {"Body": io.BytesIO(self.objects[Key])}

    def delete_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        self._may("delete")
        del self.objects[Key]
        return {}

    def get_bucket_lifecycle_configuration(self, **_: Any) -> dict[str, Any]:
        self._may("rules")
        if self.rules is None:
            raise refusal("NoSuchLifecycleConfiguration", 404)
        return {"Rules": self.rules}

    def put_bucket_lifecycle_configuration(self, **kwargs: Any) -> dict[str, Any]:
        self._may("set_rules")
        self.rules = kwargs["LifecycleConfiguration"]["Rules"]
        return {}


def test_a_missing_bucket_is_created_and_tried_out() -> None:
    store = Store(exists=False)
    bucket = prepare(SPACES, ENDPOINT, store)
    assert bucket.created
    assert store.objects == {}
    assert store.rules == [ABORT_RULE]


def test_a_second_time_changes_nothing() -> None:
    store = Store(rules=[ABORT_RULE])
    bucket = prepare(SPACES, ENDPOINT, store)
    assert not bucket.created
    assert store.made == {}
    assert bucket.lifecycle == "in force"
    assert store.rules == [ABORT_RULE]


def test_a_person_may_forbid_creation() -> None:
    with pytest.raises(ObjectStoreError, match=r"acme-logs.*createBucket") as refused:
        prepare(SPACES.model_copy(update={"create_bucket": False}), ENDPOINT, Store(exists=False))
    assert refused.value.reason == "BucketMissing"


@pytest.mark.parametrize(
    ("store", "reason", "words"),
    [
        (Store(head=exceptions.EndpointConnectionError(endpoint_url=ENDPOINT)), "Unreachable", ENDPOINT),
        (Store(head=exceptions.ConnectTimeoutError(endpoint_url=ENDPOINT)), "Unreachable", ENDPOINT),
        (Store(head=refusal("403", 403)), "AccessDenied", "access key"),
        (Store(put=refusal("SignatureDoesNotMatch", 403)), "AccessDenied", "secret key"),
        (Store(put=refusal("AccessDenied", 403)), "AccessDenied", "policy"),
        (Store(delete=refusal("AccessDenied", 403)), "AccessDenied", "delete a probe object"),
        (Store(head=refusal("301", 301)), "RegionMismatch", "objectStore.region"),
        (Store(put=refusal("AuthorizationHeaderMalformed", 400)), "RegionMismatch", "objectStore.region"),
        (Store(exists=False, create=refusal("BucketAlreadyExists", 409)), "BucketTaken", "another objectStore.bucket"),
        (Store(put=refusal("SlowDown", 503)), "Refused", "SlowDown"),
    ],
)
def test_each_refusal_is_told_apart(store: Store, reason: str, words: str) -> None:
    with pytest.raises(ObjectStoreError) as refused:
        prepare(SPACES, ENDPOINT, store)
    assert refused.value.reason == reason
    assert words in str(refused.value)
    assert ENDPOINT in str(refused.value)


EXPIRY = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 30}}
MARKERS = {"ID": "markers", "Status": "Enabled", "Expiration": {"ExpiredObjectDeleteMarker": True}}


@pytest.mark.parametrize(
    ("rule", "unsafe"),
    [
        (EXPIRY, True),
        ({**EXPIRY, "Status": "Disabled"}, False),
        ({**EXPIRY, "Filter": {"Prefix": "fake/"}}, True),
        ({"ID": "cold", "Status": "Enabled", "Transitions": [{"Days": 7, "StorageClass": "GLACIER"}]}, True),
        ({"ID": "versions", "Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}, True),
        (MARKERS, False),
        (ABORT_RULE, False),
    ],
)
def test_rules_that_loki_does_not_survive_are_known(rule: dict[str, Any], unsafe: bool) -> None:
    assert bool(unsafe_rules([rule])) is unsafe


def test_a_blanket_expiry_is_refused_with_the_reason_and_nothing_is_changed() -> None:
    store = Store(rules=[EXPIRY])
    with pytest.raises(ObjectStoreError, match=r"tidy: Expiration.*retentionDays") as refused:
        prepare(SPACES, ENDPOINT, store)
    assert refused.value.reason == "UnsafeLifecycle"
    assert store.rules == [EXPIRY]


def test_harmless_rules_of_others_stay() -> None:
    store = Store(rules=[MARKERS])
    prepare(SPACES, ENDPOINT, store)
    assert store.rules == [MARKERS, ABORT_RULE]


@pytest.mark.parametrize(
    ("store", "words"),
    [
        (Store(rules=None, set_rules=refusal("NotImplemented", 501)), "by hand"),
        (Store(), "in force"),
    ],
)
def test_a_store_without_lifecycle_rules_is_usable_and_says_so(store: Store, words: str) -> None:
    assert words in prepare(SPACES, ENDPOINT, store).lifecycle


def test_unreadable_rules_are_mentioned() -> None:
    store = Store()
    store.errors = {"rules": refusal("AccessDenied", 403)}
    assert "make sure that no rule expires" in prepare(SPACES, ENDPOINT, store).lifecycle
