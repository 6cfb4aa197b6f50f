"""The bucket that Loki writes to: created, tried out with a probe, given only lifecycle rules that Loki tolerates.

Loki's compactor alone decides what is deleted: index and chunks must go together. A lifecycle rule that expires
objects by age deletes chunks that the index still names, and index files too, so such rules are refused.
"""

from __future__ import annotations

import importlib
import logging
import secrets
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from external.errors import ObjectStoreError
from external.settings import ObjectStore

__all__ = ["ABORT_RULE", "Bucket", "Keys", "S3Client", "client", "prepare", "unsafe_rules"]

logger = logging.getLogger(__name__)

_TIMEOUT = 10
_ABORT_DAYS = 2
ABORT_RULE = {
    "ID": "iirp-abort-incomplete-uploads",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": _ABORT_DAYS},
}
"""Frees what a crashed upload left; it can never touch a finished object."""
_DELETING = (
    "Expiration", "NoncurrentVersionExpiration", "Transition", "Transitions", "NoncurrentVersionTransition",
    "NoncurrentVersionTransitions",
)  # fmt: skip
_OTHER_REGION = {
    "AuthorizationHeaderMalformed", "PermanentRedirect",
    "IllegalLocationConstraintException", "InvalidLocationConstraint",
}  # fmt: skip
_DENIED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403"}


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """Access key; never shown."""

    access_key_id: str
    secret_access_key: str


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket that was tried out. `lifecycle` says whether the abort rule is in force, or why not."""

    name: str
    endpoint: str
    created: bool
    lifecycle: str


class S3Client(Protocol):
    """The few operations of boto3's client that are used."""

    def head_bucket(self, *, Bucket: str) -> dict[str, Any]: ...  # noqa: N803
    def create_bucket(self, **kwargs: Any) -> dict[str, Any]: ...
    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> dict[str, Any]: ...  # noqa: N803
    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]: ...  # noqa: N803
    def delete_object(self, *, Bucket: str, Key: str) -> dict[str, Any]: ...  # noqa: N803
    def get_bucket_lifecycle_configuration(self, *, Bucket: str) -> dict[str, Any]: ...  # noqa: N803
    def put_bucket_lifecycle_configuration(self, **kwargs: Any) -> dict[str, Any]: ...


