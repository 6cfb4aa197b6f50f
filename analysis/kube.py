"""The API server as the analysis side sees it: address, trust and, for TokenReview only, our own credential.

No Kubernetes client library: two verbs over httpx are all that is needed, and the page must use each person's token.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from pydantic_core import from_json

from analysis.config import Kubernetes

MAX_REPLY_BYTES = 8 * 1024 * 1024
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
"""Rows of printer columns instead of objects: a twentieth of the size."""
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = METADATA.replace("as=PartialObjectMetadata", "as=PartialObjectMetadataList")
WATCH_SECONDS = 240
MAX_WATCHES = 512


class ApiServerError(Exception):
    """The API server did not answer, or not with what was asked.

    Attributes:
        status: the HTTP status, or None when there was no answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the API server is and how it is trusted."""

    server: str
    own_tls: ssl.SSLContext
    """With our client certificate, if we have one."""
    plain_tls: ssl.SSLContext
    """Without: for people. The API server looks at a client certificate before it looks at a token."""
    token: str
    """Ours, never a person's."""


class ApiServer:
    """Requests to the API server with a bearer token; connection details are re-read when their files change."""

    def __init__(self, settings: Kubernetes) -> None:
        self._settings = settings
        self._stamp: tuple[tuple[str, float], ...] = ()
        self._connection: Connection | None = None
        self._own: httpx.AsyncClient | None = None
        self._people: httpx.AsyncClient | None = None
        self._watchers: httpx.AsyncClient | None = None

    @property
    def address(self) -> str:
        """For messages: the server's URL if known, else the file that will tell it."""
        if self._connection:
            return self._connection.server
        return str(self._settings.server or self._settings.kubeconfig)

    async def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: Any = None,
        content: str = JSON,
        accept: str = JSON,
    ) -> Any:
        """Send one request and return the decoded JSON answer.

        Args:
            token: a person's token; None sends our own credential.
            content: media type of the body, for patches.
            accept: media type of the answer, for :data:`TABLE`.

        Raises:
            ApiServerError: no connection, an error status, or an answer that is not JSON.
        """
        if token == "":
            raise ApiServerError("no token", 401)
        own, people, connection = await self._open()
        client = own if token is None else people
        headers = {"Accept": accept}
        bearer = connection.token if token is None else token
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        if body is not None:
            headers["Content-Type"] = content
        try:
            reply = await client.request(method, connection.server.rstrip("/") + path, headers=headers, json=body)
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise ApiServerError(f"API server {connection.server} does not answer: {why}") from error
        return _decode(reply, connection.server)

    async def watch(self, path: str, *, token: str) -> AsyncIterator[None]:
        """One item per change of a collection, from now on, until the API server ends the watch (minutes).

        Args:
            path: the collection with its selectors, and a ``?``.
            token: a person's.

        Raises:
            ApiServerError: refused, gone, or no answer.
        """
        listed = await self.request("GET", f"{path}&limit=1", token=token, accept=METADATA_LIST)
        version = str((listed.get("metadata") or {}).get("resourceVersion") or "")
        _, _, connection = await self._open()
        if self._watchers is None:
            timeout = httpx.Timeout(self._settings.timeout_seconds, read=WATCH_SECONDS + 30.0)
            limits = httpx.Limits(max_connections=MAX_WATCHES)
            self._watchers = httpx.AsyncClient(
                verify=connection.plain_tls, timeout=timeout, limits=limits, trust_env=False
            )
        url = (
            f"{connection.server.rstrip('/')}{path}&watch=true&resourceVersion={version}&timeoutSeconds={WATCH_SECONDS}"
        )
        headers = {"Accept": METADATA, "Authorization": f"Bearer {token}"}
        try:
            async with self._watchers.stream("GET", url, headers=headers) as reply:
                if reply.status_code >= 400:
                    raise ApiServerError(f"API server {connection.server}: HTTP {reply.status_code}", reply.status_code)
                async for line in reply.aiter_lines():
                    if line.startswith('{"type":"ERROR"'):
                        return  # gone: whoever watches lists anew
                    if line:
                        yield None
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise ApiServerError(f"API server {connection.server} does not answer: {why}") from error

    async def aclose(self) -> None:
        """Close idle connections."""
        for client in (self._own, self._people, self._watchers):
            if client is not None:
                await client.aclose()
        self._own = self._people = self._watchers = None

    async def _open(self) -> tuple[httpx.AsyncClient, httpx.AsyncClient, Connection]:
        stamp = self._read_stamp()
        if self._own is None or self._people is None or self._connection is None or stamp != self._stamp:
            try:
                connection = read_connection(self._settings)
            except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
                raise ApiServerError(f"cannot read the API server's address from {self.address}: {error}") from error
            # the old clients may still be in use by other requests: they are left to finish and be collected
            self._own, self._people = self._client(connection.own_tls), self._client(connection.plain_tls)
            self._connection, self._stamp, self._watchers = connection, stamp, None
        return self._own, self._people, self._connection

    def _client(self, tls: ssl.SSLContext) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=16)
        return httpx.AsyncClient(verify=tls, timeout=self._settings.timeout_seconds, limits=limits, trust_env=False)

    def _read_stamp(self) -> tuple[tuple[str, float], ...]:
        files = (self._settings.kubeconfig, self._settings.ca_file, self._settings.token_file)
        return tuple((str(file), os.stat(file).st_mtime if file.exists() else 0.0) for file in files if file)


