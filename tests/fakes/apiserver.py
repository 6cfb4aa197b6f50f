"""An API server of a few kinds over real HTTPS, for the real kubectl: lists, gets, merge patches, creates.

It authenticates by bearer token and knows one rule of admission: a decision needs the verb ``approve``. What the real
policies do is tested in ``tests/e2e``.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from devcluster.pki import Authority, Identity

Body = dict[str, Any]
KINDS = {
    "incidents": ("Incident", "inc"), "rcareports": ("RCAReport", "rcar"), "actionplans": ("ActionPlan", "aplan"),
    "approvals": ("Approval", "appr"),
}  # fmt: skip
PREFIX = "/apis/iirp.io/v1alpha1"


class ApiServer:
    """Objects by (plural, namespace, name), and who may approve."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Body] = {}
        self.users = {"alice-token": "alice", "eve-token": "eve"}
        self.approvers = {"alice"}
        self.url = ""
        self.ca_file = Path()

    def add(self, body: Body) -> Body:
        """Store an object under its own name."""
        plural = next(plural for plural, (kind, _) in KINDS.items() if kind == body["kind"])
        meta = body["metadata"]
        meta.setdefault("resourceVersion", "1")
        meta.setdefault("creationTimestamp", "2026-01-31T14:06:52Z")
        self.objects[plural, meta["namespace"], meta["name"]] = body
        return body

    def kubeconfig(self, path: Path, user: str = "alice", namespace: str = "shop") -> Path:
        """A kubeconfig of that user."""
        path.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority": str(self.ca_file)}}],
            "users": [{"name": user, "user": {"token": f"{user}-token"}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user, "namespace": namespace}}],
        }))  # fmt: skip
        return path

    def answer(self, method: str, path: str, query: dict[str, list[str]], user: str, body: Any) -> tuple[int, Body]:
        """Status and answer of a request."""
        if path in DISCOVERY:
            return 200, DISCOVERY[path]
        if path.endswith("/selfsubjectreviews"):
            return 201, {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview",
                         "status": {"userInfo": {"username": user}}}  # fmt: skip
        if path.startswith("/api/v1/namespaces/"):
            return 200, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": path.rsplit("/", 1)[1]}}
        if not path.startswith(PREFIX):
            return 404, _status(404, "NotFound", "the server could not find the requested resource")
        words = path.removeprefix(PREFIX).strip("/").split("/")
        namespace, words = (words[1], words[2:]) if words[0] == "namespaces" else ("", words)
        plural, name = words[0], words[1] if len(words) > 1 else ""
        if method == "POST":
            return self._create(plural, namespace, query, body)
        if not name:
            return 200, self._list(plural, namespace, query)
        found = self.objects.get((plural, namespace, name))
        if found is None:
            answer = _status(404, "NotFound", f'{plural}.iirp.io "{name}" not found')
            return 404, {**answer, "metadata": {}, "details": {"name": name, "group": "iirp.io", "kind": plural}}
        return (200, found) if method == "GET" else self._patch(plural, found, user, body)

    def _list(self, plural: str, namespace: str, query: dict[str, list[str]]) -> Body:
        wanted = dict(pair.split("=", 1) for pair in ",".join(query.get("labelSelector", [])).split(",") if pair)
        items = [
            body for (kind, where, _), body in self.objects.items()
            if kind == plural and namespace in ("", where)
            and wanted.items() <= body["metadata"].get("labels", {}).items()
        ]  # fmt: skip
        meta = {"resourceVersion": "1"}
        return {"apiVersion": "iirp.io/v1alpha1", "kind": f"{KINDS[plural][0]}List", "metadata": meta, "items": items}

    def _create(self, plural: str, namespace: str, query: dict[str, list[str]], body: Body) -> tuple[int, Body]:
        body["metadata"] |= {"namespace": namespace, "uid": f"uid-{body['metadata']['name']}"}
        if "dryRun" not in query:
            self.add(body)
        assert body["kind"] == KINDS[plural][0]
        return 201, body

    def _patch(self, plural: str, found: Body, user: str, patch: Body) -> tuple[int, Body]:
        annotations = patch.get("metadata", {}).get("annotations", {})
        verdict = annotations.pop("iirp.io/decision", None)
        if plural == "approvals" and verdict is not None:
            if user not in self.approvers:
                text = f"{user} may not decide this approval: needs the verb approve on approvals.iirp.io"
                return 403, _status(
                    403, "Forbidden", f'approvals.iirp.io "{found["metadata"]["name"]}" is forbidden: {text}'
                )
            entry = {"by": user, "verdict": verdict, "reason": annotations.pop("iirp.io/reason", "")}
            found["spec"].setdefault("decisions", []).append({**entry, "planDigest": found["spec"]["planDigest"]})
        else:
            _merge(found, patch)
        return 200, found