def client(endpoint: str, region: str, keys: Keys) -> S3Client:
    """A boto3 client with timeouts and few retries: a person is waiting."""
    # Imported by name: a quarter of a second that `iirp --help` need not pay, and boto3 has no types to check.
    boto3: Any = importlib.import_module("boto3")
    config: Any = importlib.import_module("botocore.config")
    result: S3Client = boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        config=config.Config(
            connect_timeout=_TIMEOUT,
            read_timeout=_TIMEOUT,
            retries={"max_attempts": 2, "mode": "standard"},
            s3={"addressing_style": "path"},
            # Not every S3 knows the newer checksums; Loki does not send them either.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    return result


def prepare(settings: ObjectStore, endpoint: str, s3: S3Client) -> Bucket:
    """Makes the bucket usable or says exactly why it is not. Idempotent. Raises ObjectStoreError."""
    created = _ensure_bucket(settings, endpoint, s3)
    _probe(settings, endpoint, s3)
    return Bucket(settings.bucket, endpoint, created, _lifecycle(settings, endpoint, s3))


def unsafe_rules(rules: list[dict[str, Any]]) -> list[str]:
    """The enabled lifecycle rules that would delete or move Loki's objects, each with the reason."""
    found = []
    for rule in rules:
        verbs = [verb for verb in _DELETING if rule.get(verb)]
        # Removing delete markers alone deletes no data.
        if verbs == ["Expiration"] and set(rule["Expiration"]) == {"ExpiredObjectDeleteMarker"}:
            continue
        if rule.get("Status") == "Enabled" and verbs:
            found.append(f"{rule.get('ID') or '(no id)'}: {', '.join(verbs)}")
    return found


def _ensure_bucket(settings: ObjectStore, endpoint: str, s3: S3Client) -> bool:
    try:
        s3.head_bucket(Bucket=settings.bucket)
    except Exception as error:  # classified or passed on by _explain
        if _code(error) not in {"404", "NoSuchBucket", "NotFound"}:
            raise _explain(error, "look at", settings, endpoint) from error
    else:
        return False
    if not settings.create_bucket:
        raise ObjectStoreError(
            "BucketMissing",
            f"bucket {settings.bucket!r} does not exist at {endpoint}; create it or set objectStore.createBucket: true",
        )
    arguments: dict[str, Any] = {"Bucket": settings.bucket}
    if settings.region != "us-east-1" and urlsplit(endpoint).netloc.endswith(".amazonaws.com"):
        arguments["CreateBucketConfiguration"] = {"LocationConstraint": settings.region}
    try:
        s3.create_bucket(**arguments)
    except Exception as error:
        if _code(error) == "BucketAlreadyOwnedByYou":
            return False
        raise _explain(error, "create", settings, endpoint) from error
    logger.info("created bucket %s at %s", settings.bucket, endpoint)
    return True


def _probe(settings: ObjectStore, endpoint: str, s3: S3Client) -> None:
    key = f"iirp-probe/{secrets.token_hex(8)}"
    body = secrets.token_bytes(32)
    try:
        s3.put_object(Bucket=settings.bucket, Key=key, Body=body)
        answer = s3.get_object(Bucket=settings.bucket, Key=key)["Body"].read()
        s3.delete_object(Bucket=settings.bucket, Key=key)
    except Exception as error:
        raise _explain(error, "write, read and delete a probe object in", settings, endpoint) from error
    if answer != body:
        raise ObjectStoreError(
            "ProbeDiffers", f"{endpoint} returned other bytes than were written to {settings.bucket}/{key}"
        )


def _lifecycle(settings: ObjectStore, endpoint: str, s3: S3Client) -> str:
    try:
        rules = list(s3.get_bucket_lifecycle_configuration(Bucket=settings.bucket).get("Rules", []))
    except Exception as error:
        if _code(error) in {"NotImplemented", "501", "MethodNotAllowed", "AccessDenied", "403"}:
            return f"not readable ({_code(error)}): make sure that no rule expires objects of this bucket"
        if _code(error) != "NoSuchLifecycleConfiguration":
            raise _explain(error, "read the lifecycle rules of", settings, endpoint) from error
        rules = []
    if unsafe := unsafe_rules(rules):
        raise ObjectStoreError(
            "UnsafeLifecycle",
            f"bucket {settings.bucket!r} at {endpoint} has lifecycle rules that would delete or move Loki's objects "
            f"behind its back and so corrupt it: {'; '.join(unsafe)}. Remove them: the compactor applies the retention "
            "(logs.retentionDays)",
        )
    if any(rule.get("AbortIncompleteMultipartUpload") and rule.get("Status") == "Enabled" for rule in rules):
        return "in force"
    try:
        s3.put_bucket_lifecycle_configuration(
            Bucket=settings.bucket, LifecycleConfiguration={"Rules": [*rules, ABORT_RULE]}
        )
    except Exception as error:  # only housekeeping: worth a word, not a failure
        logger.warning("no rule for incomplete uploads on %s: %s", settings.bucket, _code(error) or error)
        return f"not set ({_code(error) or type(error).__name__}): remove incomplete multipart uploads by hand"
    return "in force"


def _code(error: Exception) -> str:
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _explain(error: Exception, verb: str, settings: ObjectStore, endpoint: str) -> Exception:
    """An error that says what to do; what is not understood is passed on as it is."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as NotConnected

    where = f"bucket {settings.bucket!r} at {endpoint} (region {settings.region})"
    if isinstance(error, NotConnected | HTTPClientError):
        message = f"{endpoint} does not answer: {error}. Check objectStore.endpoint and the network"
        return ObjectStoreError("Unreachable", message)
    if isinstance(error, ClientError):
        return _refusal(_code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0), verb, where)
    if isinstance(error, BotoCoreError):
        return ObjectStoreError("Misconfigured", f"cannot {verb} {where}: {error}")
    return error


def _refusal(code: str, status: int, verb: str, where: str) -> ObjectStoreError:
    if code in _OTHER_REGION or status == 301:
        message = f"{where}: the bucket is in another region ({code or status}); set objectStore.region"
        return ObjectStoreError("RegionMismatch", message)
    if status == 403 or code in _DENIED:
        message = f"may not {verb} {where}: {code or status}. Check access key, secret key and the bucket's policy"
        return ObjectStoreError("AccessDenied", message)
    if code == "BucketAlreadyExists":
        return ObjectStoreError("BucketTaken", f"{where} belongs to somebody else; choose another objectStore.bucket")
    return ObjectStoreError("Refused", f"cannot {verb} {where}: {code} (HTTP {status})")
