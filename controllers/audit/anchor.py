"""Heads of audit logs, kept where the cluster cannot reach: objects in S3, locked against change where it can be."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from controllers.audit.chain import Head

RETENTION = timedelta(days=365)
_UNSUPPORTED = frozenset({"NotImplemented", "MethodNotAllowed", "NotSupported"})
"""How stores without versions answer when they are asked for them."""


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

    def key(self, log: str, seq: int) -> str:
        """One object per head: nothing is ever overwritten."""
        return "/".join(part for part in (self.prefix, log, f"{seq:012d}.json") if part)


class S3Anchor:
    """Puts heads and reads them back. ``client`` is a boto3 S3 client; credentials are boto3's own affair."""

    def __init__(self, client: Any, place: Place) -> None:
        self._client = client
        self._place = place

    def put(self, log: str, head: Head, now: datetime) -> bool:
        """Keep a head; True when the store locks it (COMPLIANCE, one year), False when it only keeps it.

        Raises:
            AnchorError: it could not be kept.
        """
        body = json.dumps({"log": log, "seq": head.seq, "hash": head.digest, "at": now.isoformat()}).encode()
        options: dict[str, Any] = {}
        locked = self._can_lock()
        if locked:
            options = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": now + RETENTION}
        try:
            self._client.put_object(
                Bucket=self._place.bucket,
                Key=self._place.key(log, head.seq),
                Body=body,
                ContentType="application/json",
                ChecksumAlgorithm="SHA256",
                **options,
            )
        except _s3_errors() as error:
            raise AnchorError(f"s3://{self._place.bucket}: {error}") from error
        return locked

    def heads(self, log: str) -> list[Head]:
        """All heads of a log, oldest first. A delete marker hides an object from ordinary listings, even one that is
        locked; so where the bucket keeps versions, all of them are read.

        Raises:
            AnchorError: they could not be read, or one is no head.
        """
        prefix = self._place.key(log, 0).rsplit("/", 1)[0] + "/"
        try:
            versions = self._versions(prefix)
            known = {key for key, _ in versions}
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._place.bucket, Prefix=prefix)
            keys = {item["Key"] for page in pages for item in page.get("Contents", ())}
            listed = {(key, "") for key in keys - known}
            return [self._read(key, version) for key, version in sorted(versions | listed)]
        except _s3_errors() as error:
            raise AnchorError(f"s3://{self._place.bucket}/{prefix}: {error}") from error

    def _versions(self, prefix: str) -> set[tuple[str, str]]:
        """(key, version) of everything that was ever put there; empty where the store keeps no versions."""
        from botocore.exceptions import ClientError

        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._place.bucket, Prefix=prefix)
        try:
            found = [item for page in pages for item in page.get("Versions", ())]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _UNSUPPORTED:
                return set()
            raise
        return {(item["Key"], item.get("VersionId") or "") for item in found}

    def _read(self, key: str, version: str) -> Head:
        options = {"VersionId": version} if version and version != "null" else {}
        body = self._client.get_object(Bucket=self._place.bucket, Key=key, **options)["Body"].read()
        try:
            found = json.loads(body)
            return Head(int(found["seq"]), str(found["hash"]))
        except (ValueError, KeyError, TypeError) as error:
            raise AnchorError(f"s3://{self._place.bucket}/{key} is no head") from error

    def _can_lock(self) -> bool:
        try:
            answer = self._client.get_object_lock_configuration(Bucket=self._place.bucket)
        except _s3_errors():
            # Buckets without lock answer with an error, stores without the call with another.
            return False
        return bool(answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled")


def connect(url: str, endpoint: str | None = None) -> S3Anchor:
    """An anchor at ``s3://bucket/prefix``; ``endpoint`` for stores other than AWS."""
    import boto3

    client: Any = boto3.client("s3", endpoint_url=endpoint)  # type: ignore[no-untyped-call]
    return S3Anchor(client, Place.parse(url))


def _s3_errors() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError
