"""From a bearer token to a username: shared secrets first, then the API server's TokenReview, with a bounded cache.

Nothing here fails open. A token that nobody vouches for is :class:`Unauthenticated`; an API server that does not answer
is :class:`Unavailable`, which the caller turns into 503.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from analysis.config import Auth, StaticCaller
from analysis.configfile import ConfigError
from analysis.kube import ApiServer, ApiServerError

MAX_TOKEN_CHARS = 8192
MIN_SECRET_CHARS = 24
REFUSED_SECONDS = 5.0
"""How long a refusal is remembered: it spares the API server, and a token that becomes valid does not wait long."""
MAX_REVIEWS = 8
"""TokenReviews on their way at once."""


class Unauthenticated(Exception):
    """No token, or one that nobody vouches for."""


class Unavailable(Exception):
    """The identity cannot be checked now; the message says why and where."""


class Reviewer(Protocol):
    """Asks somebody who knows whether a token is good."""

    async def review(self, token: str) -> str | None:
        """The username, or None for a token that is not valid for us.

        Raises:
            Unavailable: there is no answer.
        """


class TokenReviewer:
    """The API server's TokenReview, bound to our audience: a token for anybody else is refused."""

    def __init__(self, api: ApiServer, audience: str) -> None:
        self._api = api
        self._audience = audience

    async def review(self, token: str) -> str | None:
        """The username that the API server vouches for."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [self._audience]},
        }
        try:
            answer = await self._api.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body=body)
        except ApiServerError as error:
            raise Unavailable(f"TokenReview failed: {error}") from error
        status = answer.get("status") or {}
        if not status.get("authenticated") or self._audience not in (status.get("audiences") or ()):
            return None
        return str((status.get("user") or {}).get("username") or "") or None


class NoReviewer:
    """Where only shared secrets are configured."""

    async def review(self, token: str) -> str | None:
        """Nobody vouches for any token."""
        del token
        return None


@dataclass(frozen=True, slots=True)
class Secret:
    """A shared secret, kept as its hash."""

    username: str
    digest: bytes


def read_secrets(callers: tuple[StaticCaller, ...]) -> tuple[Secret, ...]:
    """Read the shared secrets.

    Raises:
        ConfigError: a file cannot be read, or its secret is too short to be one.
    """
    return tuple(Secret(caller.username, _read_secret(caller.secret_file)) for caller in callers)


def _read_secret(path: Path) -> bytes:
    try:
        value = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"auth.static: cannot read {path}: {error}") from error
    if len(value) < MIN_SECRET_CHARS:
        raise ConfigError(f"auth.static: the secret in {path} is shorter than {MIN_SECRET_CHARS} characters")
    return hashlib.sha256(value.encode()).digest()


class Authenticator:
    """Identity of callers, remembered for a while under the hash of their token."""

    def __init__(
        self, settings: Auth, secrets: tuple[Secret, ...], reviewer: Reviewer, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._reviewer = reviewer
        self._clock = clock
        self._cache: OrderedDict[bytes, tuple[float, str | None]] = OrderedDict()
        self._pending: dict[bytes, asyncio.Task[str | None]] = {}
        self._slots = asyncio.Semaphore(MAX_REVIEWS)

    async def identify(self, authorization: str | None) -> str:
        """Username behind an ``Authorization`` header.

        Raises:
            Unauthenticated: no bearer token, or one that is not valid.
            Unavailable: it cannot be checked now.
        """
        token = bearer(authorization)
        key = hashlib.sha256(token.encode()).digest()
        for secret in self._secrets:
            if hmac.compare_digest(secret.digest, key):
                return secret.username
        until, username = self._cache.get(key, (0.0, None))
        if self._clock() >= until:
            username = await self._review_once(key, token)
        if username is None:
            raise Unauthenticated("the token is not valid here")
        return username

    async def _review_once(self, key: bytes, token: str) -> str | None:
        # Callers with the same token wait for one review; a caller that goes away does not take it along.
        task = self._pending.get(key)
        if task is None:
            if len(self._pending) >= self._settings.cache_entries:
                raise Unavailable("too many tokens are being checked at once")
            task = asyncio.create_task(self._review(key, token))
            self._pending[key] = task
            task.add_done_callback(lambda _: self._pending.pop(key, None))
        return await asyncio.shield(task)

    async def _review(self, key: bytes, token: str) -> str | None:
        async with self._slots:
            username = await self._reviewer.review(token)
        now = self._clock()
        seconds = REFUSED_SECONDS if username is None else self._settings.cache_seconds
        until = now + seconds if username is None else min(now + seconds, expiry(token))
        self._cache[key] = (until, username)
        self._cache.move_to_end(key)
        while len(self._cache) > self._settings.cache_entries:
            self._cache.popitem(last=False)
        return username


def bearer(authorization: str | None) -> str:
    """The token of a ``Bearer`` header.

    Raises:
        Unauthenticated: there is none, or it cannot be one.
    """
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("send a bearer token in the Authorization header")
    if len(token) > MAX_TOKEN_CHARS or not token.isascii() or not token.isprintable() or " " in token:
        raise Unauthenticated("the token is malformed")
    return token


def expiry(token: str) -> float:
    """``exp`` of a JWT that has been vouched for, so that a cached answer never outlives it; infinite without one."""
    parts = token.split(".")
    if len(parts) != 3:
        return float("inf")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return float(claims["exp"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        return float("inf")
