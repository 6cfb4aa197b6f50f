"""Keys and tokens of the external side: S3 keys, the TokenReview credential, short-lived reader tokens.

The cluster is asked through kubectl, so that any kind of kubeconfig (exec plugins, OIDC) works as its owner is used to.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import os
import secrets
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from external.errors import ExternalError
from external.layout import Layout
from external.objectstore import Keys
from external.programs import find_kubectl
from external.render import write
from external.settings import ObjectStore

__all__ = [
    "AUDIENCE",
    "SYSTEM_NAMESPACE",
    "ReaderToken",
    "intake_token",
    "kubectl",
    "service_account_token",
    "store_keys",
    "token_expiry",
    "write_kubeconfig",
]

AUDIENCE = "iirp-external"
SYSTEM_NAMESPACE = "iirp-system"
_TIMEOUT = 30
_KEY_NAMES = ("accessKeyId", "secretAccessKey")


def store_keys(settings: ObjectStore, layout: Layout, kubeconfig: Path | None) -> Keys:
    """The S3 keys from where the settings say; for the built-in server, made once. Raises ExternalError."""
    if settings.embedded:
        return _own_keys(layout)
    if settings.credentials_dir is not None:
        try:
            values = [(settings.credentials_dir / name).read_text().strip() for name in _KEY_NAMES]
        except OSError as error:
            raise ExternalError(f"objectStore.credentialsDir: {error.filename}: {error.strerror}") from error
    elif settings.secret:
        values = _from_secret(settings.secret, kubeconfig)
    else:
        values = [os.environ.get(name, "") for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
    if not all(values):
        raise ExternalError(
            f"no keys for {settings.endpoint}: set objectStore.secret or objectStore.credentialsDir, or the "
            "environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return Keys(*values)


def intake_token(path: Path) -> None:
    """The secret with which Prometheus writes to the analysis server, made once."""
    if not path.is_file():
        write(path, secrets.token_urlsafe(32) + "\n")


def write_kubeconfig(layout: Layout, kubeconfig: Path, days: int = 30) -> datetime.datetime:
    """Writes the analysis server's credential: a token of ServiceAccount iirp-analysis. Returns when it expires."""
    view = json.loads(kubectl(kubeconfig, "config", "view", "--minify", "--raw", "--flatten", "-o", "json"))
    token = service_account_token(kubeconfig, "iirp-analysis", audience="", seconds=days * 86_400)
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "iirp",
        "clusters": [{"name": "iirp", "cluster": view["clusters"][0]["cluster"]}],
        "users": [{"name": "iirp-analysis", "user": {"token": token}}],
        "contexts": [{"name": "iirp", "context": {"cluster": "iirp", "user": "iirp-analysis"}}],
    }
    write(layout.kubeconfig, yaml.safe_dump(content, sort_keys=False))
    return token_expiry(token)


def service_account_token(
    kubeconfig: Path | None,
    account: str,
    audience: str = AUDIENCE,
    seconds: int = 900,
    namespace: str = SYSTEM_NAMESPACE,
) -> str:
    """A token by TokenRequest, for one audience (empty: the API server's own)."""
    arguments = ["create", "token", account, "--namespace", namespace, "--duration", f"{seconds}s"]
    if audience:
        arguments += ["--audience", audience]
    return kubectl(kubeconfig, *arguments).strip()


class ReaderToken:
    """Of ServiceAccount iirp-reader, requested with the caller's own rights; anew when half its time is over."""

    def __init__(self, kubeconfig: Path | None, seconds: int = 600) -> None:
        self._kubeconfig = kubeconfig
        self._seconds = seconds
        self._token, self._renew_at = "", 0.0

    def __call__(self) -> str:
        """A token that is good for some minutes. Raises ExternalError."""
        if not self._token or self._renew_at < time.monotonic():
            self._token = service_account_token(self._kubeconfig, "iirp-reader", seconds=self._seconds)
            self._renew_at = time.monotonic() + self._seconds / 2
        return self._token


def token_expiry(token: str) -> datetime.datetime:
    """When a ServiceAccount token ends, as it says itself; not verified, only for people's information."""
    try:
        payload = token.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return datetime.datetime.fromtimestamp(int(claims["exp"]), datetime.UTC)
    except (IndexError, KeyError, ValueError, binascii.Error) as error:
        raise ExternalError("the API server returned a token that is no JWT with an expiry") from error


def kubectl(kubeconfig: Path | None, *arguments: str) -> str:
    """Standard output of kubectl. Raises ExternalError with its first error line."""
    command = [str(find_kubectl()), f"--request-timeout={_TIMEOUT - 10}s"]
    if kubeconfig is not None:
        command += ["--kubeconfig", str(kubeconfig)]
    try:
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        words = " ".join(arguments[:3])
        raise ExternalError(f"kubectl {words}: the API server did not answer within {_TIMEOUT} s") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["failed without a message"]
        raise ExternalError(f"kubectl {' '.join(arguments[:3])}: {lines[-1]}")
    return done.stdout


def _own_keys(layout: Layout) -> Keys:
    try:
        return Keys(**json.loads(layout.store_keys.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        keys = {"access_key_id": f"iirp{secrets.token_hex(8)}", "secret_access_key": secrets.token_urlsafe(32)}
        write(layout.store_keys, json.dumps(keys))
        return Keys(**keys)


def _from_secret(reference: str, kubeconfig: Path | None) -> list[str]:
    if kubeconfig is None:
        raise ExternalError("objectStore.secret needs the cluster's kubeconfig (--kubeconfig)")
    namespace, _, name = reference.partition("/")
    text = kubectl(kubeconfig, "get", "secret", name, "--namespace", namespace, "-o", "json")
    data = json.loads(text).get("data", {})
    if missing := [key for key in _KEY_NAMES if key not in data]:
        raise ExternalError(f"Secret {reference} has no key {' and no key '.join(missing)}")
    return [base64.b64decode(data[key]).decode().strip() for key in _KEY_NAMES]
