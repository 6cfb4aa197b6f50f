"""Plain HTTP to the API server, as anybody: with a token of their own, or impersonated by the administrator."""

from __future__ import annotations

import base64
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
import yaml

TIMEOUT = urllib3.Timeout(connect=5, read=30)
CONTENT_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
Body = dict[str, Any] | list[dict[str, Any]]


@dataclass(frozen=True)
class Who:
    """With ``token``, or as the cluster's administrator; ``user`` is whom they say they are (impersonation)."""

    name: str
    user: str = ""
    groups: tuple[str, ...] = ()
    token: str = ""


ADMIN = Who("administrator")
ANONYMOUS = Who("anonymous", "system:anonymous", ("system:unauthenticated",))


@dataclass(frozen=True)
class Reply:
    """What the API server said."""

    code: int
    body: dict[str, Any]

    @property
    def message(self) -> str:
        """Its words, when it refused."""
        return str(self.body.get("message", ""))


class Api:
    """One API server by its administrator's kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._files = tempfile.TemporaryDirectory()
        self.server = cluster["server"]
        self._ca = self._file("ca", cluster, "certificate-authority")
        certificates = {"ca_certs": self._ca}
        # Two pools: a client certificate would win over a token.
        self._bearer = urllib3.PoolManager(retries=False, timeout=TIMEOUT, **certificates)
        certificates["cert_file"] = self._file("crt", user, "client-certificate")
        certificates["key_file"] = self._file("key", user, "client-key")
        self._admin = urllib3.PoolManager(retries=False, timeout=TIMEOUT, **certificates)

    def _file(self, name: str, holder: dict[str, str], key: str) -> str:
        if key in holder:
            return holder[key]
        path = Path(self._files.name) / name
        path.touch(mode=0o600)
        path.write_bytes(base64.b64decode(holder[f"{key}-data"]))
        return str(path)

    def send(
        self,
        method: str,
        path: str,
        *,
        who: Who = ADMIN,
        body: Body | None = None,
        patch: str = "merge",
        dry: bool = False,
    ) -> Reply:
        """One request. ``patch`` is the kind of a PATCH; ``dry`` asks for everything but the storing."""
        headers = urllib3.HTTPHeaderDict({"Accept": "application/json", "Content-Type": "application/json"})
        query = {}
        if dry and method == "DELETE":
            # With a body the query is not looked at.
            body = {
                "apiVersion": "v1",
                "kind": "DeleteOptions",
                **(body if isinstance(body, dict) else {}),
                "dryRun": ["All"],
            }
        elif dry:
            query["dryRun"] = "All"
        if method == "PATCH":
            headers["Content-Type"] = CONTENT_TYPES[patch]
            if patch == "apply":
                query |= {"fieldManager": "safety", "force": "true"}
        if who.token:
            headers["Authorization"] = f"Bearer {who.token}"
        if who.user:
            headers["Impersonate-User"] = who.user
        for group in who.groups:
            headers.add("Impersonate-Group", group)
        pool = self._bearer if who.token else self._admin
        url = f"{self.server}{path}" + (f"?{urlencode(query)}" if query else "")
        answer = pool.request(method, url, headers=headers, body=None if body is None else json.dumps(body))
        return Reply(answer.status, _parsed(answer))

    @property
    def authority(self) -> bytes:
        """Certificate of the CA that signed the server's, PEM."""
        return Path(self._ca).read_bytes()

    def get(self, path: str) -> dict[str, Any]:
        """As the administrator; raises AssertionError when it does not answer 200."""
        reply = self.send("GET", path)
        assert reply.code == 200, f"GET {path}: {reply.code} {reply.message}"
        return reply.body

    def token(self, namespace: str, account: str, hours: int = 1) -> str:
        """A ServiceAccount's own token, as the kubelet would give it to its pod."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        reply = self.send("POST", path, body={"spec": {"expirationSeconds": 3600 * hours}})
        assert reply.code == 201, reply.message
        return str(reply.body["status"]["token"])


def _parsed(answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {"message": answer.data[:2000].decode(errors="replace")}
    return body if isinstance(body, dict) else {"message": str(body)}


def path_of(group: str, namespace: str, plural: str, name: str = "", sub: str = "") -> str:
    """``group`` with its version, ``v1`` for the core group; empty ``namespace``: cluster-scoped."""
    root = f"/api/{group}" if "/" not in group else f"/apis/{group}"
    parts = [root, *(["namespaces", namespace] if namespace else []), plural, name, sub]
    return "/".join(part for part in parts if part)