@contextmanager
def serve(folder: Path) -> Iterator[ApiServer]:
    """A running server on loopback; its certificates lie in ``folder``."""
    state = ApiServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            content = self.rfile.read(length)  # of built-in kinds kubectl sends protobuf
            body = json.loads(content) if "json" in self.headers.get("Content-Type", "") else None
            user = state.users.get((self.headers.get("Authorization") or "").removeprefix("Bearer "), "")
            url = urlsplit(self.path)
            if not user:
                code, answer = 401, _status(401, "Unauthorized", "Unauthorized")
            else:
                code, answer = state.answer(self.command, unquote(url.path), parse_qs(url.query), user, body)
            text = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = _handle  # noqa: N815  the names are the standard library's

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    authority = Authority(folder, "ca")  # kubectl sends no token over plain HTTP
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server", Identity("server", hosts=("127.0.0.1",), client=False)))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    state.url, state.ca_file = f"https://127.0.0.1:{server.server_address[1]}", authority.certificate
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _status(code: int, reason: str, message: str) -> Body:
    return {
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message,
    }  # fmt: skip


def _merge(target: Body, patch: Body) -> None:
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value


def _discovery() -> dict[str, Body]:
    verbs = ["get", "list", "create", "patch", "update", "watch", "delete"]
    resources = [
        {
            "name": plural,
            "singularName": kind.lower(),
            "kind": kind,
            "namespaced": True,
            "shortNames": [short],
            "verbs": verbs,
        }
        for plural, (kind, short) in KINDS.items()
    ]
    version = {"groupVersion": "iirp.io/v1alpha1", "version": "v1alpha1"}
    review = {"groupVersion": "authentication.k8s.io/v1", "version": "v1"}
    groups = [
        {"name": "iirp.io", "versions": [version], "preferredVersion": version},
        {"name": "authentication.k8s.io", "versions": [review], "preferredVersion": review},
    ]
    return {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [
            {"name": "namespaces", "singularName": "", "kind": "Namespace", "namespaced": False, "verbs": ["get"]},
        ]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
        "/apis/authentication.k8s.io/v1": {
            "kind": "APIResourceList", "groupVersion": review["groupVersion"],
            "resources": [
                {"name": "selfsubjectreviews", "singularName": "", "kind": "SelfSubjectReview", "namespaced": False,
                 "verbs": ["create"]},
            ],
        },
        PREFIX: {"kind": "APIResourceList", "groupVersion": "iirp.io/v1alpha1", "resources": resources},
        "/openapi/v3": {"paths": {PREFIX.strip("/"): {"serverRelativeURL": f"/openapi/v3{PREFIX}"}}},
        # How kubectl learns that the server validates fields by itself.
        f"/openapi/v3{PREFIX}": {"openapi": "3.0.0", "info": {"title": "test", "version": "1"}, "paths": {
            f"{PREFIX}/namespaces/{{namespace}}/{plural}/{{name}}": {
                "patch": {
                    "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
                    "x-kubernetes-group-version-kind": {"group": "iirp.io", "version": "v1alpha1", "kind": kind},
                },
            }
            for plural, (kind, _) in KINDS.items()
        }},
        "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.3"},
    }  # fmt: skip


DISCOVERY = _discovery()