def _decode(reply: httpx.Response, server: str) -> Any:
    if len(reply.content) > MAX_REPLY_BYTES:
        raise ApiServerError(f"API server {server}: answer larger than {MAX_REPLY_BYTES} bytes")
    try:
        data = from_json(reply.content)
    except ValueError as error:
        raise ApiServerError(f"API server {server}: answer is not JSON", reply.status_code) from error
    if reply.status_code >= 400:
        message = data.get("message") if isinstance(data, dict) else None
        raise ApiServerError(str(message or f"API server {server}: HTTP {reply.status_code}")[:500], reply.status_code)
    return data


def read_connection(settings: Kubernetes) -> Connection:
    """Connection details from a kubeconfig's current context, or from separate files.

    Raises:
        OSError, ValueError, KeyError: a file is missing or has not the shape of a kubeconfig.
    """
    if settings.kubeconfig is not None:
        return _from_kubeconfig(settings.kubeconfig)
    ca = settings.ca_file.read_text(encoding="ascii") if settings.ca_file else None
    token = settings.token_file.read_text(encoding="ascii").strip() if settings.token_file else ""
    tls = ssl.create_default_context(cadata=ca)
    return Connection(server=str(settings.server), own_tls=tls, plain_tls=tls, token=token)


def _from_kubeconfig(path: Path) -> Connection:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise TypeError(f"{path} is not a kubeconfig")
    context = _named(document, "contexts", document["current-context"])["context"]
    cluster = _named(document, "clusters", context["cluster"])["cluster"]
    user = _named(document, "users", context["user"])["user"]
    ca = _material(cluster, "certificate-authority", path)
    trust = ca.decode("ascii") if ca else None
    own_tls = ssl.create_default_context(cadata=trust)
    certificate, key = _material(user, "client-certificate", path), _material(user, "client-key", path)
    if certificate and key:
        _load_client_certificate(own_tls, certificate, key)
    token = str(user.get("token") or "")
    if not token and user.get("tokenFile"):
        token = (path.parent / user["tokenFile"]).read_text(encoding="ascii").strip()
    plain_tls = ssl.create_default_context(cadata=trust)
    return Connection(server=str(cluster["server"]), own_tls=own_tls, plain_tls=plain_tls, token=token)


def _named(document: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    for entry in document.get(kind) or ():
        if entry.get("name") == name:
            return dict(entry)
    raise ValueError(f"kubeconfig has no entry {name!r} in {kind}")


def _material(entry: dict[str, Any], key: str, path: Path) -> bytes:
    if inline := entry.get(f"{key}-data"):
        try:
            return base64.b64decode(inline, validate=True)
        except binascii.Error as error:
            raise ValueError(f"{key}-data in {path} is not base64") from error
    if file := entry.get(key):
        return (path.parent / str(file)).read_bytes()
    return b""


def _load_client_certificate(tls: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # ssl loads a client certificate from files only; the file lives for this call, readable by us alone.
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(certificate + b"\n" + key)
        file.flush()
        tls.load_cert_chain(file.name)
