"""Heads of audit logs, kept where the cluster cannot reach: objects in S3, locked against change where it can be."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

from controllers.audit.chain import Head

RETENTION = timedelta(days=365)
_UNSUPPORTED = frozenset({"NotImplemented", "MethodNotAllowed", "NotSupported"})
"""How stores without versions answer when they are asked for them."""
_NO_LOCK = _UNSUPPORTED | {"ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration"}
_NAME = re.compile(r"(?P<seq>\d{12,})-(?P<digest>[0-9a-f]{64})\.json")
_TIMES = {"connect_timeout": 10, "read_timeout": 30, "retries": {"mode": "standard", "total_max_attempts": 4}}


_RIGHTS = frozenset({"AccessDenied", "AllAccessDisabled"})


class AnchorError(Exception):
    """The store could not be asked, or keeps something that is no head."""


@dataclass(frozen=True)
class Place:
    """``s3://bucket/prefix``."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, url: str) -> Place:
        """Read the URL.

        Raises:
            ValueError: not of that form.
        """
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc:
            raise ValueError(f"{url!r} is not s3://bucket/prefix")
        return cls(parts.netloc, parts.path.strip("/"))

    def key(self, log: str, head: Head) -> str:
        """One object per head: nothing is ever overwritten. The key says it all, so that a listing is enough to read
        thousands of them."""
        return f"{self.folder(log)}{head.seq:012d}-{head.digest}.json"

    def folder(self, log: str) -> str:
        """What the keys of a log begin with."""
        return "".join(f"{part}/" for part in (self.prefix, log) if part)


class HeadStore(Protocol):
    """Keeps heads where the cluster cannot reach."""

    def put(self, log: str, head: Head, now: datetime) -> bool:
        """Keep a head; True when it is locked against change."""

    def heads(self, log: str) -> list[Head]:
        """All heads of a log that were ever kept, oldest first."""


class S3Anchor:
    """Puts heads and lists them. ``client`` is a boto3 S3 client; credentials are boto3's own affair."""

    def __init__(self, client: Any, place: Place) -> None:
        self._client = client
        self._place = place

    def put(self, log: str, head: Head, now: datetime) -> bool:
        """Keep a head; True when the store locks it (COMPLIANCE, one year), False when it only keeps it.

        Raises:
            AnchorError: it could not be kept.
        """
        body = json.dumps({"log": log, "seq": head.seq, "hash": head.digest, "at": now.isoformat()}).encode()
        try:
            locked = self._can_lock()
            until = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": now + RETENTION} if locked else {}
            self._client.put_object(
                Bucket=self._place.bucket,
                Key=self._place.key(log, head),
                Body=body,
                ContentType="application/json",
                ChecksumAlgorithm="SHA256",
                **until,
            )
        except _s3_errors() as error:
            raise AnchorError(f"s3://{self._place.bucket}: {_told(error)}") from error
        return locked

    def heads(self, log: str) -> list[Head]:
        """All heads of a log, oldest first. A delete marker hides an object from ordinary listings, even one that is
        locked; so where the bucket keeps versions, all of them are listed.

        Raises:
            AnchorError: they could not be listed, or one is no head.
        """
        folder = self._place.folder(log)
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._place.bucket, Prefix=folder)
            keys = {item["Key"] for page in pages for item in page.get("Contents", ())} | self._ever(folder)
        except _s3_errors() as error:
            raise AnchorError(f"s3://{self._place.bucket}/{folder}: {_told(error)}") from error
        return [self._head(key, folder) for key in sorted(keys)]

    def _ever(self, folder: str) -> set[str]:
        """Keys of everything that was ever put there; empty where the store keeps no versions."""
        from botocore.exceptions import ClientError

        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._place.bucket, Prefix=folder)
        try:
            return {item["Key"] for page in pages for item in page.get("Versions", ())}
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _UNSUPPORTED:
                return set()
            raise

    def _head(self, key: str, folder: str) -> Head:
        found = _NAME.fullmatch(key.removeprefix(folder))
        if found is None:
            raise AnchorError(f"s3://{self._place.bucket}/{key} is no head")
        return Head(int(found["seq"]), found["digest"])

    def _can_lock(self) -> bool:
        """Only a store that says so has no lock: a head that is kept without one because of a missing right, or a
        timeout, is what a thief would wish for."""
        from botocore.exceptions import ClientError

        try:
            answer = self._client.get_object_lock_configuration(Bucket=self._place.bucket)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _NO_LOCK:
                return False
            raise
        return bool(answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled")


def connect(url: str, endpoint: str | None = None) -> S3Anchor:
    """An anchor at ``s3://bucket/prefix``; ``endpoint`` for stores other than AWS."""
    import boto3
    from botocore.config import Config

    client: Any = boto3.client("s3", endpoint_url=endpoint, config=Config(**_TIMES))  # type: ignore[no-untyped-call]
    return S3Anchor(client, Place.parse(url))


def _told(error: Exception) -> str:
    """The store's own words, and what to do about it where that is known."""
    from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

    told = str(error).rstrip(".")
    match error:
        case NoCredentialsError():
            return f"{told}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give it a role"
        case EndpointConnectionError():
            return f"{told}; a store other than AWS is named by --endpoint or AWS_ENDPOINT_URL_S3"
        case ClientError() if error.response.get("Error", {}).get("Code") in _RIGHTS:
            return f"{told}; docs/audit.md names the rights that the key needs"
    return told


def _s3_errors() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError
